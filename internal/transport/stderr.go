package transport

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"
)

// MaxLine is the most bytes that [Options.Stderr] is given at a time: a
// transport that writes without ever ending a line must neither be silent for
// ever nor fill our memory.
const MaxLine = 4096

// maxRest is the most that is read from standard error after the end of the
// transport. No system's pipe holds more by default, so it is all that the
// transport can have left there, and it bounds what somebody else who still
// writes to it can make us read.
const maxRest = 1 << 20

// Shown is a line of the transport's as a person may see it: quoted, so that
// none of its characters controls the terminal, and on one line.
func Shown(line string) string { return fmt.Sprintf("transport: %q\n", line) }

// deliverLines calls deliver for each line of r as it comes, until end of file
// or, after [finishLines], until there is nothing left to read at once.
func deliverLines(r *os.File, deliver func(string)) {
	var pending []byte
	take := func(b []byte) { pending = deliverWhole(append(pending, b...), deliver) }

	buf := make([]byte, MaxLine)
	var n int
	var err error
	for err == nil {
		n, err = r.Read(buf)
		take(buf[:n])
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		for rest := maxRest; rest > 0; rest -= n {
			if n = readAvailable(r, buf); n == 0 {
				break
			}
			take(buf[:n])
		}
	}
	if len(pending) > 0 {
		deliver(string(pending))
	}
}

// deliverWhole delivers the whole lines in b and the pieces of overlong ones,
// and returns what is left: less than a piece, without a line end.
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

// finishLines makes deliverLines(r) read what is there already and return.
func finishLines(r *os.File) {
	if r.SetReadDeadline(time.Now()) != nil {
		r.Close() // a system whose pipes have no deadlines
	}
}
