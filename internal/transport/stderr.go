package transport

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

const (
	// MaxLine is the most bytes that [Options.Stderr] gets at a time, so that an endless line neither goes unheard nor fills our
	// memory.
	MaxLine = 4096

	// promptWait is how long to wait for the rest of a line before delivering what is there: a question has no line end.
	promptWait = 300 * time.Millisecond

	// After the transport's end, another process may still hold its standard error open, or write to it. So at most lastReads
	// more reads are made, each with a deadline: enough for what a pipe holds.
	lastReads = 32
	lastWait  = 500 * time.Millisecond
)

// Shown returns a line of the transport's as shown to the user: quoted as in Go, so that it stays one line and can't control the terminal.
func Shown(line string) string { return fmt.Sprintf("transport: %q\n", line) }

// stderr delivers what the transport writes on standard error.
type stderr struct {
	r         *os.File
	deliver   func(string)
	finishing atomic.Bool
}

// run delivers lines as they come, until end of file or [stderr.finish].
func (l *stderr) run() {
	var pending []byte
	buf := make([]byte, MaxLine)
	for reads := 0; reads < lastReads; {
		var until time.Time
		if len(pending) > 0 {
			until = time.Now().Add(promptWait)
		}
		l.r.SetReadDeadline(until)
		last := l.finishing.Load() // if it is set later, finish changes the deadline just set
		if last {
			l.r.SetReadDeadline(time.Now().Add(lastWait))
			reads++
		}
		n, err := l.r.Read(buf)
		pending = deliverWhole(append(pending, buf[:n]...), l.deliver)
		if err == nil {
			continue
		}
		if len(pending) > 0 {
			l.deliver(string(pending))
			pending = nil
		}
		if last || !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// finish makes run deliver what is there already and return.
func (l *stderr) finish() {
	l.finishing.Store(true)
	if l.r.SetReadDeadline(time.Now().Add(lastWait)) != nil {
		l.r.Close() // Windows' pipes have no deadlines
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
