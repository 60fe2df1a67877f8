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
	Left     bool      // a side that held wanted nothing; Sent and Received are nil
	PeerRefs []ref.Ref // what the peer has told; foreign text, see ref.Ref
	Sent     oid.Names // ascending
	Received oid.Names // ascending
}

// exchange moves the objects, both ways at the same time, and says goodbye. Nothing is sent before the telling is over.
func (s *session) exchange(ctx context.Context, telling *sync.WaitGroup) (*Result, error) {
	s.o.Status.update(func(p *Progress) {
		p.Give, p.Want, p.Exchanges = uint64(len(s.give)), uint64(len(s.want.short)), true
	})
	ex := &exchange{session: s, outbox: newOutbox(s), inbox: newInbox(s)}
	err := s.both(ctx, func(ctx context.Context) error {
		telling.Wait()
		if err := ex.inbox.begin(); err != nil {
			return err
		}
		return ex.outbox.send(ctx)
	}, ex.read)
	ex.inbox.workers.Wait()
	if err == nil {
		err = s.flushControls()
	}
	if err != nil {
		return nil, err
	}
	result := &Result{PeerRefs: s.peerRefs, Sent: ex.outbox.sent(), Received: s.want.received()}
	if ours, theirs := ex.outbox.omitted(), ex.inbox.omitted; ours+theirs > 0 {
		return result, &OmittedError{Ours: ours, Theirs: theirs}
	}
	return result, nil
}

// exchange reads the peer's messages and hands them to the two halves.
type exchange struct {
	*session
	outbox *outbox
	inbox  *inbox
	agreed bool // the peer has said what it takes for common, and we agree
}

func (ex *exchange) read(ctx context.Context) error {
	defer ex.inbox.drop()
	for {
		f, err := ex.next(ex.waitingFor())
		if err != nil {
			return err
		}
		switch f.Type {
		case wire.TypeSymbols:
			err = ex.negotiation.receive(f)
		case wire.TypeCommon:
			if ex.agreed {
				return errors.New("the peer says twice what it takes for common")
			}
			ex.agreed = true
			err = ex.negotiation.agree(f.Body)
		case wire.TypePack:
			err = ex.inbox.data(ctx, f.Body)
		case wire.TypePackEnd:
			err = ex.inbox.end(f.Body)
		case wire.TypePackDrop:
			err = ex.inbox.takeBack(f.Body)
		case wire.TypeOmitted:
			err = ex.inbox.omit(f.Body)
		case wire.TypeKept:
			err = ex.inbox.keep(f.Body)
		case wire.TypeStored, wire.TypeRefused:
			err = ex.outbox.verdict(f)
		case wire.TypeDone:
			err = ex.done(f.Body)
		case wire.TypeBye:
			return ex.inbox.bye(f.Body)
		default:
			err = unexpected(f, "a pack or a verdict")
		}
		if err != nil {
			return err
		}
	}
}

// done takes the peer's word that it has stored everything we gave, which we know to be true or not.
func (ex *exchange) done(body []byte) error {
	count, err := wire.ParseCount(body)
	if err != nil {
		return err
	}
	if !ex.agreed {
		return errors.New("the peer says that it is done, but not what it takes for common")
	}
	if stored, all := ex.outbox.stored(); !all || count != uint64(stored) {
		return fmt.Errorf("the peer says that it is done with %d objects, but has confirmed %d of the %d we give",
			count, stored, len(ex.give))
	}
	return ex.inbox.peerIsDone()
}

func (ex *exchange) waitingFor() string {
	switch {
	case !ex.inbox.complete():
		return "the peer's packs"
	case !ex.outbox.finished():
		return "the peer to store what it was sent"
	}
	return "the peer's goodbye"
}
