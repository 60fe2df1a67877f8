//go:build unix

package gitstore

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"aig/internal/gittest"
)

// killing makes git die of SIGKILL when it is to run that command.
func killing(t *testing.T, command string) {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := "#!/bin/sh\nif test \"$1\" = " + command + "; then kill -9 $$; fi\nexec " + git + ` "$@"` + "\n"
	if err := os.WriteFile(filepath.Join(dir, "git"), []byte(script), 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// An object is not called bad because somebody has killed the git that read it.
func TestVerifyKilled(t *testing.T) {
	r := gittest.New(t)
	r.Blobs("sound", 3)
	s := open(t, r)
	names := all(list(t, s))
	killing(t, "cat-file")
	err := s.Verify(t.Context(), names, func(i int, reason string) { t.Errorf("object %x is called bad: %s", names.At(i), reason) })
	var failed *GitError
	if !errors.As(err, &failed) {
		t.Errorf("error %v", err)
	}
}

// A pack is not called bad because somebody has killed the git that indexed it.
func TestIndexKilled(t *testing.T) {
	r := gittest.New(t)
	r.Blobs("sound", 3)
	s := open(t, r)
	data := pack(t, s, all(list(t, s)))
	to := open(t, gittest.New(t))
	killing(t, "index-pack")
	in, err := receive(t, to, data)
	defer in.Discard()
	var failed *GitError
	if !errors.As(err, &failed) || !failed.OfMachine() {
		t.Errorf("error %v", err)
	}
}
