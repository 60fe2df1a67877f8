package transport

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"
)

const (
	// MaxLine is the most bytes that [Options.Stderr] gets at a time, so that an endless line neither goes unheard nor fills our
	// memory.
	MaxLine = 4096

	// promptWait is how long to wait for the rest of a line before delivering what is there: a question has no line end.
	promptWait = 300 * time.Millisecond

	// lastWait is how long, after the transport's end, the last of what it has written may take to be delivered.
	lastWait = time.Second
)

// Shown returns a line of the transport's as shown to the user: quoted as in Go, so that it stays one line and can't control the terminal.
func Shown(line string) string { return fmt.Sprintf("transport: %q\n", line) }

// deliverLines delivers what the transport writes on standard error as it comes, until its end or r is closed.
func deliverLines(r *os.File, deliver func(string)) {
	var pending []byte
	buf := make([]byte, MaxLine)
	for {
		var until time.Time
		if len(pending) > 0 {
			until = time.Now().Add(promptWait)
		}
		r.SetReadDeadline(until) // Windows' pipes have none
		n, err := r.Read(buf)
		pending = deliverWhole(append(pending, buf[:n]...), deliver)
		if err != nil && len(pending) > 0 {
			deliver(string(pending))
			pending = nil
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// deliverWhole delivers the whole lines in b and pieces of overlong ones, and returns the rest: less than a piece, without a
// line end.
func deliverWhole(b []byte, deliver func(string)) []byte {
	for {
		end := bytes.IndexByte(b, '\n') + 1
		if end == 0 && len(b) < MaxLine {
			return b
		}
		if end == 0 || end > MaxLine {
			end = MaxLine
		}
		deliver(string(b[:end]))
		b = b[end:]
	}
}
