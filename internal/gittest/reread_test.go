package gittest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// All of a sound store is read, loose objects, packed ones and deltas; an object that is not what its name says is named, and
// one that can't be read is an error.
func TestReread(t *testing.T) {
	r := New(t)
	text := strings.Repeat("the same line\n", 100)
	for _, more := range []string{"one", "two", "three"} {
		r.Commit("file", text+more+"\n")
	}
	r.Git("repack", "-adq")
	if deltas := r.Git("verify-pack", "-v", packOf(t, r)); !strings.Contains(deltas, "chain length = 1: ") {
		t.Fatalf("no deltas to read:\n%s", deltas)
	}
	loose := r.Blobs("loose", 2)
	r.MustBeSound()
	gitDir := filepath.Dir(r.ObjectDir())
	names, err := Reread(gitDir)
	if want := strings.Fields(r.Objects()); err != nil || !slices.Equal(names, want) {
		t.Fatalf("%v: %d objects of %d", err, len(names), len(want))
	}

	other, err := os.ReadFile(r.LooseFile(loose[1]))
	if err == nil {
		err = os.Remove(r.LooseFile(loose[0]))
	}
	if err == nil {
		err = os.WriteFile(r.LooseFile(loose[0]), other, 0o444)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Reread(gitDir); err == nil || !strings.Contains(err.Error(), loose[0]) {
		t.Errorf("an object with the content of another one: %v", err)
	}
	os.Remove(r.LooseFile(loose[0]))

	pack := strings.TrimSuffix(packOf(t, r), ".idx") + ".pack"
	content, err := os.ReadFile(pack)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	os.Chmod(pack, 0o600)
	if err := os.WriteFile(pack, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Reread(gitDir); err == nil {
		t.Error("a pack with a flipped bit was read whole")
	}
}

func packOf(t *testing.T, r *Repo) string {
	t.Helper()
	packs, err := filepath.Glob(filepath.Join(r.ObjectDir(), "pack", "*.idx"))
	if err != nil || len(packs) != 1 {
		t.Fatalf("%d packs, %v", len(packs), err)
	}
	return packs[0]
}
