package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"aig/internal/command"
	"aig/internal/gitstore"
	"aig/internal/identity"
	"aig/internal/transport"
	"aig/internal/tunnel"
)

// LinkOptions is what it takes to reach a peer.
type LinkOptions struct {
	// Transport is a shell expression, or "-": then Stdin and Stdout are the pipe.
	Transport     string
	Stdin, Stdout *os.File
	Stderr        io.Writer // gets what the transport says, a line each, quoted
	Git           gitstore.Git
	Identity      *identity.Identity
	Trust         identity.Trust
	Timing        tunnel.Timing
	// Arrived is called when the peer has come, before it is known to be the right one.
	Arrived func()
}

// Link is an open transport, with or without a peer at its other end. Close it.
type Link struct {
	o     LinkOptions
	pipe  transport.Pipe
	shell *transport.Transport // nil for standard input and output
}

// Open starts the transport.
func Open(ctx context.Context, o LinkOptions) (*Link, error) {
	if o.Transport == "-" {
		return &Link{o: o, pipe: transport.Stdio(o.Stdin, o.Stdout)}, nil
	}
	// A `git -C ../other …` in the expression must find its own repository.
	env, err := o.Git.WithoutLocalEnv(ctx, o.Git.Env)
	if err != nil {
		return nil, err
	}
	// Only Close ends it, not ctx: a signal stops the conversation first, which tells the peer why.
	t, err := transport.Start(context.WithoutCancel(ctx), transport.Options{
		Expression: o.Transport,
		Env:        env,
		Stderr:     func(line string) { io.WriteString(o.Stderr, transport.Shown(line)) },
	})
	if err != nil {
		return nil, err
	}
	return &Link{o: o, pipe: t, shell: t}, nil
}

// Meet waits for the peer and authenticates it.
func (l *Link) Meet(ctx context.Context) (*tunnel.Conn, error) {
	role, err := tunnel.Elect(ctx, l.pipe, l.o.Timing)
	if err != nil {
		return nil, err
	}
	if l.shell != nil {
		l.shell.TakeTerminal() // the time in which it may ask questions is over
	}
	if l.o.Arrived != nil {
		l.o.Arrived()
	}
	return tunnel.Open(ctx, l.pipe, role, tunnel.Options{
		Signer: l.o.Identity.Signer(), Trusted: l.o.Trust.Contains, Timing: l.o.Timing,
	})
}

// Close ends the transport, gently before hard.
func (l *Link) Close() error { return l.pipe.Close() }

// Explain adds the end of the transport to an error that it explains.
func (l *Link) Explain(err error) error {
	ended := errors.Is(err, tunnel.ErrNoPeer) || errors.Is(err, io.ErrUnexpectedEOF)
	if !ended || l.shell == nil {
		return err
	}
	// It has closed its output; its status is not far.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	status, ok := l.shell.Ended(ctx)
	switch {
	case l.shell.Interrupted():
		return command.SignalError{Signal: os.Interrupt}
	case !ok:
		return err
	case errors.Is(err, tunnel.ErrNoPeer):
		return fmt.Errorf("the transport ended before a peer came, with %s", status)
	}
	return fmt.Errorf("%w (the transport ended with %s)", err, status)
}
