package gittest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The script is run in place of its command alone, even if git's own path has a space in it.
func TestInstead(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "with a space")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(git, filepath.Join(dir, "git")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	Instead(t, "count-objects", `echo instead of "$@"; "$git" rev-parse --is-bare-repository`)
	r := New(t)
	if got := r.Git("count-objects", "-v"); got != "instead of count-objects -v\nfalse" {
		t.Errorf("%q", got)
	}
	if got := r.Git("rev-parse", "--is-bare-repository"); got != "false" {
		t.Errorf("%q", got)
	}
}
