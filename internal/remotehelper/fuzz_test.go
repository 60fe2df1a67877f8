package remotehelper

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// FuzzRefName: a reference's name is taken if git takes it and it is HEAD or lies under refs/, and a name that is refused
// is refused in plain words.
func FuzzRefName(f *testing.F) {
	for _, name := range []string{"HEAD", "refs/heads/main", "refs/heads/a..b", "refs/x.lock", "refs/./a", "refs/a@{", "refs/\x7f", "refs/ä", "refs/\xff", "refs//", "config", "refs/a\\"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		err := checkName(name)
		if err != nil && hasControl(err.Error()) {
			t.Errorf("the error is %q", err)
		}
		if !strings.HasPrefix(name, "refs/") || len(name) > maxName || strings.Contains(name, "\x00") {
			if err == nil && name != "HEAD" {
				t.Errorf("%q was taken", name)
			}
			return
		}
		if git := exec.Command("git", "check-ref-format", name).Run(); (git == nil) != (err == nil) {
			t.Errorf("%q: git says %v, we say %v", name, git, err)
		}
	})
}

// FuzzFromUser: no value of GIT_PROTOCOL_FROM_USER lets a shell be started that git itself does not read as true.
func FuzzFromUser(f *testing.F) {
	for _, value := range []string{"1", "0", "", "true", "yes", "ON", "-1", "0x10k", "010", "08", "1_0", "0b1", "+1g", "2147483648", " 1", "1\n", "k"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		err := AllowedByEnvironment(func(string) (string, bool) { return value, true })
		if err != nil {
			if hasControl(err.Error()) {
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
