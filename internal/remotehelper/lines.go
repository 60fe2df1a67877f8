package remotehelper

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// errGone is the cause of a cancelled call to the Remote when git closed its end of the pipe meanwhile.
var errGone = errors.New("git went away before it had its answer")

// lines reads lines from git, at most one ahead of what was asked for: that one is how it is noticed that git has gone
// while the Remote is busy.
type lines struct {
	in  io.Reader
	buf *bufio.Reader
	// pending gets the line that is being read; nil if none is. It has room for one, so that the reading goroutine never
	// waits and a line can be put back.
	pending chan readLine
}

type readLine struct {
	text string
	err  error
}

func newLines(in io.Reader) *lines {
	return &lines{in: in, buf: bufio.NewReaderSize(in, maxLine)}
}

func (l *lines) start() {
	if l.pending == nil {
		pending := make(chan readLine, 1)
		l.pending = pending
		go func() {
			text, err := l.read()
			pending <- readLine{text, err}
		}()
	}
}

// read reads one line. Its error is io.EOF between two lines only.
func (l *lines) read() (string, error) {
	b, err := l.buf.ReadSlice('\n')
	switch {
	case err == nil:
		return string(b[:len(b)-1]), nil
	case errors.Is(err, bufio.ErrBufferFull):
		return "", fmt.Errorf("git sent a line of more than %d bytes: %.80q", maxLine, b)
	case errors.Is(err, io.EOF) && len(b) > 0:
		return "", fmt.Errorf("git went away in the middle of a line: %.80q", b)
	case errors.Is(err, io.EOF):
		return "", io.EOF
	}
	return "", fmt.Errorf("reading from git: %w", err)
}

// next waits for the next line.
func (l *lines) next(ctx context.Context) (string, error) {
	l.start()
	select {
	case r := <-l.pending:
		l.pending = nil
		return r.text, r.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// during calls f with a context that ends when git goes away, and waits for f.
func (l *lines) during(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l.start()
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	select {
	case err := <-done:
		return err
	case r := <-l.pending:
		l.pending <- r // for next
		if r.err != nil {
			cancel(errGone)
		}
		err := <-done
		if err != nil && r.err != nil {
			return fmt.Errorf("%w (%w)", errGone, err)
		}
		return err
	}
}

// close ends a reading under way, if the reader has deadlines, and waits for it. Without deadlines there is no way to:
// the goroutine then stays until the reader gives it a line or an end.
func (l *lines) close() {
	if l.pending == nil {
		return
	}
	if d, ok := l.in.(interface{ SetReadDeadline(time.Time) error }); ok && d.SetReadDeadline(time.Unix(1, 0)) == nil {
		<-l.pending
	}
}
