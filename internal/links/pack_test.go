package links

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aig/internal/git"
	"aig/internal/gittest"
)

// The types read from a pack are those that git reports, whether deltas refer to their bases by offset or by name.
func TestPackKinds(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		for _, offsets := range []string{"true", "false"} {
			t.Run(format+", offsets "+offsets, func(t *testing.T) {
				r := gittest.New(t, "--object-format="+format)
				var last string
				for i := range 30 {
					last = r.Commit("file", strings.Repeat(fmt.Sprintln("a line that most versions have, and one that's new"), 200)+fmt.Sprint(i))
				}
				r.Git("update-ref", "refs/heads/main", last)
				r.Git("tag", "-a", "-m", "a tag", "v1", last)
				r.Git("-c", "repack.useDeltaBaseOffset="+offsets, "repack", "-q", "-a", "-d", "-f")
				repo, err := git.Open(context.Background(), git.Git{Dir: r.Dir, Env: r.Env})
				if err != nil {
					t.Fatal(err)
				}
				packs, _ := filepath.Glob(filepath.Join(repo.ObjectDir, "pack", "*.pack"))
				if len(packs) != 1 {
					t.Fatalf("packs: %q", packs)
				}
				pack, err := OpenPack(context.Background(), repo, strings.TrimSuffix(packs[0], ".pack"))
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				err = pack.Kinds(func(name []byte, kind Kind) error {
					got = append(got, hex.EncodeToString(name)+" "+kind.String())
					return nil
				})
				want := strings.Split(r.Git("cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)"), "\n")
				if slices.Sort(got); err != nil || !slices.Equal(got, want) {
					t.Errorf("%v: %q, want %q", err, got, want)
				}
				if !strings.Contains(r.Git("verify-pack", "-v", packs[0]), "chain length = 2") {
					t.Error("there are no chains of deltas")
				}
			})
		}
	}
}

// An object whose size is padded with zeros can be read if git can read it.
func TestPaddedSize(t *testing.T) {
	for pad := range 12 {
		r := gittest.New(t)
		made := gittest.Pack{Pad: pad}
		name := hex.EncodeToString(made.Object(gittest.PackTree, gittest.TreeEntry("100644", "file", make([]byte, 20))))
		path := filepath.Join(r.ObjectDir(), "pack", "pack-"+strings.Repeat("1", 40))
		if err := os.WriteFile(path+".pack", made.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		repo, err := git.Open(t.Context(), git.Git{Dir: r.Dir, Env: r.Env})
		if err != nil {
			t.Fatal(err)
		}
		if err := repo.Command(t.Context(), nil, "index-pack", path+".pack").Run(); err != nil {
			if pad < 8 {
				t.Fatal(err)
			}
			return // a newer git refuses here already what it can't read
		}
		pack, err := OpenPack(t.Context(), repo, path)
		if err != nil {
			t.Fatal(err)
		}
		var got Kind
		if err := pack.Kinds(func(_ []byte, kind Kind) error { got = kind; return nil }); err != nil {
			t.Fatal(err)
		}
		out, failed := repo.Command(t.Context(), nil, "cat-file", "-t", name).Output()
		if want := ParseKind(strings.TrimSpace(string(out))); got != want {
			t.Errorf("%d bytes of padding: %q, and git says %q, %v", pad, got, want, failed)
		}
	}
}

// The head of a chain is found whatever the order, and the search ends even if two are deltas against each other.
func TestFindHeads(t *testing.T) {
	for _, c := range []struct{ bases, want []uint32 }{
		{[]uint32{}, []uint32{}},
		{[]uint32{1, 2, 3, 3}, []uint32{3, 3, 3, 3}},
		{[]uint32{0, 0, 1, 2}, []uint32{0, 0, 0, 0}},
		{[]uint32{2, 1, 2, 1, 4}, []uint32{2, 1, 2, 1, 4}},
		{[]uint32{1, 0, 0}, []uint32{0, 0, 0}},
	} {
		if findHeads(c.bases); !slices.Equal(c.bases, c.want) {
			t.Errorf("%v, want %v", c.bases, c.want)
		}
	}
}
