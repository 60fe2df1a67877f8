package intake

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"aig/internal/gittest"
)

// Wherever a pack is cut, the objects that were received whole are stored, deltas of every kind among them.
func TestSalvage(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		r := gittest.New(t, "--object-format="+format)
		r.GitIn(base, "hash-object", "-w", "--stdin")
		pack, _ := goodPack(format == "sha256")
		from := pack.Offset()
		large := bytes.Repeat([]byte("a line of many\n"), 1<<13)
		pack.Object(gittest.PackBlob, large)
		pack.OfsDelta(uint64(pack.Offset()-from), gittest.Delta(uint64(len(large)), 15, gittest.Copy(0, 15)))
		// git complains of this one at the very end.
		pack.Object(gittest.PackTree, gittest.TreeEntry("100644", ".gitattributes", pack.Name(gittest.PackBlob, []byte("not here"))))
		whole := pack.Bytes()
		names := packNames(t, r, whole)
		if len(names) != 7 {
			t.Fatalf("the pack holds %d objects", len(names))
		}
		cuts := []int{0, 1, 11, 12, 13, len(whole) - 1, len(whole)}
		for _, end := range names {
			cuts = append(cuts, int(end)-1, int(end), int(end)+1)
		}
		for _, cut := range cuts {
			salvage(t, r, whole, cut, names)
		}
	}
}

// A small pack may inflate to gigabytes, but nobody has to wait for them.
func TestSalvageEnds(t *testing.T) {
	r := gittest.New(t)
	pack := new(gittest.Pack)
	pack.Object(gittest.PackBlob, bytes.Repeat([]byte{0}, 1<<20))
	s := open(t, r)
	ctx, cancel := context.WithCancel(t.Context())
	in, err := s.Receive(ctx, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Discard()
	in.Write(pack.Bytes())
	cancel()
	if n, end := in.whole(bytes.NewReader(pack.Bytes())); n != 0 {
		t.Errorf("%d objects until %d, behind the end of the context", n, end)
	}
}

// packNames returns where each object of a pack ends, by its name.
func packNames(t *testing.T, r *gittest.Repo, pack []byte) map[string]int64 {
	t.Helper()
	in, err := receive(t, open(t, r), pack)
	begins := make(map[string]int64)
	if err == nil {
		err = in.store.ShowIndex(t.Context(), in.pack+".idx", func(offset int64, name []byte) error {
			begins[hex.EncodeToString(name)] = offset
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	ends := make(map[string]int64)
	for name, begin := range begins {
		end := int64(len(pack) - in.store.Format.Size())
		if begin >= end { // the appended base
			continue
		}
		for _, next := range begins {
			if next > begin {
				end = min(end, next)
			}
		}
		ends[name] = end
	}
	return ends
}

// salvage cuts a pack, and checks what of it gets into a store.
func salvage(t *testing.T, r *gittest.Repo, pack []byte, cut int, ends map[string]int64) {
	t.Helper()
	to := gittest.New(t, "--object-format="+strings.TrimSpace(r.Git("rev-parse", "--show-object-format")))
	to.GitIn(base, "hash-object", "-w", "--stdin")
	want := strings.Fields(to.Objects())
	for name, end := range ends {
		if end <= int64(cut) {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	s := open(t, to)
	in, err := s.Receive(t.Context(), 1<<20, false)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Discard()
	in.Write(pack[:cut])
	rest, err := in.Salvage(false)
	if err != nil {
		t.Fatal(err)
	}
	if rest != nil {
		defer rest.Discard()
		if n := s.input.Load(); n != int64(cut) {
			t.Errorf("cut at %d: %d bytes are counted", cut, n)
		}
		if err := rest.Finish(); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if err := rest.Install(); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
	if got := strings.Fields(to.Objects()); !slices.Equal(got, want) {
		t.Errorf("cut at %d of %d: the store has %v, not %v", cut, len(pack), got, want)
	}
}
