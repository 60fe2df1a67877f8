package transport

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// FuzzLines checks that, however a transport's output is cut into reads, the lines are all of it, in order, none longer than
// MaxLine; and that each is shown quoted, on one line, without a control character.
func FuzzLines(f *testing.F) {
	f.Add([]byte("17e58\n"), uint16(1))
	f.Add([]byte("one\r\n\x1b[2J\u202e\u2028\xff\x00\n\nrest \" \\"), uint16(7))
	f.Add(bytes.Repeat([]byte("x"), 2*MaxLine+5), uint16(MaxLine-1))
	f.Fuzz(func(t *testing.T, said []byte, size uint16) {
		var lines []string
		deliver := func(line string) { lines = append(lines, line) }
		var pending []byte
		for rest := said; len(rest) > 0; {
			n := min(len(rest), int(size)+1)
			pending = deliverWhole(append(pending, rest[:n]...), deliver)
			rest = rest[n:]
			if len(pending) >= MaxLine || bytes.Contains(pending, []byte("\n")) {
				t.Fatalf("%d bytes are kept back, %q", len(pending), pending)
			}
		}
		if len(pending) > 0 {
			deliver(string(pending))
		}
		if got := strings.Join(lines, ""); got != string(said) {
			t.Errorf("%q became %q", said, got)
		}
		for _, line := range lines {
			if line == "" || len(line) > MaxLine || strings.Contains(line[:len(line)-1], "\n") {
				t.Errorf("a line of %d bytes: %q", len(line), line)
			}
			shown := Shown(line)
			text, ok := strings.CutSuffix(shown, "\n")
			if !ok || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) {
				t.Errorf("%q is shown as %q", line, shown)
			}
			quoted, _ := strings.CutPrefix(text, "transport: ")
			if again, err := strconv.Unquote(quoted); err != nil || again != line {
				t.Errorf("%q is shown as %q, which is %q, %v", line, shown, again, err)
			}
		}
	})
}
