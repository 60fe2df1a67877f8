// Command git-aig-sync makes the object stores of two peers equal over any full-duplex pipe.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"aig/internal/gitstore"
	"aig/internal/identity"
	"aig/internal/oid"
	"aig/internal/session"
	"aig/internal/transport"
	"aig/internal/tunnel"
	"aig/internal/version"
)

func main() {
	ctx, stop := withSignals(context.Background())
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // whatever the signal made fail, it was the signal
	}
	stop()
	os.Exit(status(err, os.Stderr))
}

// signalError is why a context ended that a signal ended.
type signalError struct{ os.Signal }

func (e signalError) Error() string { return "stopped by a signal (" + e.String() + ")" }

func withSignals(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case s := <-signals:
			cancel(signalError{s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-ended
	}
}

// status prints what is left to say of an error, and is the exit status for it.
func status(err error, stderr io.Writer) int {
	var usage usageError
	var stopped signalError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "error: %v\n%s", usage, usageText)
		return 129
	case errors.As(err, &stopped):
		// Whoever pressed Ctrl-C knows.
		if s, ok := stopped.Signal.(syscall.Signal); ok {
			return 128 + int(s)
		}
		return 128
	}
	fmt.Fprintf(stderr, "fatal: %s\n", oneLine(err.Error()))
	return 128
}

func run(ctx context.Context, args []string, stdin, stdout, stderr *os.File) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	git := gitstore.Git{Env: os.Environ()}
	switch {
	case o.help:
		_, err := io.WriteString(stdout, usageText)
		return err
	case o.version:
		_, err := fmt.Fprintf(stdout, "git-aig-sync %s\n", version.Version)
		return err
	}
	if err := o.complete(ctx, git, os.Getenv); err != nil {
		return err
	}
	if o.fingerprint {
		fp, err := identity.PublicFingerprint(ctx, identity.Options{File: o.identity})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(stdout, fp)
		return err
	}
	return synchronise(ctx, o, git, stdin, stdout, stderr)
}

func synchronise(ctx context.Context, o options, git gitstore.Git, stdin, stdout, stderr *os.File) error {
	screen := &screen{w: stderr}
	store, err := gitstore.Open(ctx, git)
	if err != nil {
		return err
	}
	trust, err := trusted(ctx, o, screen)
	if err != nil {
		return err
	}
	id, err := identity.Load(ctx, identity.Options{File: o.identity})
	if err != nil {
		return err
	}
	defer id.Close()
	pipe, err := openPipe(ctx, o, git, stdin, stdout, screen)
	if err != nil {
		return err
	}
	// A peer that has come is worth waiting for until the transport has ended too, however it ends.
	defer pipe.Close()
	out := io.Writer(stdout)
	if o.stdio() {
		out = screen
	}
	s := &synchronisation{
		options: o, store: store, pipe: pipe, identity: id, trust: trust, screen: screen,
		report: newReport(out, screen, o, store.Format()), showProgress: o.wantsProgress(stderr),
	}
	return pipe.explain(s.run(ctx))
}

// synchronisation is what one run needs from an open pipe on.
type synchronisation struct {
	options
	store        *gitstore.Store
	pipe         *pipe
	identity     *identity.Identity
	trust        identity.Trust
	screen       *screen
	report       *report
	showProgress bool
}

// run is everything between an open pipe and the end of the report.
func (s *synchronisation) run(ctx context.Context) error {
	timing := tunnel.Timing{Wait: s.wait, Timeout: s.timeout}
	role, err := tunnel.Elect(ctx, s.pipe, timing)
	if err != nil {
		return err
	}
	s.pipe.takeTerminal()
	status := new(session.Status)
	status.Phase("SSH handshake with the peer")
	stopProgress := s.progress(ctx, status)
	defer stopProgress()
	objects, stopListing := listInAdvance(ctx, s.store)
	defer stopListing()
	conn, err := tunnel.Open(ctx, s.pipe, role, tunnel.Options{
		Signer: s.identity.Signer(), Trusted: s.trust.Contains, Timing: timing,
	})
	if err != nil {
		return err
	}
	result, err := session.Run(ctx, conn, session.Options{
		Store:     s.store,
		Direction: s.direction,
		Objects:   objects,
		Secret:    conn.SessionID(),
		Timeout:   s.timeout,
		Agent:     "aig/" + version.Version,
		Common:    s.report.common,
		Status:    status,
		Warn:      func(line string) { fmt.Fprintf(s.screen, "warning: %s\n", oneLine(line)) },
	})
	var omitted *session.OmittedError
	if result == nil || err != nil && !errors.As(err, &omitted) {
		return err
	}
	defer result.Close()
	stopProgress()
	return errors.Join(s.report.moved(result, err == nil), err)
}

// progress shows the progress, if somebody wants to see it. The function that it returns ends that, and may be called
// again.
func (s *synchronisation) progress(ctx context.Context, status *session.Status) func() {
	if !s.showProgress {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.screen.show(ctx, status)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// listInAdvance lists the store while the handshake takes its round trips: not before the peer has come, since that
// may be hours. The second function ends the listing.
func listInAdvance(ctx context.Context, store *gitstore.Store) (func(context.Context) (*oid.List, error), func()) {
	ctx, cancel := context.WithCancel(ctx)
	var list *oid.List
	var err error
	listed := make(chan struct{})
	go func() {
		defer close(listed)
		list, err = store.List(ctx)
	}()
	wait := func(context.Context) (*oid.List, error) {
		<-listed
		return list, err
	}
	return wait, func() {
		cancel()
		<-listed
	}
}

// pipe is the transport, whichever it is.
type pipe struct {
	transport.Pipe
	shell *transport.Transport // nil for standard input and output
}

func openPipe(ctx context.Context, o options, git gitstore.Git, stdin, stdout *os.File, stderr io.Writer) (*pipe, error) {
	if o.stdio() {
		return &pipe{Pipe: transport.Stdio(stdin, stdout)}, nil
	}
	env, err := git.WithoutLocalEnv(ctx, os.Environ())
	if err != nil {
		return nil, err
	}
	t, err := transport.Start(ctx, transport.Options{
		Expression: o.transport,
		Env:        env,
		Stderr:     func(line string) { fmt.Fprintf(stderr, "transport: %q\n", line) },
	})
	if err != nil {
		return nil, err
	}
	return &pipe{Pipe: t, shell: t}, nil
}

// takeTerminal ends the time in which the transport may ask questions.
func (p *pipe) takeTerminal() {
	if p.shell != nil {
		p.shell.TakeTerminal()
	}
}

// explain adds the end of the transport to an error that it explains.
func (p *pipe) explain(err error) error {
	ended := errors.Is(err, tunnel.ErrNoPeer) || errors.Is(err, io.ErrUnexpectedEOF)
	if !ended || p.shell == nil {
		return err
	}
	// It has closed its output; its status is not far.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	status, ok := p.shell.Ended(ctx)
	switch {
	case p.shell.Interrupted():
		return signalError{os.Interrupt}
	case !ok:
		return err
	case errors.Is(err, tunnel.ErrNoPeer):
		return fmt.Errorf("the transport ended before a peer came, with %s", status)
	}
	return fmt.Errorf("%w (the transport ended with %s)", err, status)
}
