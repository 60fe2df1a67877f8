// Command pipe is a transport for tests: it runs a shell expression and relays both directions, like a link that is slow,
// long, or breaks. The programs under test see only its standard input and output.
//
//	pipe [--delay D] [--rate N] [--cut-to N] [--cut-from N] [--count FILE] [--hops FILE] <expression>
//
// "to" is the direction to the expression's standard input, "from" the one from its standard output. An end of file takes
// as long as a byte.
//
// A hop is a message that left after the last message of the other direction had arrived; hops are counted as the length
// of the longest chain of them. If each side waits for an answer before it goes on, two hops are a round trip. If both
// sides stream at the same time for longer than the delay, chains form that nobody waited for: then the count is only an
// upper bound.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

// link is what one direction does to bytes.
type link struct {
	delay time.Duration // of each byte
	rate  int64         // bytes a second; 0 is no limit
	cut   int64         // after that many bytes the whole pipe breaks; negative is never
	bytes atomic.Int64  // that have gone through

	other   *link
	hops    atomic.Int64 // length of the longest chain that ends with a message sent in this direction
	arrived atomic.Int64 // the same for a message that has arrived
}

// send notes that a message leaves, and returns the length of the chain that it ends.
func (l *link) send() int64 {
	l.hops.Store(max(l.hops.Load(), l.other.arrived.Load()+1))
	return l.hops.Load()
}

// chunk is bytes in flight.
type chunk struct {
	due   time.Time
	bytes []byte
	hops  int64
}

var errCut = errors.New("cut")

// relay moves bytes from r to w until an end, an error or the cut.
func (l *link) relay(w io.Writer, r io.Reader) error {
	// What a long link holds, and no more: the sender must feel a full link.
	underway := make(chan chunk, 1<<12)
	var written error
	var writing sync.WaitGroup
	writing.Go(func() {
		for c := range underway {
			time.Sleep(time.Until(c.due))
			// Before the write, since then the receiver may answer.
			l.arrived.Store(c.hops)
			if written == nil {
				_, written = w.Write(c.bytes)
			}
			// A reader that ends early, as rsync does, is not the link's fault.
			if errors.Is(written, syscall.EPIPE) {
				written = nil
				w = io.Discard
			}
		}
	})
	err := l.read(underway, r)
	close(underway)
	writing.Wait()
	return errors.Join(err, written)
}

func (l *link) read(underway chan<- chunk, r io.Reader) error {
	free := time.Now() // when the link can take the next byte
	for {
		buf := make([]byte, 16<<10)
		n, err := r.Read(buf)
		buf = buf[:n]
		if l.cut >= 0 && l.bytes.Load()+int64(n) >= l.cut {
			buf, err = buf[:l.cut-l.bytes.Load()], errCut
		}
		l.bytes.Add(int64(len(buf)))
		now := time.Now()
		if free.Before(now) {
			free = now
		}
		if l.rate > 0 {
			free = free.Add(time.Duration(int64(len(buf)) * int64(time.Second) / l.rate))
			time.Sleep(time.Until(free))
		}
		underway <- chunk{free.Add(l.delay), buf, l.send()}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func main() {
	// Otherwise a reader that ends would kill us, and so would ssh, which sends its ProxyCommand SIGHUP when it ends. The
	// signals are not ignored, for the children would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE, syscall.SIGHUP)
	if err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "pipe: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout io.WriteCloser, stderr io.Writer) error {
	var to, from link
	flags := pflag.NewFlagSet("pipe", pflag.ContinueOnError)
	delay := flags.Duration("delay", 0, "one-way delay")
	rate := flags.Int64("rate", 0, "bytes a second, each way")
	flags.Int64Var(&to.cut, "cut-to", -1, "break after so many bytes to the expression")
	flags.Int64Var(&from.cut, "cut-from", -1, "break after so many bytes from the expression")
	hops := flags.String("hops", "", "write the length of the longest chain of messages into this file")
	count := flags.String("count", "", "write how many bytes went to and from the expression into this file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("one shell expression, please")
	}
	to.delay, from.delay, to.rate, from.rate = *delay, *delay, *rate, *rate
	to.other, from.other = &from, &to

	child := exec.CommandContext(ctx, "sh", "-c", flags.Arg(0))
	child.Stderr = stderr
	in, err := child.StdinPipe()
	if err != nil {
		return err
	}
	out, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	cut := make(chan struct{}, 2)
	go func() {
		// Ends with the process: nothing else unblocks a read of standard input.
		if errors.Is(to.relay(in, stdin), errCut) {
			cut <- struct{}{}
		}
		in.Close()
	}()
	ended := make(chan error, 1)
	go func() {
		err := from.relay(stdout, out)
		if errors.Is(err, errCut) {
			cut <- struct{}{}
		}
		ended <- err
	}()
	select {
	case err = <-ended:
	case <-cut:
		err = nil
	}
	chain := max(to.hops.Load(), from.hops.Load()) // messages that come when nobody reads any more don't count
	// A link breaks for both ends at once.
	stdout.Close()
	in.Close()
	out.Close()
	if *count != "" {
		counted := fmt.Appendf(nil, "%d %d\n", to.bytes.Load(), from.bytes.Load())
		if err := os.WriteFile(*count, counted, 0o666); err != nil {
			return err
		}
	}
	if *hops != "" {
		counted := fmt.Appendf(nil, "%d\n", chain)
		if err := os.WriteFile(*hops, counted, 0o666); err != nil {
			return err
		}
	}
	if errors.Is(err, errCut) {
		err = nil
	}
	return errors.Join(err, child.Wait())
}
