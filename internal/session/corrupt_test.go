package session

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aig/internal/gittest"
)

// damage lists ways in which stores break: each makes one of alice's objects unreadable.
var damages = map[string]func(t *testing.T, r *gittest.Repo, name string){
	"empty loose": func(t *testing.T, r *gittest.Repo, name string) { overwrite(t, r.LooseFile(name), nil) },
	"loose garbage": func(t *testing.T, r *gittest.Repo, name string) {
		overwrite(t, r.LooseFile(name), []byte("not a zlib stream"))
	},
	"loose of no type": func(t *testing.T, r *gittest.Repo, name string) {
		overwrite(t, r.LooseFile(name), gittest.Deflate([]byte("bloc 3\x00abc"))) // git dies of it without naming it
	},
	"misnamed loose": func(t *testing.T, r *gittest.Repo, name string) {
		other := r.GitIn("something else", "hash-object", "-w", "--stdin")
		content, err := os.ReadFile(r.LooseFile(other))
		if err != nil {
			t.Fatal(err)
		}
		overwrite(t, r.LooseFile(name), content)
	},
	"vanished": func(t *testing.T, r *gittest.Repo, name string) {
		// A name in the index of a pack that is gone is still listed.
		pack := r.GitIn(name+"\n", "pack-objects", "-q", filepath.Join(r.ObjectDir(), "pack", "pack"))
		remove(t, r.LooseFile(name))
		remove(t, filepath.Join(r.ObjectDir(), "pack", "pack-"+pack+".pack"))
		overwrite(t, filepath.Join(r.ObjectDir(), "pack", "pack-"+pack+".pack"), []byte("PACK"))
	},
	"flipped in a pack": func(t *testing.T, r *gittest.Repo, name string) {
		// pack-objects copies the bytes as they are, so only the receiver notices.
		pack := r.GitIn(name+"\n", "pack-objects", "-q", filepath.Join(r.ObjectDir(), "pack", "pack"))
		remove(t, r.LooseFile(name))
		file := filepath.Join(r.ObjectDir(), "pack", "pack-"+pack+".pack")
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		content[len(content)-24] ^= 0x20 // within the only object's compressed content
		overwrite(t, file, content)
	},
}

func overwrite(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o444); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

// One unreadable object of ours does not stop the others: it is named, both sides learn that the stores are not equal,
// and everything else is stored, in both directions.
func TestUnreadableObjectIsLeftOut(t *testing.T) {
	t.Parallel()
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			a, b := &side{repo: gittest.New(t)}, &side{repo: gittest.New(t)}
			names := a.repo.Blobs("alice", 20)
			b.repo.Blobs("bob", 3)
			damage(t, a.repo, names[7])
			listed := strings.Count(a.repo.Objects(), "\n") + 1
			talk(t, a, b)
			var omitted *OmittedError
			if !errors.As(a.err, &omitted) || omitted.Ours != 1 || omitted.Theirs != 0 {
				t.Fatalf("error of the side that has it: %v", a.err)
			}
			if !errors.As(b.err, &omitted) || omitted.Ours != 0 || omitted.Theirs != 1 {
				t.Fatalf("error of the other side: %v", b.err)
			}
			if len(a.warnings) != 1 || !strings.Contains(a.warnings[0], names[7]) {
				t.Errorf("warnings: %q", a.warnings)
			}
			if len(a.sent) != listed-1 || slices.Contains(a.sent, names[7]) || !slices.Equal(a.sent, b.received) {
				t.Errorf("sent %d, received %d, of %d", len(a.sent), len(b.received), listed)
			}
			if len(a.received) != 3 || !slices.Equal(b.sent, a.received) {
				t.Errorf("received %d of 3", len(a.received))
			}
			b.repo.MustBeSound()
		})
	}
}

// An unreadable base is no reason to leave anything out: the pack is made again without bases.
func TestUnreadableBase(t *testing.T) {
	t.Parallel()
	a, b := &side{repo: gittest.New(t)}, &side{repo: gittest.New(t)}
	content := strings.Repeat("a line of some length, to be worth a delta\n", 200)
	a.repo.Commit("file", content)
	talk(t, a, b)
	mustAgree(t, a, b)
	a.repo.Commit("file", content+"and one more\n")
	overwrite(t, a.repo.LooseFile(a.repo.Git("rev-parse", "HEAD~1:file")), []byte("not a zlib stream"))
	a, b = &side{repo: a.repo}, &side{repo: b.repo}
	talk(t, a, b)
	if a.err != nil || b.err != nil || len(b.received) != 3 {
		t.Errorf("%v; %v; received %d, want 3", a.err, b.err, len(b.received))
	}
	b.repo.MustBeSound()
}

// If the index of a pack is damaged, git can copy the wrong bytes although each object to be given can be read. They are then
// packed anew, and the user is told where to look.
func TestDamagedIndex(t *testing.T) {
	a, b := &side{repo: gittest.New(t)}, &side{repo: gittest.New(t)}
	names := a.repo.Blobs("some text that is longer than a few bytes", 2)
	packDir := filepath.Join(a.repo.ObjectDir(), "pack")
	pack := filepath.Join(packDir, "pack-"+a.repo.GitIn(strings.Join(names, "\n")+"\n", "pack-objects", "-q", "--window=0", filepath.Join(packDir, "pack")))
	for _, name := range names {
		remove(t, a.repo.LooseFile(name))
	}
	// The index says that the second object in the pack, which both have, begins in the middle of the first one.
	index, err := os.ReadFile(pack + ".idx")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	offsets := index[len(index)-2*20-len(names)*4 : len(index)-2*20] // gitformat-pack(5), "pack-*.idx files"
	first := binary.BigEndian.Uint32(offsets)
	second := binary.BigEndian.Uint32(offsets[4:])
	if first < second {
		binary.BigEndian.PutUint32(offsets[4:], first+8)
		b.repo.GitIn(a.repo.Git("cat-file", "blob", names[1])+"\n", "hash-object", "-w", "--stdin")
	} else {
		binary.BigEndian.PutUint32(offsets, second+8)
		b.repo.GitIn(a.repo.Git("cat-file", "blob", names[0])+"\n", "hash-object", "-w", "--stdin")
	}
	overwrite(t, pack+".idx", index)
	os.Remove(pack + ".rev")
	talk(t, a, b)
	if a.err != nil || b.err != nil || len(b.received) != 1 {
		t.Errorf("%v; %v; received %d, want 1", a.err, b.err, len(b.received))
	}
	if len(a.warnings) != 1 || !strings.Contains(a.warnings[0], "git fsck") {
		t.Errorf("warnings: %q", a.warnings)
	}
	b.repo.MustBeSound()
}
