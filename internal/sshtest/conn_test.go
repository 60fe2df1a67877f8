package sshtest

import (
	"io"
	"strings"
	"testing"
)

// A version line needn't end in CR LF, and may be empty.
func TestVersions(t *testing.T) {
	for line, want := range map[string]string{"SSH-2.0-x\r\n": "SSH-2.0-x", "SSH-2.0-x\n": "SSH-2.0-x", "\n": ""} {
		c := New(struct {
			io.Reader
			io.Writer
		}{strings.NewReader(line), io.Discard})
		if err := c.Versions(); err != nil || c.Theirs != want {
			t.Errorf("%q: %q, %v", line, c.Theirs, err)
		}
	}
}
