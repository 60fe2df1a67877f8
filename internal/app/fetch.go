package app

import (
	"context"
	"errors"
	"fmt"

	"aig/internal/intake"
	"aig/internal/ref"
	"aig/internal/remotehelper"
	"aig/internal/screen"
	"aig/internal/session"
	"aig/internal/wire"
)

// Fetch answers the git that started us as a remote's helper, over c.Stdin and c.Stdout. name is the remote's name, or its
// address if it has none.
func Fetch(ctx context.Context, c Config, name string) error {
	refused := c.allowedByEnvironment()
	switch {
	case refused != nil:
	case c.Transport == "-":
		refused = errors.New("the address aig::- makes no sense: standard input and output belong to git")
	case name == "aig::"+c.Transport:
		name = "" // the user typed the address
	}
	// Refuse only after git has sent its first lines: if the pipe broke while git writes them, SIGPIPE would kill it.
	s := screen.New(c.Stderr)
	err := remotehelper.Serve(ctx, c.Stdin, c.Stdout, s, func(ctx context.Context, decide remotehelper.Decide) error {
		if refused != nil {
			return refused
		}
		return c.fetch(ctx, name, s, decide)
	})
	if refused != nil {
		return refused
	}
	return err
}

// fetch has the conversation with the peer, in the middle of which git decides. remote is its name as configured, or "" if the user
// typed the address.
func (c Config) fetch(ctx context.Context, remote string, s *screen.Screen, decide remotehelper.Decide) error {
	if err := c.complete(ctx, remote); err != nil {
		return err
	}
	otherwise := helperWait
	if s.IsTerminal() {
		otherwise = 0
	}
	if err := c.completeWait(ctx, remote, otherwise); err != nil {
		return err
	}
	link, err := c.connect(ctx, remote, true, s, func() {})
	if err != nil {
		return err
	}
	defer link.Close()
	status, stop := session.Status{Tell: c.Git.Trace.Phase}, func() {}
	_, err = link.converse(ctx, session.Options{
		Direction: wire.Pull,
		Hold: func(ctx context.Context, offer session.Offer) (*intake.Store, error) {
			// Even an empty repository tells its HEAD. With no references at all, git would think that they were deleted.
			if len(offer.Refs) == 0 {
				return nil, fmt.Errorf("the peer sent no references: it runs with --no-refs or aig.refs=false, "+
					"or has more than the %d that can be sent", ref.Max)
			}
			wanted, progress, err := decide(remotehelper.Listing(offer))
			if err != nil || !wanted {
				return nil, err
			}
			if progress {
				stop = s.Start(&status, c.progressDelay())
			}
			store, err := intake.Open(ctx, c.Git)
			return store, session.Own("opening our store", err)
		},
		Common: func(uint64) {},
		Status: &status,
	})
	stop()
	return link.Explain(err)
}
