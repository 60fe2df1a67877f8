package remotehelper

import (
	"os"
	"os/exec"
	"testing"

	"aig/internal/ref"
)

// FuzzFromUser: no value of GIT_PROTOCOL_FROM_USER lets a shell be started that git itself does not read as true.
func FuzzFromUser(f *testing.F) {
	for _, value := range []string{"1", "0", "", "true", "yes", "ON", "-1", "0x10k", "010", "08", "1_0", "0b1", "+1g", "2147483648", " 1", "1\n", "k"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		err := AllowedByEnvironment(func(string) (string, bool) { return value, true })
		if err != nil {
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
