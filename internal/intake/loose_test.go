package intake

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/oid"
)

// stored returns how many loose objects and packs a store has.
func stored(t *testing.T, r *gittest.Repo) (loose, packs int) {
	t.Helper()
	for pattern, n := range map[string]*int{"[0-9a-f][0-9a-f]/*": &loose, "pack/*.idx": &packs} {
		files, err := filepath.Glob(filepath.Join(r.ObjectDir(), pattern))
		if err != nil {
			t.Fatal(err)
		}
		*n = len(files)
	}
	return loose, packs
}

// A pack of fewer objects than fetch.unpackLimit, else transfer.unpackLimit, else 100, is stored as loose objects.
func TestUnpackLimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fetch, transfer string
		objects         int
		loose           bool
	}{
		{"", "", 99, true}, {"", "", 100, false},
		{"", "3", 2, true}, {"", "3", 3, false},
		{"5", "3", 4, true}, {"2", "3", 2, false},
		{"-1", "3", 2, true}, {"-1", "-1", 99, true}, {"-1", "", 100, false},
		{"0", "", 1, false}, {"1", "", 1, false}, {"1k", "", 200, true},
	} {
		from, to := gittest.New(t), gittest.New(t)
		for key, value := range map[string]string{"fetch.unpackLimit": c.fetch, "transfer.unpackLimit": c.transfer} {
			if value != "" {
				to.Git("config", key, value)
			}
		}
		from.Blobs("blob", c.objects)
		s := open(t, from)
		install(t, to, pack(t, s, all(list(t, s))))
		wantLoose, wantPacks := 0, 1
		if c.loose {
			wantLoose, wantPacks = c.objects, 0
		}
		if loose, packs := stored(t, to); loose != wantLoose || packs != wantPacks {
			t.Errorf("%+v: %d loose objects, %d packs", c, loose, packs)
		}
		if to.Objects() != from.Objects() {
			t.Errorf("%+v: the stores are not equal", c)
		}
		if left := to.Quarantines(); len(left) > 0 {
			t.Errorf("%+v: left behind: %v", c, left)
		}
	}
	to := gittest.New(t)
	to.Git("config", "fetch.unpackLimit", "many")
	if _, err := Open(t.Context(), git.Git{Dir: to.Dir, Env: to.Env}); err == nil || !strings.Contains(err.Error(), "fetch.unpacklimit") {
		t.Errorf("a bad number: %v", err)
	}
}

// Few objects stay a pack if they are large, however small the pack is.
func TestLargeObjectsStayPacked(t *testing.T) {
	t.Parallel()
	for size, packed := range map[int]bool{maxLooseBytes: false, maxLooseBytes + 1: true} {
		from, to := gittest.New(t), gittest.New(t)
		from.GitIn(strings.Repeat("x", size), "hash-object", "-w", "--stdin")
		s := open(t, from)
		install(t, to, pack(t, s, all(list(t, s))))
		if loose, packs := stored(t, to); packed != (packs == 1) || packed != (loose == 0) {
			t.Errorf("%d bytes: %d loose objects, %d packs", size, loose, packs)
		}
	}
}

// The bases of a thin pack are appended to it; Names has them, Objects doesn't count them, and they are not stored again
// if the pack is stored loose.
func TestAppendedBases(t *testing.T) {
	t.Parallel()
	for _, limit := range []string{"1", "1000"} {
		from, to := gittest.New(t), gittest.New(t)
		gittest.History(t, from, 7, 10, 10)
		to.Git("config", "fetch.unpackLimit", limit)
		to.Git("fetch", "-q", from.Dir, from.Git("rev-parse", "main~3")+":refs/heads/base")
		to.Git("repack", "-adq")
		s := open(t, from)
		l := list(t, s)
		give := missing(t, l, to)
		looseBefore, packsBefore := stored(t, to)
		in, err := receive(t, open(t, to), plan(t, s, l, give)[0])
		if err != nil {
			t.Fatal(err)
		}
		names, _, err := in.Names()
		if err != nil {
			t.Fatal(err)
		}
		bases := 0
		for i := range names.Len() {
			if i, found := l.Search(names.At(i)); !found {
				t.Error("there is one that is none of ours")
			} else if !slices.Contains(give, uint32(i)) {
				bases++
			}
		}
		if bases == 0 || names.Len() != len(give)+bases || int(in.Objects()) != len(give) {
			t.Errorf("%d names, %d objects, %d given, %d bases", names.Len(), in.Objects(), len(give), bases)
		}
		if err := in.Install(); err != nil {
			t.Fatal(err)
		}
		loose, packs := stored(t, to)
		if limit == "1" && (packs != packsBefore+1 || loose != looseBefore) ||
			limit == "1000" && (packs != packsBefore || loose != looseBefore+len(give)) {
			t.Errorf("limit %s: %d loose objects more, %d packs more, %d given", limit, loose-looseBefore, packs-packsBefore, len(give))
		}
		if to.Objects() != from.Objects() {
			t.Error("the stores are not equal")
		}
	}
}

// Objects that entered the store while their pack was being received stay as they are, and the others are stored.
func TestLooseObjectsReplaceNothing(t *testing.T) {
	from, to := gittest.New(t), gittest.New(t)
	from.Blobs("blob", 5)
	s := open(t, from)
	in, err := receive(t, open(t, to), pack(t, s, all(list(t, s))))
	if err != nil {
		t.Fatal(err)
	}
	file := to.LooseFile(to.Blobs("blob", 1)[0])
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Install(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(file); err != nil || !os.SameFile(before, after) {
		t.Errorf("it was replaced (%v)", err)
	}
	if to.Objects() != from.Objects() {
		t.Error("the stores are not equal")
	}
}

// Directories that are removed as soon as they are empty, as git prune-packed does, cause no failure.
func TestLooseAmongPrunePacked(t *testing.T) {
	t.Parallel()
	from, to := gittest.New(t), gittest.New(t)
	from.Blobs("blob", 90)
	s := open(t, from)
	in, err := receive(t, open(t, to), pack(t, s, all(list(t, s))))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Discard()
	objectDir := to.ObjectDir()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				os.Remove(filepath.Join(objectDir, fmt.Sprintf("%02x", i%256))) // only if it is empty
			}
		}
	}()
	err = in.Install()
	close(stop)
	<-stopped
	if err != nil {
		t.Error(err)
	}
	if to.Objects() != from.Objects() {
		t.Error("the stores are not equal")
	}
}

// refDelta returns a pack of one delta against the named object.
func refDelta(format oid.Format, base []byte) []byte {
	var pack bytes.Buffer
	pack.WriteString("PACK\x00\x00\x00\x02")
	pack.Write(binary.BigEndian.AppendUint32(nil, 1))
	// A base of 8 bytes, a result of 1, and that is "x" (gitformat-pack(5), "Deltified representation").
	delta := "\x08\x01\x01x"
	pack.WriteByte(7<<4 | byte(len(delta)))
	pack.Write(base)
	z := zlib.NewWriter(&pack)
	io.WriteString(z, delta)
	z.Close()
	h := format.Hash()
	h.Write(pack.Bytes())
	return h.Sum(pack.Bytes())
}

// A delta base that a peer names and that a partial clone lacks is not fetched: that would run a transport.
func TestDeltaBasesAreNotFetched(t *testing.T) {
	origin := gittest.New(t)
	origin.Commit("file", "content\n")
	base, err := hex.DecodeString(origin.Git("rev-parse", "HEAD:file"))
	if err != nil {
		t.Fatal(err)
	}
	// With the base, git accepts the pack.
	if _, err := receive(t, open(t, origin), refDelta(oid.SHA1, base)); err != nil {
		t.Fatal(err)
	}
	partial := origin.IncompleteClone("--filter=blob:none")
	_, err = receive(t, open(t, partial), refDelta(oid.SHA1, base))
	if !ofPeer(err) {
		t.Errorf("%v", err)
	}
}
