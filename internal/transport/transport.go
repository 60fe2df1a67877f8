// Package transport turns a shell expression into a full-duplex pipe, and this
// process's own standard input and output into another.
//
// A transport is any program whose standard input and output are the two
// directions of a pipe to somebody: ssh, socat, a shell pipeline. The package
// starts it, hands out its two directions, passes on what it says on standard
// error, lends it the terminal for as long as it may ask questions there, and
// sees to it that nothing of it is left when the pipe is closed.
package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// DefaultGrace is how long each step of the ending may take where
// [Options.Grace] is zero.
const DefaultGrace = 2 * time.Second

// Options say what [Start] starts.
type Options struct {
	// Expression is run as `sh -c Expression`, in the current directory.
	Expression string

	// Env is the complete environment of the transport. Nil means this
	// process's own.
	Env []string

	// Stderr is called for each line of the transport's standard error as it
	// comes, with the line end if there was one, and for each piece of
	// [MaxLine] bytes of a longer line. Calls don't overlap. It must not call
	// Close or Ended, which wait for it. Nil drops the lines.
	Stderr func(line string)

	// Grace is how long each step of the ending may take: ending by itself,
	// ending after SIGTERM, being gone after SIGKILL. Zero means [DefaultGrace].
	Grace time.Duration
}

// Pipe is what a transport and the standard streams have in common.
type Pipe interface {
	io.ReadWriteCloser

	// CloseWrite ends the direction away from us: the other side reads what
	// was written and then end of file.
	CloseWrite() error
}

var (
	_ Pipe = (*Transport)(nil)
	_ Pipe = (*StandardPipe)(nil)
)

// Transport is a running shell expression. Its methods may be called from any
// goroutine. Close must be called, also after the expression ended by itself.
type Transport struct {
	ctx    context.Context // of Start: its end is the transport's
	in     *os.File        // our end of the transport's standard input
	out    *os.File        // our end of its standard output
	errors *os.File        // our end of its standard error
	grace  time.Duration
	proc   *process

	reading    sync.Mutex // held by who reads out
	closeOnce  sync.Once
	closing    chan struct{} // closed by the first Close
	ending     chan struct{} // closed when the ending begins, for either reason
	closed     chan struct{} // closed when everything is over and closeErr is set
	closeErr   error
	stderrDone chan struct{} // closed when the last line was delivered
}

// Start runs the expression and returns at once; nothing has been read or
// written yet. When ctx ends the transport is ended as by Close.
func Start(ctx context.Context, o Options) (*Transport, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		return nil, fmt.Errorf("transport: no shell to run it with: %w", err)
	}
	if o.Env == nil {
		o.Env = os.Environ()
	}
	if o.Grace <= 0 {
		o.Grace = DefaultGrace
	}
	if o.Stderr == nil {
		o.Stderr = func(string) {}
	}

	var ours, theirs [3]*os.File
	defer func() { closeAll(theirs[:]) }()
	for i := range ours {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(ours[:])
			return nil, fmt.Errorf("transport: %w", err)
		}
		if i == 0 { // standard input is the one that we write to
			r, w = w, r
		}
		ours[i], theirs[i] = r, w
	}
	proc, err := startProcess(sh, o, theirs)
	if err != nil {
		closeAll(ours[:])
		return nil, fmt.Errorf("transport: running %s: %w", sh, err)
	}

	t := &Transport{
		ctx: ctx, in: ours[0], out: ours[1], errors: ours[2],
		grace: o.Grace, proc: proc,
		closing:    make(chan struct{}),
		ending:     make(chan struct{}),
		closed:     make(chan struct{}),
		stderrDone: make(chan struct{}),
	}
	go func() {
		defer close(t.stderrDone)
		deliverLines(t.errors, o.Stderr)
	}()
	go t.supervise()
	return t, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// supervise is the one goroutine that ends the transport, whoever asked for it.
func (t *Transport) supervise() {
	defer close(t.closed)
	select {
	case <-t.ctx.Done():
	case <-t.closing:
	}
	// Our end of its standard input goes first: it unblocks our own writers,
	// and it is how the transport learns that it may go.
	t.in.Close()
	close(t.ending)
	var draining sync.WaitGroup
	draining.Go(t.drain)
	t.closeErr = t.proc.end(t.grace)
	t.out.Close()
	draining.Wait()
	t.proc.takeTerminal()
	// All that the transport wrote is in the pipe by now. Somebody who left
	// its process group may hold the other end open for ever: that one is not
	// waited for.
	finishLines(t.errors)
	<-t.stderrDone
	t.errors.Close()
}

// drain frees a pending Read and then reads on in its place until the end of
// the transport. Nobody wants these bytes, but a transport that finds its
// output closed may die of it (of SIGPIPE, say) before it has passed on the
// last of what was written to it: a goodbye, on a long link.
func (t *Transport) drain() {
	t.out.SetReadDeadline(time.Unix(1, 0))
	t.reading.Lock() // the pending Read, if any, is over
	defer t.reading.Unlock()
	t.out.SetReadDeadline(time.Time{})
	io.Copy(io.Discard, t.out)
}

// Read reads from the transport's standard output. After the transport closed
// it, the error is [io.EOF]; after Close, [os.ErrClosed]; after the end of the
// context, the context's cause.
func (t *Transport) Read(b []byte) (int, error) {
	t.reading.Lock()
	defer t.reading.Unlock()
	n, err := t.out.Read(b)
	select {
	case <-t.ending:
		if err != nil {
			err = os.ErrClosed // whichever came first: drain's deadline, or the end
		}
	default:
	}
	return n, t.explain(err)
}

// Write writes to the transport's standard input. Errors are as Read's, and a
// broken pipe where the transport reads no more.
func (t *Transport) Write(b []byte) (int, error) {
	n, err := t.in.Write(b)
	return n, t.explain(err)
}

// CloseWrite closes the transport's standard input. Reading goes on.
func (t *Transport) CloseWrite() error {
	if err := t.in.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("transport: %w", bare(err))
	}
	return nil
}

// explain says the cause where the pipe was closed because the context ended.
func (t *Transport) explain(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if cause := context.Cause(t.ctx); cause != nil && errors.Is(err, os.ErrClosed) {
		return cause
	}
	return fmt.Errorf("transport: %w", bare(err))
}

// bare removes the name of our end of the pipe, which says nothing to anybody.
func bare(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// TakeTerminal says that no questions are to come any more: the terminal's
// foreground is this process group's again, if the transport's had it. It is
// idempotent, and Close implies it.
func (t *Transport) TakeTerminal() { t.proc.takeTerminal() }

// Interrupted tells whether the transport was ended by SIGINT, as typed at the
// terminal that it had been lent: then only the transport has seen the
// signal, and this process should behave as if it had been sent it too.
// False as long as the transport runs.
func (t *Transport) Interrupted() bool {
	select {
	case <-t.proc.exited:
		return t.proc.interrupted
	default:
		return false
	}
}

// Ended waits for the transport to end by itself, as long as ctx and the grace
// allow, and says how it did: "exit status 255", "signal: killed". It is for
// explaining an early end of file. The lines of standard error have been
// delivered when it returns, unless a process that the transport left behind
// holds standard error open.
func (t *Transport) Ended(ctx context.Context) (status string, ended bool) {
	timer := time.NewTimer(t.grace)
	defer timer.Stop()
	select {
	case <-t.proc.exited:
	case <-ctx.Done():
		return "", false
	case <-timer.C:
		return "", false
	}
	select {
	case <-t.stderrDone:
	case <-ctx.Done():
	case <-timer.C:
	}
	return t.proc.status, true
}

// Close ends the transport. Its standard input and output are closed, which
// unblocks Read and Write, and it has a grace to end by itself; then its
// process group gets SIGTERM and another grace, then SIGKILL. What remains in
// the group after its leader ended gets the signals, too. Close returns when
// all this is over; the error says that a process could not be ended.
func (t *Transport) Close() error {
	t.closeOnce.Do(func() { close(t.closing) })
	<-t.closed
	return t.closeErr
}
