package session

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"aig/internal/oid"
	"aig/internal/ref"
	"aig/internal/wire"
)

// Result is what a conversation has moved.
type Result struct {
	Left            bool      // a side that held wanted nothing; Sent and Received are nil
	PeerRefs        []ref.Ref // as told by the peer; foreign text, see ref.Ref
	PeerUncommitted int       // the peer's files with uncommitted changes, as told by the peer
	Sent            oid.Names // ascending
	Received        oid.Names // ascending
	Heads           []string  // received commits that aren't the parent of another; full hexadecimal names
	Whole           bool      // the store was empty, got all that was announced, and lacks nothing that its objects name
}

// DryRunError says what would have moved.
type DryRunError struct{ Give, Get int }

func (e *DryRunError) Error() string { return "it was a dry run (--dry-run), in which nothing moves" }

// wouldMove returns the error that ends a dry run.
func (s *session) wouldMove(ctx context.Context) error {
	give, err := s.offered(ctx)
	if err != nil {
		return err
	}
	return &DryRunError{len(give), len(s.want.short)}
}

// offered returns which of the objects that the peer lacks we give.
func (s *session) offered(ctx context.Context) ([]uint32, error) {
	if s.o.Offer == nil || len(s.give) == 0 {
		return s.give, nil
	}
	return s.o.Offer(ctx, s.local, s.give)
}

// exchange moves the objects, both ways at once, and says goodbye. It sends nothing before telling is over.
func (s *session) exchange(ctx context.Context, telling *sync.WaitGroup) (*Result, error) {
	s.o.Status.update(func(p *Progress) {
		p.Give, p.Want, p.Exchanges = uint64(len(s.give)), uint64(len(s.want.short)), true
	})
	ex := &exchange{session: s, outbox: newOutbox(s)}
	ex.inbox = newInbox(s, ex.settle)
	err := s.both(ctx, func(ctx context.Context) error {
		telling.Wait()
		if err := ex.inbox.tellPartials(); err != nil {
			return err
		}
		if err := ex.begin(); err != nil {
			return err
		}
		return ex.outbox.send(ctx)
	}, ex.read)
	ex.inbox.workers.Wait()
	if errors.As(err, new(*pipeError)) || errors.As(err, new(*PeerError)) {
		ex.inbox.salvage()
	}
	ex.inbox.drop()
	if err == nil {
		err = s.awaitParting()
	}
	if err != nil {
		return &Result{Heads: ex.inbox.links.heads()}, err
	}
	result := &Result{PeerRefs: s.peerRefs, PeerUncommitted: s.peer.Uncommitted, Sent: ex.outbox.sent(), Received: s.want.received(),
		Heads: ex.inbox.links.heads(), Whole: ex.inbox.whole()}
	if ours, theirs := ex.outbox.omitted(), ex.inbox.omitted; ours+theirs > 0 {
		return result, &OmittedError{Ours: ours, Theirs: theirs}
	}
	return result, nil
}

// exchange reads the peer's messages and dispatches them to the two halves.
type exchange struct {
	*session
	outbox *outbox
	inbox  *inbox
	agreed bool // the peer has said what it takes for common, and we agree; only the reading goroutine uses it

	mu       sync.Mutex // guards what follows
	begun    bool       // we have said what we take for common, which must come before our done
	doneSent bool
	doneGot  bool
}

// begin says what we take for common, and that we are done if there is nothing to receive.
func (ex *exchange) begin() error {
	ex.mu.Lock()
	ex.begun = true
	err := ex.post(wire.TypeCommon, wire.Append(nil, ex.saidCommon(ex.o.Server)))
	ex.mu.Unlock()
	if err != nil {
		return err
	}
	return ex.settle()
}

// settle says done when everything is stored, and goodbye when both sides are done. controls keeps them in this order.
func (ex *exchange) settle() error {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	stored, toCome := ex.inbox.progress()
	if toCome > 0 || !ex.begun || ex.doneSent {
		return nil
	}
	ex.doneSent = true
	err := ex.post(wire.TypeDone, wire.Append(nil, uint64(stored)))
	if err == nil && ex.doneGot {
		err = ex.post(wire.TypeBye, nil)
	}
	return err
}

func (ex *exchange) read(ctx context.Context) error {
	for {
		f, err := ex.next(ex.waitingFor())
		if err != nil {
			return err
		}
		switch f.Type {
		case wire.TypeSymbols:
			err = ex.negotiation.receive(f)
		case wire.TypeCommon:
			err = ex.agree(f.Body)
		case wire.TypePartial:
			err = ex.holds(f.Body)
		case wire.TypePackBegin:
			err = ex.inbox.begin(ctx, f.Body)
		case wire.TypePack:
			err = ex.inbox.data(ctx, f.Body)
		case wire.TypePackEnd:
			err = ex.inbox.end(f.Body)
		case wire.TypePackDrop:
			err = ex.inbox.takeBack()
		case wire.TypeOmitted:
			err = ex.inbox.omit(f.Body)
		case wire.TypeKept:
			err = ex.inbox.keep(f.Body)
		case wire.TypeStored, wire.TypeRefused:
			err = ex.outbox.verdict(f)
		case wire.TypeDone:
			err = ex.done(f.Body)
		case wire.TypeBye:
			return ex.bye()
		default:
			err = unexpected(f, "a pack or a verdict")
		}
		if err != nil {
			return err
		}
	}
}

// agree compares what the two sides take for common.
func (ex *exchange) agree(body []byte) error {
	said, err := wire.Parse[wire.Common](body, "common")
	switch ours, echo := ex.saidCommon(!ex.o.Server), ex.saidCommon(ex.o.Server); {
	case err != nil:
		return err
	case ex.agreed:
		return errors.New("the peer says twice which objects it believes both hold")
	case said == echo:
		return errors.New("the peer echoes which objects we believe both hold, which proves nothing")
	case said != ours:
		return fmt.Errorf("the two sides disagree about which objects both hold (%d here, %d there): "+
			"run the same command again, with a new token if it had one", ours.Objects, said.Objects)
	}
	ex.agreed = true
	close(ex.outbox.told)
	return nil
}

// holds notes the partial packs that the peer holds. It must tell them before it says what it takes for common.
func (ex *exchange) holds(body []byte) error {
	parts, err := wire.ParsePartials(body)
	switch {
	case err != nil:
		return err
	case ex.agreed || ex.outbox.partials != nil:
		return errors.New("the peer announces its partial packs too late")
	}
	ex.outbox.partials = make(map[uint64]wire.Partial)
	for _, p := range parts {
		ex.outbox.partials[p.Object] = p
	}
	return nil
}

// done checks the peer's claim to have stored everything we gave against its verdicts.
func (ex *exchange) done(body []byte) error {
	count, err := wire.Parse[uint64](body, "count")
	if err != nil {
		return err
	}
	if !ex.agreed {
		return errors.New("the peer says that it is done, but not which objects it believes both hold")
	}
	if stored, all := ex.outbox.stored(); !all || count != uint64(stored) {
		return fmt.Errorf("the peer says that it is done with %d objects, but has confirmed %d of the %d we give",
			count, stored, len(ex.give))
	}
	ex.mu.Lock()
	defer ex.mu.Unlock()
	if ex.doneGot {
		return errors.New("the peer says twice that it is done")
	}
	ex.doneGot = true
	if ex.doneSent {
		return ex.post(wire.TypeBye, nil)
	}
	return nil
}

// bye checks that the peer's goodbye comes after both sides' done.
func (ex *exchange) bye() error {
	ex.mu.Lock()
	defer ex.mu.Unlock()
	if !ex.doneGot || !ex.doneSent {
		_, toCome := ex.inbox.progress()
		return fmt.Errorf("the peer says goodbye with %d objects still to come", toCome)
	}
	return nil
}

func (ex *exchange) waitingFor() string {
	if _, toCome := ex.inbox.progress(); toCome > 0 {
		return "the peer's packs"
	}
	if _, all := ex.outbox.stored(); !all {
		return "the peer to store what it was sent"
	}
	return "the peer's goodbye"
}
