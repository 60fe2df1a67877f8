package transport

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"
)

// MaxLine is the most bytes that [Options.Stderr] gets at a time, so that an
// endless line is neither silent for ever nor fills our memory.
const MaxLine = 4096

// maxRest bounds, in bytes, what is read from standard error after the transport's
// end. No pipe holds more by default, so nothing of the transport's is lost, and
// another process that still writes there can't keep us.
const maxRest = 1 << 20

// Shown returns a line of the transport's fit for the terminal: Go-quoted, so that
// it stays one line and controls nothing.
func Shown(line string) string { return fmt.Sprintf("transport: %q\n", line) }

// deliverLines calls deliver with each line of r as it comes, until end of file
// or, after [finishLines], until nothing is left to read at once.
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

// deliverWhole delivers the whole lines in b and pieces of overlong ones, and
// returns the rest: less than a piece, without a line end.
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
