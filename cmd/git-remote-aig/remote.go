package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"aig/internal/command"
	"aig/internal/gitstore"
	"aig/internal/identity"
	"aig/internal/peer"
	"aig/internal/ref"
	"aig/internal/remotehelper"
	"aig/internal/screen"
	"aig/internal/session"
	"aig/internal/tunnel"
	"aig/internal/version"
	"aig/internal/wire"
)

// timeout is how long nothing may move between us and a peer that has come.
const timeout = time.Minute

// remote is the peer as git sees it: one conversation, which holds after the references until git has decided.
type remote struct {
	// ctx is the program's: the conversation outlives the call that begins it.
	ctx context.Context

	transport string
	git       gitstore.Git
	settings  peer.Settings
	trust     identity.Trust
	screen    *screen.Screen

	identity *identity.Identity
	link     *peer.Link
	status   session.Status
	shown    func() // ends the progress line

	offered chan session.Offer
	decided chan *gitstore.Store // nil to leave
	over    chan struct{}        // closed when err is set
	err     error
	chosen  bool // decided has got its one value
}

// List opens the connection. The conversation that it begins goes on in a goroutine until close.
func (r *remote) List(ctx context.Context, o remotehelper.FetchOptions) (remotehelper.Listing, error) {
	var err error
	if r.identity, err = identity.Load(ctx, identity.Options{File: r.settings.Identity}); err != nil {
		return remotehelper.Listing{}, err
	}
	r.link, err = peer.Open(r.ctx, peer.Options{
		Transport: r.transport, Stderr: r.screen, Git: r.git, Identity: r.identity, Trust: r.trust,
		Timing: tunnel.Timing{Timeout: timeout},
	})
	if err != nil {
		return remotehelper.Listing{}, err
	}
	r.offered, r.decided = make(chan session.Offer, 1), make(chan *gitstore.Store, 1)
	r.over = make(chan struct{})
	go func() {
		defer close(r.over)
		r.err = r.link.Explain(r.converse(r.ctx))
	}()
	select {
	case offer := <-r.offered:
		return remotehelper.Listing{ObjectFormat: string(offer.Format), Refs: offer.Refs}, nil
	case <-r.over:
		return remotehelper.Listing{}, r.err
	case <-ctx.Done():
		return remotehelper.Listing{}, context.Cause(ctx)
	}
}

func (r *remote) converse(ctx context.Context) error {
	conn, err := r.link.Meet(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	result, err := session.Run(ctx, conn, session.Options{
		Direction: wire.Pull,
		Context:   r.settings.Context,
		Hold: func(ctx context.Context, offer session.Offer) (*gitstore.Store, error) {
			// Even an empty repository tells its HEAD. Git would take no references for deleted ones.
			if len(offer.Refs) == 0 {
				return nil, errors.New("the peer tells no references: it must run without --no-refs and aig.refs=false")
			}
			r.offered <- offer
			select {
			case store := <-r.decided:
				return store, nil
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		},
		Secret:  conn.SessionID(),
		Timeout: timeout,
		Agent:   "aig/" + version.Version,
		Common:  func(uint64) {},
		Status:  &r.status,
		Warn:    func(line string) { fmt.Fprintf(r.screen, "warning: %s\n", command.OneLine(line)) },
	})
	if result != nil {
		result.Close()
	}
	return err
}

// Fetch pulls everything that we lack, the first time; after that everything is here that the peer had.
func (r *remote) Fetch(ctx context.Context, want []ref.Ref, o remotehelper.FetchOptions) (bool, error) {
	store, err := gitstore.Open(ctx, r.git)
	if err != nil {
		return false, err
	}
	if !r.chosen {
		r.progress(ctx, o)
		r.choose(store)
		select {
		case <-r.over:
		case <-ctx.Done(): // git has gone; close ends the rest
		}
		r.shown()
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
	}
	if r.err != nil || !o.CheckConnectivity {
		return false, r.err
	}
	names := make([]string, 0, len(want))
	for _, r := range want {
		names = append(names, r.OID)
	}
	return store.Connected(ctx, names)
}

func (r *remote) choose(store *gitstore.Store) {
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

// progress shows the progress of the conversation, where git has asked for it, until shown is called.
func (r *remote) progress(ctx context.Context, o remotehelper.FetchOptions) {
	r.shown = func() {}
	if o.Progress == nil || !*o.Progress {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.screen.Show(ctx, &r.status)
	}()
	r.shown = func() {
		cancel()
		<-ended
	}
}

// close ends what List has opened.
func (r *remote) close() {
	if r.over != nil {
		if r.ctx.Err() != nil {
			<-r.over // the conversation ends by itself, and tells the peer why
		}
		r.link.Close()
		<-r.over
	}
	if r.identity != nil {
		r.identity.Close()
	}
}
