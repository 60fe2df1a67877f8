// Command git-aig-sync makes the object stores of two peers equal over any full-duplex pipe.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"aig/internal/command"
	"aig/internal/gitstore"
	"aig/internal/identity"
	"aig/internal/oid"
	"aig/internal/peer"
	"aig/internal/ref"
	"aig/internal/screen"
	"aig/internal/session"
	"aig/internal/tunnel"
	"aig/internal/version"
)

func main() {
	os.Exit(command.Main(os.Stderr, func(ctx context.Context) error {
		return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	}))
}

func run(ctx context.Context, args []string, stdin, stdout, stderr *os.File) error {
	o, err := parse(args)
	if err != nil {
		return &command.UsageError{Err: err, Usage: usageText}
	}
	git := gitstore.Git{Env: os.Environ(), Settings: new(gitstore.Settings)}
	switch {
	case o.help:
		_, err := io.WriteString(stdout, usageText)
		return err
	case o.version:
		_, err := fmt.Fprintf(stdout, "git-aig-sync %s\n", version.Version)
		return err
	}
	if err := o.complete(ctx, git); err != nil {
		return err
	}
	if o.fingerprint {
		fp, err := o.settings.Fingerprint(ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(stdout, fp)
		return err
	}
	return synchronise(ctx, o, git, stdin, stdout, stderr)
}

func synchronise(ctx context.Context, o options, git gitstore.Git, stdin, stdout, stderr *os.File) error {
	screen := screen.New(stderr)
	store, err := gitstore.Open(ctx, git)
	if err != nil {
		return err
	}
	trust, err := o.settings.Trusted(ctx, screen)
	if err != nil {
		return err
	}
	id, err := identity.Load(ctx, identity.Options{File: o.settings.Identity})
	if err != nil {
		return err
	}
	defer id.Close()
	s := &synchronisation{options: o, store: store, screen: screen, showProgress: o.wantsProgress(screen)}
	link, err := peer.Open(ctx, peer.Options{
		Transport: o.transport, Stdin: stdin, Stdout: stdout, Stderr: screen, Git: git,
		Identity: id, Trust: trust, Timing: tunnel.Timing{Wait: o.wait, Timeout: o.timeout},
		Arrived: func() { s.arrived(ctx) },
	})
	if err != nil {
		return err
	}
	defer link.Close()
	out := io.Writer(stdout)
	if o.transport == "-" {
		out = screen
	}
	s.report = newReport(out, screen, o, store.Format())
	return link.Explain(s.run(ctx, link))
}

// synchronisation is one run, from an open transport to the end of the report.
type synchronisation struct {
	options
	store        *gitstore.Store
	screen       *screen.Screen
	report       *report
	showProgress bool

	// From the peer's arrival on:
	status  session.Status
	objects *background[*oid.List]
	told    *background[[]ref.Ref]
	shown   *background[struct{}]
}

// arrived begins what needs a peer on its way, but not its key: listing the store takes place while the handshake takes
// its round trips. Not earlier, since the peer may have been hours away.
func (s *synchronisation) arrived(ctx context.Context) {
	s.objects = begin(ctx, s.store.List)
	s.told = begin(ctx, s.tellRefs)
	s.status.Phase("SSH handshake with the peer")
	if s.showProgress {
		s.shown = begin(ctx, func(ctx context.Context) (struct{}, error) {
			s.screen.Show(ctx, &s.status)
			return struct{}{}, nil
		})
	}
}

func (s *synchronisation) run(ctx context.Context, link *peer.Link) error {
	defer func() {
		s.objects.end()
		s.told.end()
		s.shown.end()
	}()
	conn, err := link.Meet(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	result, err := session.Run(ctx, conn, session.Options{
		Refs:      func(context.Context) ([]ref.Ref, error) { return s.told.wait() },
		Store:     s.store,
		Direction: s.direction,
		Context:   s.settings.Context,
		Objects:   func(context.Context) (*oid.List, error) { return s.objects.wait() },
		Secret:    conn.SessionID(),
		Timeout:   s.timeout,
		Agent:     "aig/" + version.Version,
		Common:    s.report.common,
		Status:    &s.status,
		Warn:      func(line string) { fmt.Fprintf(s.screen, "warning: %s\n", command.OneLine(line)) },
	})
	var omitted *session.OmittedError
	if result == nil || err != nil && !errors.As(err, &omitted) {
		return err
	}
	defer result.Close()
	s.shown.end()
	if result.Left {
		fmt.Fprintln(s.screen, "the peer has looked at our references and taken nothing")
	}
	if reportErr := s.report.moved(result, err == nil); err == nil {
		err = reportErr
	}
	if err != nil {
		return err
	}
	return s.showStanding(ctx, result, s.report.to)
}

// background is a function that runs in a goroutine of its own. A nil one has ended.
type background[T any] struct {
	cancel context.CancelFunc
	done   chan struct{}
	value  T
	err    error
}

func begin[T any](ctx context.Context, f func(context.Context) (T, error)) *background[T] {
	ctx, cancel := context.WithCancel(ctx)
	b := &background[T]{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(b.done)
		b.value, b.err = f(ctx)
	}()
	return b
}

// wait waits for the result.
func (b *background[T]) wait() (T, error) {
	<-b.done
	return b.value, b.err
}

// end cancels the function and waits until it has returned.
func (b *background[T]) end() {
	if b != nil {
		b.cancel()
		<-b.done
	}
}
