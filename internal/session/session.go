// Package session is one conversation between two peers, from hello to goodbye, over any full-duplex pipe. It knows
// nothing of SSH or of which side waited for the other: both run the same code.
package session

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"aig/internal/intake"
	"aig/internal/objects"
	"aig/internal/oid"
	"aig/internal/reconcile"
	"aig/internal/ref"
	"aig/internal/wire"
)

const (
	// aliveInterval is how often a side that has no verdict to send says that it is alive. The protocol demands once a second;
	// half of that allows for a busy machine. The smallest sensible timeout is a few times that.
	aliveInterval = 500 * time.Millisecond
	// lastWords bounds how long a side that gives up tries to tell the peer why.
	lastWords = 2 * time.Second
	// maxObjects bounds the size of a store, ours or the peer's: positions are 32-bit.
	maxObjects = reconcile.MaxLen
	// bytesPerObject bounds the memory for each object that the peer announces: its short name, twice while the list of them
	// grows, and whether it has arrived.
	bytesPerObject = 20
)

// Options configures a conversation.
type Options struct {
	Store     *intake.Store
	Direction wire.Direction
	// Context is a word that must be the same on both sides, see wire.CheckContext; "" is none, and matches only none. Until the
	// peer's hello has shown that it has the same one, the peer learns nothing of the store but its format and how many
	// objects and references it has.
	Context string
	// Objects lists Store; nil means objects.List. It is called once, when the conversation begins.
	Objects func(context.Context) (*oid.List, error)
	// Offer chooses what to give of what the peer lacks, by ascending positions in the list; nil means all of it.
	Offer func(ctx context.Context, list *oid.List, lacks []uint32) ([]uint32, error)
	// Refs lists the references to tell the peer. It is called when the conversation begins. Each must satisfy wire.CanTell,
	// and together they may take wire.MaxRefsSize at most. Nil means none.
	Refs func(context.Context) ([]ref.Ref, error)
	// DryRun ends the conversation with a *DryRunError as soon as we know what would move. The peer fails, and is told why.
	DryRun bool
	// Uncommitted returns how many files have uncommitted changes. Nil doesn't tell the peer.
	Uncommitted func(context.Context) int
	// Hold, if not nil, is called once the peer's hello and references have arrived; Store and Objects are then unused. It
	// returns the store to go on with, or nil to leave: both sides then say goodbye, and nothing has moved. The peer is told an
	// error, see Own. A side that holds must only Pull.
	Hold func(context.Context, Offer) (*intake.Store, error)
	// Secret is bound to this conversation and known to both sides. Both contribute fresh randomness, so nobody can have
	// chosen object names against it.
	Secret []byte
	// Server tells the two sides apart: exactly one of them sets it.
	Server bool
	// Timeout is how long a read waits for a byte from the peer, which sends a sign of life at least once a second.
	Timeout time.Duration
	// Agent is the program's name and version, for the peer to show.
	Agent string
	// Common is called when we know how many objects both sides hold.
	Common func(objects uint64)
	// Status, if not nil, is kept up to date.
	Status *Status
	// Warn is called with a line for each object that is not given or not taken, and why, and for each failure that doesn't
	// matter. Both directions call it concurrently.
	Warn func(line string)
}

// Offer is what a side that holds bases its decision on.
type Offer struct {
	Format oid.Format
	Refs   []ref.Ref // foreign text, see ref.Ref
}

// Pipe is an authenticated full-duplex pipe.
type Pipe interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// session is the state of one conversation. What several goroutines share is in outbox, inbox and controls.
type session struct {
	o    Options
	pipe Pipe
	in   *wire.Reader
	out  *wire.Writer

	key   reconcile.Key // of short names
	local *oid.List
	peer  wire.Hello

	untold   []ref.Ref // our references that the peer has yet to be told
	peerRefs []ref.Ref

	common int      // how many objects both hold
	digest uint64   // of those objects, see reconcile.Set.CommonDigest
	give   []uint32 // positions in local of what the peer gets
	want   *wanted  // what we get

	negotiation *negotiation

	controls chan wire.Frame // posted, but not yet written
	parted   chan struct{}   // closed when our goodbye is written
	compared atomic.Bool     // the hellos match: the contexts are the same, and so is all else that must be
	warned   atomic.Int64    // see warn
	failing  sync.Once
	ctx      context.Context // ends with the conversation; its cause is the failure
	cancel   context.CancelCauseFunc
	outer    context.Context // the caller's, which a broken pipe does not end
}

// Run has the whole conversation. A nil error means that both sides hold everything and have said so. With an *OmittedError
// the Result is valid too; with any other error it is nil, or only its Heads are valid. A failure closes the pipe; otherwise the
// caller closes it whenever it likes, as the peer does not wait for that.
func Run(ctx context.Context, pipe Pipe, o Options) (*Result, error) {
	outer := ctx
	// Our own context outlives the caller's until the peer has been told.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(outer))
	s := &session{
		o: o, pipe: pipe, key: newKey(o.Secret), ctx: ctx, cancel: cancel, outer: outer,
		in: wire.NewReader(&timed{pipe, o.Timeout}), out: wire.NewWriter(pipe),
		controls: make(chan wire.Frame, maxControls), parted: make(chan struct{}),
	}
	if s.o.Status == nil {
		s.o.Status = new(Status)
	}
	var helpers sync.WaitGroup
	helpers.Go(func() { s.writeControls(ctx) })
	helpers.Go(func() {
		select {
		case <-outer.Done():
			s.fail(context.Cause(outer))
		case <-ctx.Done():
		}
	})
	result, err := s.converse(ctx)
	cancel(nil)
	helpers.Wait()
	return result, err
}

func (s *session) converse(ctx context.Context) (*Result, error) {
	if s.o.Hold == nil {
		if err := s.list(ctx); err != nil {
			return nil, s.fail(err)
		}
	}
	if s.o.Refs != nil {
		var err error
		if s.untold, err = s.o.Refs(ctx); err != nil {
			return nil, s.fail(Own("listing our references", err))
		}
	}
	if err := s.both(ctx, s.sendHello, s.readHello); err != nil {
		return nil, err
	}
	// Not before our own hello is out: a side that gives up must not leave the other wondering why.
	if err := s.compare(); err != nil {
		return nil, s.fail(err)
	}
	s.compared.Store(true)
	if s.o.Hold != nil || s.peer.Hold {
		goesOn, err := s.decide(ctx)
		if err != nil {
			return nil, s.fail(err)
		}
		if !goesOn {
			return s.part()
		}
	}
	s.negotiation.begin()
	// We may know the difference while our last frames are still being written. That must not keep us from reading: the peer
	// may be in the same position, and what both have sent ahead may fill the pipe both ways.
	var telling sync.WaitGroup
	defer telling.Wait()
	telling.Go(func() {
		err := s.sendRefs(ctx)
		if err == nil {
			err = s.negotiation.write(ctx) // which does not wait for the peer's references
		}
		if err != nil {
			s.fail(err)
		}
	})
	err := s.readRefs(ctx)
	if err == nil {
		err = s.negotiation.read(ctx)
	}
	if err != nil {
		return nil, s.fail(err)
	}
	s.o.Common(uint64(s.common))
	if s.o.DryRun {
		telling.Wait() // the peer may need it to know the difference too
		return nil, s.fail(s.wouldMove(ctx))
	}
	return s.exchange(ctx, &telling)
}

// decide exchanges the references, and lets the side that holds decide whether the conversation goes on.
func (s *session) decide(ctx context.Context) (goesOn bool, err error) {
	err = s.both(ctx, s.sendRefs, func(ctx context.Context) (err error) {
		if err = s.readRefs(ctx); err == nil && s.o.Hold == nil {
			goesOn, err = s.awaitGo()
		}
		return err
	})
	if err == nil && s.o.Hold != nil {
		return s.hold(ctx)
	}
	return goesOn, err
}

// part ends a conversation in which the side that held wanted nothing.
func (s *session) part() (*Result, error) {
	err := s.post(wire.TypeBye, nil)
	if err == nil {
		_, err = s.expect(wire.TypeBye, "the peer's goodbye")
	}
	if err == nil {
		err = s.awaitParting()
	}
	if err != nil {
		return nil, s.fail(err)
	}
	return &Result{Left: true, PeerRefs: s.peerRefs}, nil
}

// both runs the two directions of a phase concurrently, since one side's writes may have to wait for the other's reads.
// It returns the session's failure.
func (s *session) both(ctx context.Context, write, read func(context.Context) error) error {
	var writing sync.WaitGroup
	writing.Go(func() {
		if err := write(ctx); err != nil {
			s.fail(err)
		}
	})
	if err := read(ctx); err != nil {
		s.fail(err)
	}
	writing.Wait()
	return context.Cause(ctx)
}

// list reads our own store.
func (s *session) list(ctx context.Context) error {
	s.o.Status.Phase("listing our objects")
	if s.o.Store != nil && s.o.Store.Warning != "" {
		s.o.Warn(s.o.Store.Warning)
	}
	list := s.o.Objects
	if list == nil || s.o.Hold != nil {
		list = func(ctx context.Context) (*oid.List, error) { return objects.List(ctx, s.o.Store.Repo) }
	}
	var err error
	if s.local, err = list(ctx); err != nil {
		return Own("listing our objects", err)
	}
	if s.local.Len() > maxObjects {
		return fmt.Errorf("our store holds %d objects, more than the %d that can be numbered", s.local.Len(), maxObjects)
	}
	return nil
}
