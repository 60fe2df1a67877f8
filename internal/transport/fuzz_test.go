package transport

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
)

// cut reads what was said, at most size bytes at a time. By then, no whole line of what was read before may be untold.
type cut struct {
	t                *testing.T
	said             []byte
	size, read, told int
}

func (c *cut) Read(p []byte) (int, error) {
	if kept := c.said[c.told:c.read]; len(kept) >= MaxLine || bytes.Contains(kept, []byte("\n")) {
		c.t.Fatalf("%d bytes are kept back, %q", len(kept), kept)
	}
	if c.read == len(c.said) {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.size)], c.said[c.read:])
	c.read += n
	return n, nil
}

func (c *cut) SetReadDeadline(time.Time) error { return nil }

// FuzzLines checks that, however a transport's output is cut into reads, the lines are all of it, in order, none longer than
// MaxLine; and that each is shown quoted, on one line, without a control character.
func FuzzLines(f *testing.F) {
	f.Add([]byte("17e58\n"), uint16(1))
	f.Add([]byte("one\r\n\x1b[2J\u202e\u2028\xff\x00\n\nrest \" \\"), uint16(7))
	f.Add(bytes.Repeat([]byte("x"), 2*MaxLine+5), uint16(MaxLine-1))
	f.Fuzz(func(t *testing.T, said []byte, size uint16) {
		var lines []string
		source := &cut{t: t, said: said, size: int(size) + 1}
		deliverLines(source, func(line string) {
			lines = append(lines, line)
			source.told += len(line)
		})
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
