package app

import (
	"os"
	"os/exec"
	"testing"

	"aig/internal/git"
	"aig/internal/ref"
)

// FuzzFromUser checks that every value of GIT_PROTOCOL_FROM_USER that lets a shell be started is one that git reads as true.
func FuzzFromUser(f *testing.F) {
	for _, value := range []string{"1", "0", "", "true", "yes", "ON", "-1", "0x10k", "010", "08", "1_0", "0b1", "+1g", "2147483648", " 1", "1\n", "k"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		c := Config{Git: git.Git{Env: []string{"GIT_PROTOCOL_FROM_USER=" + value}}}
		if err := c.allowedByEnvironment(); err != nil {
			if ref.HasControl(err.Error()) {
				t.Errorf("the error is %q", err)
			}
			return
		}
		cmd := exec.Command("git", "-c", "x.y="+value, "config", "--type=bool", "x.y")
		cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1")
		if out, err := cmd.Output(); string(out) != "true\n" {
			t.Errorf("%q: git reads %q, %v", value, out, err)
		}
	})
}
