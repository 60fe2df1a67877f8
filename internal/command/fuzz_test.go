package command

import (
	"errors"
	"strings"
	"testing"
	"unicode"
)

// FuzzLastLine checks that, whatever an error says, the last line is a single one, begins with "fatal: " and has no
// unprintable character; and that a harmless message is printed unchanged.
func FuzzLastLine(f *testing.F) {
	f.Add("the pipe ended")
	f.Add("a\nb\r\x1b[2J\u202e\u2028\x00\xff'\\")
	f.Fuzz(func(t *testing.T, message string) {
		var stderr strings.Builder
		if status := Status(errors.New(message), &stderr); status != StatusFailed {
			t.Errorf("status %d", status)
		}
		text, whole := strings.CutSuffix(stderr.String(), "\n")
		text, fatal := strings.CutPrefix(text, "fatal: ")
		if !whole || !fatal || strings.ContainsFunc(text, unprintable) {
			t.Errorf("%q is said as %q", message, stderr.String())
		}
		if !strings.ContainsFunc(message, unprintable) && text != string([]rune(message)) {
			t.Errorf("%q is said as %q", message, text)
		}
		if again := OneLine(text); again != text {
			t.Errorf("%q became %q", text, again)
		}
	})
}

func unprintable(c rune) bool { return !unicode.IsPrint(c) }
