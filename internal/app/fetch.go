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
	r := &remote{Config: c, name: name, ctx: ctx, screen: screen.New(c.Stderr)}
	r.status.Tell = c.Git.Trace.Phase
	defer r.close()
	r.err = remotehelper.AllowedByEnvironment(c.lookup)
	switch {
	case r.err != nil:
	case c.Transport == "-":
		r.err = errors.New("the address aig::- makes no sense: standard input and output belong to git")
	case name == "aig::"+c.Transport:
		r.name = "" // the user typed the address
	}
	// Refuse only after git has sent its first lines: if the pipe broke while git writes them, SIGPIPE would kill it.
	refused := r.err
	if err := remotehelper.Serve(ctx, c.Stdin, c.Stdout, r.screen, r); refused == nil {
		return err
	}
	return refused
}

// remote is the peer as git sees it: one conversation, which waits after the peer's references until git has decided.
type remote struct {
	Config
	name   string          // as configured; "" if the user typed the address
	ctx    context.Context // the program's: the conversation outlives the call that begins it
	screen *screen.Screen

	link   *Link
	status session.Status

	offered chan session.Offer
	decided chan *intake.Store // nil to leave
	over    chan struct{}      // closed when err is set
	err     error
	chosen  bool // decided has its one value
}

// List opens the connection and begins the conversation, which runs in a goroutine until close.
func (r *remote) List(ctx context.Context) (remotehelper.Listing, error) {
	if r.err != nil {
		return remotehelper.Listing{}, r.err
	}
	if err := r.complete(ctx, r.name); err != nil {
		return remotehelper.Listing{}, err
	}
	otherwise := helperWait
	if r.screen.IsTerminal() {
		otherwise = 0
	}
	if err := r.completeWait(ctx, r.name, otherwise); err != nil {
		return remotehelper.Listing{}, err
	}
	var err error
	if r.link, err = r.connect(ctx, r.name, true, r.screen, func() {}); err != nil {
		return remotehelper.Listing{}, err
	}
	r.offered, r.decided = make(chan session.Offer, 1), make(chan *intake.Store, 1)
	r.over = make(chan struct{})
	go func() {
		defer close(r.over)
		r.err = r.link.Explain(r.converse(r.ctx))
	}()
	select {
	case offer := <-r.offered:
		return remotehelper.Listing(offer), nil
	case <-r.over:
		return remotehelper.Listing{}, r.err
	case <-ctx.Done():
		return remotehelper.Listing{}, context.Cause(ctx)
	}
}

func (r *remote) converse(ctx context.Context) error {
	_, err := r.link.converse(ctx, session.Options{
		Direction: wire.Pull,
		Hold: func(ctx context.Context, offer session.Offer) (*intake.Store, error) {
			// Even an empty repository tells its HEAD. With no references at all, git would think that they were deleted.
			if len(offer.Refs) == 0 {
				return nil, fmt.Errorf("the peer sent no references: it runs with --no-refs or aig.refs=false, "+
					"or has more than the %d that can be sent", ref.Max)
			}
			r.offered <- offer
			select {
			case store := <-r.decided:
				return store, nil
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		},
		Common: func(uint64) {},
		Status: &r.status,
	})
	return err
}

// Fetch pulls everything that we lack. Later calls only return the outcome: nothing is left to pull.
func (r *remote) Fetch(ctx context.Context, progress bool) error {
	if r.chosen {
		return r.err
	}
	store, err := intake.Open(ctx, r.Git)
	if err != nil {
		return err
	}
	if progress {
		defer r.screen.Start(&r.status, r.progressDelay())()
	}
	r.choose(store)
	select {
	case <-r.over:
		return r.err
	case <-ctx.Done(): // git is gone; close ends the rest
		return context.Cause(ctx)
	}
}

func (r *remote) choose(store *intake.Store) {
	r.chosen = true
	r.decided <- store
}

// Leave says goodbye to a peer that was only looked at.
func (r *remote) Leave(context.Context) error {
	if !r.chosen {
		r.choose(nil)
	}
	<-r.over
	return r.err
}

// close ends what List opened.
func (r *remote) close() {
	if r.over == nil {
		return
	}
	if r.ctx.Err() != nil {
		<-r.over // the conversation ends by itself, and tells the peer why
	}
	r.link.Close()
	<-r.over
}
