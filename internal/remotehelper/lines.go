package remotehelper

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// errGone is why a call to the Remote was cancelled when git closed its end of the pipe.
var errGone = errors.New("git went away before it had its answer")

// lines reads lines from git in a goroutine, one ahead of what was asked for: that is how it is noticed that git has gone
// while the Remote is busy.
type lines struct {
	in     io.Reader
	read   chan string     // closed at the end
	err    error           // why it ended; io.EOF between two lines only
	ended  context.Context // ends with read
	closed chan struct{}
}

func newLines(in io.Reader) *lines {
	ended, end := context.WithCancel(context.Background())
	l := &lines{in: in, read: make(chan string), ended: ended, closed: make(chan struct{})}
	go func() {
		defer end()
		defer close(l.read)
		l.err = l.readAll()
	}()
	return l
}

func (l *lines) readAll() error {
	in := bufio.NewReaderSize(l.in, maxLine)
	for {
		b, err := in.ReadSlice('\n')
		switch {
		case err == nil:
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("git sent a line of more than %d bytes: %.80q", maxLine, b)
		case errors.Is(err, io.EOF) && len(b) > 0:
			return fmt.Errorf("git went away in the middle of a line: %.80q", b)
		case errors.Is(err, io.EOF):
			return io.EOF
		default:
			return fmt.Errorf("reading from git: %w", err)
		}
		select {
		case l.read <- string(b[:len(b)-1]):
		case <-l.closed:
			return nil
		}
	}
}

// next waits for the next line.
func (l *lines) next(ctx context.Context) (string, error) {
	select {
	case line, ok := <-l.read:
		if !ok {
			return "", l.err
		}
		return line, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// during calls f with a context that ends when git goes away.
func (l *lines) during(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(l.ended, func() { cancel(errGone) })()
	err := f(ctx)
	if cause := context.Cause(ctx); err != nil && cause == errGone && !errors.Is(err, errGone) {
		return fmt.Errorf("%w (%w)", errGone, err)
	}
	return err
}

// close ends a read that is under way, if the reader has deadlines, and waits for it. Without deadlines there is no way to:
// the goroutine then stays until the reader gives it a line or an end.
func (l *lines) close() {
	close(l.closed)
	if d, ok := l.in.(interface{ SetReadDeadline(time.Time) error }); ok && d.SetReadDeadline(time.Unix(1, 0)) == nil {
		<-l.ended.Done()
	}
}
