package remotehelper

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// errGone is the cause with which a call to the Remote is cancelled when git closes its end of the pipe.
var errGone = errors.New("git went away before it had its answer")

// lines reads lines from git in a goroutine, one ahead of what was asked for: so it notices that git has gone while the
// Remote is busy.
type lines struct {
	in     io.Reader
	read   chan string     // closed at the end
	err    error           // why it ended; io.EOF if git has no more
	ended  context.Context // ends with read
	closed chan struct{}
}

func newLines(in io.Reader) *lines {
	ended, end := context.WithCancel(context.Background())
	l := &lines{in: in, read: make(chan string), err: io.EOF, ended: ended, closed: make(chan struct{})}
	go func() {
		defer end()
		defer close(l.read)
		scanner := bufio.NewScanner(in)
		for scanner.Scan() {
			select {
			case l.read <- scanner.Text():
			case <-l.closed:
				return
			}
		}
		if err := scanner.Err(); err != nil {
			l.err = fmt.Errorf("reading from git: %w", err)
		}
	}()
	return l
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

// close ends a pending read and waits for it, if the reader has deadlines. Otherwise the goroutine stays until the reader
// gives it a line or an end.
func (l *lines) close() {
	close(l.closed)
	if d, ok := l.in.(interface{ SetReadDeadline(time.Time) error }); ok && d.SetReadDeadline(time.Unix(1, 0)) == nil {
		<-l.ended.Done()
	}
}
