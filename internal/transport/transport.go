// Package transport turns a shell expression, or this process's own standard input and output, into a full-duplex pipe.
//
// A transport is any program whose standard input and output lead to somebody: ssh, socat, a shell pipeline. The package
// starts it, passes on its standard error, lends it the terminal while it may ask questions there, and leaves nothing of it
// behind when the pipe is closed.
package transport

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// defaultGrace is the value of [Options.Grace] if that is zero.
const defaultGrace = 2 * time.Second

// Options say what [Start] starts.
type Options struct {
	// Expression is run as `sh -c Expression`, in the current directory.
	Expression string

	// Env is the transport's whole environment.
	Env []string

	// Stderr is called with each line of the transport's standard error as it comes, with its line end if it has one; with
	// each piece of [MaxLine] bytes of a longer line; and with an unfinished line, such as a question, if the rest
	// doesn't follow soon. Calls don't overlap. It must not call Close or Ended, which wait for it.
	Stderr func(line string)

	// Grace is how long the transport gets to end by itself, then after SIGTERM, then after SIGKILL. Zero means two seconds.
	Grace time.Duration
}

// Transport is a running shell expression. Its methods may be called from any goroutine. Close must be called, even if the
// expression has ended by itself.
type Transport struct {
	in     *os.File // our end of the transport's standard input
	out    *os.File // our end of its standard output
	stderr *os.File // our end of its standard error
	grace  time.Duration
	proc   *process

	closing    sync.Once
	ending     chan struct{} // closed when the end begins
	closeErr   error
	stderrDone chan struct{} // closed when the last line was delivered
}

// Start runs the expression and returns at once. Only Close ends it: a caller told to stop may have last words for the peer.
func Start(o Options) (*Transport, error) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		return nil, fmt.Errorf("transport: no shell to run it with: %w", err)
	}
	if o.Grace <= 0 {
		o.Grace = defaultGrace
	}

	var ours, theirs [3]*os.File
	defer func() { closeAll(theirs[:]) }()
	for i := range ours {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(ours[:])
			return nil, fmt.Errorf("transport: %w", err)
		}
		if i == 0 { // its standard input is ours to write to
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
		in: ours[0], out: ours[1], stderr: ours[2],
		grace: o.Grace, proc: proc,
		ending:     make(chan struct{}),
		stderrDone: make(chan struct{}),
	}
	go func() {
		defer close(t.stderrDone)
		deliverLines(t.stderr, o.Stderr)
	}()
	return t, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// Read reads from the transport's standard output. The error is [io.EOF] when the transport has closed it, and [os.ErrClosed]
// after Close.
func (t *Transport) Read(b []byte) (int, error) {
	n, err := t.out.Read(b)
	select {
	case <-t.ending: // nobody wants these bytes any more
		return 0, explain(os.ErrClosed)
	default:
		return n, explain(err)
	}
}

// Write writes to the transport's standard input. After Close the error is [os.ErrClosed]; it is a broken pipe if the transport
// no longer reads.
func (t *Transport) Write(b []byte) (int, error) {
	n, err := t.in.Write(b)
	return n, explain(err)
}

// explain removes the name of our end of the pipe, which tells the user nothing.
func explain(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if path, ok := errors.AsType[*os.PathError](err); ok {
		err = path.Err
	}
	return fmt.Errorf("transport: %w", err)
}

// TakeTerminal ends the transport's questions: the terminal's foreground is ours again, if it was lent. It is idempotent;
// Close implies it.
func (t *Transport) TakeTerminal() { t.proc.takeTerminal() }

// Interrupted returns whether the transport got SIGINT before it ended, as from Ctrl-C at the terminal it was lent. Only its
// process group saw that, so this process should act as if it had got the signal too. It returns false while the transport
// runs.
func (t *Transport) Interrupted() bool {
	return t.proc.ended(0) && t.proc.interrupted
}

// Ended waits for the transport to end by itself, within the grace, and returns how it did: "exit status 255", "signal: killed".
// It serves to explain an early end of file. All lines of standard error have been delivered when it returns true, unless a
// process that the transport left behind holds standard error open.
func (t *Transport) Ended() (status string, ended bool) {
	late := time.After(t.grace)
	if !t.proc.ended(t.grace) {
		return "", false
	}
	select {
	case <-t.stderrDone:
	case <-late:
	}
	return t.proc.status, true
}

// ended waits for the shell to end, for at most the grace, and returns whether it has.
func (p *process) ended(grace time.Duration) bool {
	select {
	case <-p.exited:
	case <-time.After(grace):
	}
	select { // on a busy machine both may be ready
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Close ends the transport, and returns when nothing of it is left. It closes the transport's standard input, which unblocks
// Write, and gives the transport time to end by itself; then its process group gets SIGTERM, and after another grace SIGKILL,
// also when only other processes of the group are left. A Read is unblocked at the end of all that. The error says that a
// process could not be ended.
func (t *Transport) Close() error {
	t.closing.Do(t.end)
	return t.closeErr
}

func (t *Transport) end() {
	// Its standard input goes first: that unblocks our writers and tells the transport that it may go.
	t.in.Close()
	close(t.ending)
	// A transport that finds its output closed or full may not pass on the last of its input: a goodbye, on a long link.
	var draining sync.WaitGroup
	draining.Go(func() { io.Copy(io.Discard, t.out) }) // beside a pending Read, if any
	t.closeErr = t.proc.end(t.grace)
	t.out.Close()
	draining.Wait()
	t.proc.takeTerminal()
	// All that the transport wrote is in the pipe by now. A process that has left its group may hold the far end open for ever.
	late := time.AfterFunc(lastWait, func() { t.stderr.Close() })
	<-t.stderrDone
	late.Stop()
	t.stderr.Close()
}
