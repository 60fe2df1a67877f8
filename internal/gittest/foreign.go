package gittest

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// MustBeClean checks that a message can be shown anywhere, whatever foreign text is in it: at most 8 KiB of valid UTF-8,
// in which every character is printable, so that it is one line.
func MustBeClean(t testing.TB, message string) {
	t.Helper()
	raw := strings.ContainsFunc(message, func(r rune) bool { return !unicode.IsPrint(r) })
	if raw || !utf8.ValidString(message) || len(message) > 8<<10 {
		t.Errorf("a message of %d bytes that is not clean: %.500q", len(message), message)
	}
}
