package remotehelper

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"aig/internal/ref"
)

// A shell is started only if the variable is absent or git reads it as true; git's own reading of booleans is the oracle.
func TestAllowedByEnvironment(t *testing.T) {
	if err := AllowedByEnvironment(func(string) (string, bool) { return "", false }); err != nil {
		t.Errorf("refused without the variable: %v", err)
	}
	for v, want := range map[string]bool{
		"1": true, "true": true, "TRUE": true, "Yes": true, "on": true,
		"0": false, "": false, "false": false, "No": false, "OFF": false, "00": false, "x": false, "0 ": false, "tru": false, "1\n": false, "\x1b": false,
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
		out, _ := cmd.Output() // a value that isn't a boolean fails
		if git := string(out) == "true\n"; (err == nil) != want || git != want {
			t.Errorf("%q: git reads %q, we say %v", v, out, err)
		}
	}
}
