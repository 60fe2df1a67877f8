package gittest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"aig/internal/ref"
)

// Instead makes git run a shell script in place of that command until the test ends. In the script, "$git" is git itself, and
// "$@" its arguments.
func Instead(t *testing.T, command, script string) {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script = fmt.Sprintf("#!/bin/sh\ngit=%s\nif test \"$1\" = %s; then\n%s\nelse exec \"$git\" \"$@\"; fi\n", ref.Shell(git), command, script)
	if err := os.WriteFile(filepath.Join(dir, "git"), []byte(script), 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}
