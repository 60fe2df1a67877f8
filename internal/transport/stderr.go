package transport

import (
	"bufio"
	"fmt"
	"io"
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
func deliverLines(r deadlineReader, deliver func(line string)) {
	waiting := &patient{deadlineReader: r}
	lines := bufio.NewReaderSize(waiting, MaxLine)
	for {
		waiting.begun = false
		if _, err := lines.Peek(1); err != nil {
			return
		}
		waiting.begun = true
		line, _ := lines.ReadSlice('\n') // or what there is of one, if it is too long, doesn't go on in time or ends without a line end
		deliver(string(line))
	}
}

// deadlineReader is an *os.File.
type deadlineReader interface {
	io.Reader
	SetReadDeadline(time.Time) error // Windows' pipes have none
}

// patient waits without end for a line to begin, and promptWait for it to go on.
type patient struct {
	deadlineReader
	begun bool
}

func (p *patient) Read(b []byte) (int, error) {
	var until time.Time
	if p.begun {
		until = time.Now().Add(promptWait)
	}
	p.SetReadDeadline(until)
	return p.deadlineReader.Read(b)
}
