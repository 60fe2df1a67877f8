package standing

import (
	"os/exec"
	"testing"
)

// FuzzBranchName: a name that may stand in a command is one that git takes for a branch of exactly that name, not for the
// name of another one ("@{-1}") and not for an option.
func FuzzBranchName(f *testing.F) {
	for _, name := range []string{"main", "-x", "@", "@{-1}", "a..b", "a.lock", "a/.b", "HEAD", "a~1", "ä", "refs/heads/x", "a@b", "x.", "a//b", "\\"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !takable(name) {
			return
		}
		out, err := exec.Command("git", "check-ref-format", "--branch", name).CombinedOutput()
		if err != nil || string(out) != name+"\n" {
			t.Errorf("git takes %q for %q, %v", name, out, err)
		}
	})
}
