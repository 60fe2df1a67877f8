package ref

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// invisible is what counts as printable and shows nothing (Unicode, Default_Ignorable_Code_Point).
var invisible = []*unicode.RangeTable{unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector}

// Printable reports whether a terminal shows every character of s as it is: no control character, none that changes the
// direction of the text or is invisible, nothing that isn't UTF-8.
func Printable(s string) bool {
	if s == "" || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) || r == utf8.RuneError || unicode.In(r, invisible...) {
			return false
		}
	}
	return true
}

// Show returns s if it is Printable, else a Go string literal of ASCII.
func Show(s string) string {
	if Printable(s) {
		return s
	}
	return strconv.QuoteToASCII(s)
}

// Plain reports whether s means itself to a terminal, to a shell and in a list of names.
func Plain(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._/+@-", r)
	}) < 0
}

// Quote returns s if it is Plain, else a Go string literal of ASCII.
func Quote(s string) string {
	if Plain(s) {
		return s
	}
	return strconv.QuoteToASCII(s)
}

// HasControl reports whether s holds one of ASCII's control characters.
func HasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// Shell returns words as a command line for a POSIX shell. Inside single quotes nothing is special but the closing one
// (POSIX.1-2017, Shell Command Language, 2.2.2).
func Shell(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if quoted[i] = w; !Plain(strings.ReplaceAll(w, ":", "")) {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
