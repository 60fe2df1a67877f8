package oid

import (
	"encoding/hex"
	"strings"
	"testing"
)

// FuzzParse: an accepted name has exactly as many digits as it should, and formats to the same ones; the error for any other
// shows nothing raw.
func FuzzParse(f *testing.F) {
	f.Add("4b825dc642cb6eb9a060e54bf8d69288fbee4904", "sha1")
	f.Add("6EF19B41225C5369F1C104D45D8D85EFA9B057B53B14B4B9B939DD74DECC5321", "sha256")
	f.Add("4b825dc642cb6eb9a060e54bf8d69288fbee490\n", "md5")
	f.Fuzz(func(t *testing.T, s, format string) {
		for _, known := range []Format{SHA1, SHA256} {
			name := make([]byte, known.Size())
			err := known.Parse(name, []byte(s))
			if err == nil && hex.EncodeToString(name) != strings.ToLower(s) {
				t.Errorf("%q became %x", s, name)
			}
			mustBePlain(t, err)
		}
		got, err := ParseFormat(format)
		if err == nil && string(got) != format {
			t.Errorf("%q became %q", format, got)
		}
		mustBePlain(t, err)
	})
}

func mustBePlain(t *testing.T, err error) {
	t.Helper()
	if err != nil && strings.ContainsFunc(err.Error(), func(c rune) bool { return c < ' ' || c == 0x7f }) {
		t.Errorf("the error is %q", err)
	}
}
