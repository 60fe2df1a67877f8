package remotehelper

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"aig/internal/ref"
)

// A shell is started for what the user typed, and for nothing that git or a confused value says otherwise about; git's
// own reading of booleans is the oracle.
func TestAllowedByEnvironment(t *testing.T) {
	if err := AllowedByEnvironment(func(string) (string, bool) { return "", false }); err != nil {
		t.Errorf("refused without the variable: %v", err)
	}
	for _, v := range []string{
		"1", "true", "TRUE", "Yes", "on", "-1", "+1", "2k", "1g", "-1G", "2047m", "0x1", "0xb", "010", "1m", "2147483647",
		"0", "", "false", "No", "OFF", "00", "0x0", "-0", "0k", "x", "0 ", "0b1", "0o7", "1_0", "1kk", "k", "tru", "1\n", "99999999999", "2g", "-2147483648", "2147483648", "2048M", "\x1b",
	} {
		err := AllowedByEnvironment(func(name string) (string, bool) {
			if name != "GIT_PROTOCOL_FROM_USER" {
				t.Errorf("asked for %q", name)
			}
			return v, true
		})
		if err != nil && (!strings.Contains(err.Error(), "GIT_PROTOCOL_FROM_USER") || ref.HasControl(err.Error())) {
			t.Errorf("%q: the error is %q", v, err)
		}
		cmd := exec.CommandContext(t.Context(), "git", "-c", "x.y="+v, "config", "--type=bool", "x.y")
		cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1")
		out, _ := cmd.Output()                               // a value that is no boolean fails, and is refused
		git := string(out) == "true\n" && v != "-2147483648" // newer versions of git take it, and we don't
		if git != (err == nil) {
			t.Errorf("%q: git reads %q, we say %v", v, out, err)
		}
	}
}
