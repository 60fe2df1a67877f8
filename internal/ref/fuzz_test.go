package ref

import (
	"os/exec"
	"strings"
	"testing"
)

// FuzzRefName: a reference's name is accepted if git accepts it and it is HEAD or lies under refs/.
func FuzzRefName(f *testing.F) {
	for _, name := range []string{"HEAD", "refs/heads/main", "refs/heads/a..b", "refs/x.lock", "refs/./a", "refs/a@{", "refs/\x7f", "refs/ä", "refs/\xff", "refs//", "config", "refs/a\\"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		ours := IsName(name)
		if !strings.HasPrefix(name, "refs/") || len(name) > MaxName || strings.Contains(name, "\x00") {
			if ours && name != "HEAD" {
				t.Errorf("%q was taken", name)
			}
			return
		}
		if git := exec.Command("git", "check-ref-format", name).Run(); (git == nil) != ours {
			t.Errorf("%q: git says %v, we say %t", name, git, ours)
		}
	})
}

// FuzzBranchName: a name that may stand in a command is one that git takes for a branch of exactly that name, not for
// another branch ("@{-1}") and not for an option.
func FuzzBranchName(f *testing.F) {
	for _, name := range []string{"main", "-x", "@", "@{-1}", "a..b", "a.lock", "a/.b", "HEAD", "a~1", "ä", "refs/heads/x", "a@b", "x.", "a//b", "\\"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !IsBranch(name) {
			return
		}
		out, err := exec.Command("git", "check-ref-format", "--branch", name).CombinedOutput()
		if err != nil || string(out) != name+"\n" {
			t.Errorf("git takes %q for %q, %v", name, out, err)
		}
	})
}
