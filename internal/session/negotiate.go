package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"

	"aig/internal/reconcile"
	"aig/internal/wire"
)

// batchEntries bounds how many symbols or short names go into one frame.
const batchEntries = wire.MaxBody / reconcile.CountedSize

// typeOf maps each mode to the type of message that carries its batches.
var typeOf = [...]wire.Type{reconcile.Symbols: wire.TypeSymbols, reconcile.List: wire.TypeList, reconcile.Sorted: wire.TypeSorted}

// negotiation finds common, give and want. Nothing after it knows how they were found.
type negotiation struct {
	s   *session
	set *reconcile.Set

	mu      sync.Mutex // guards x
	x       *reconcile.Exchange
	changed chan struct{} // holds a token when something has been received
}

// newKey returns the key of a conversation's short names.
func newKey(secret []byte) reconcile.Key {
	sum := sha256.Sum256(append([]byte("aig short names\x00"), secret...))
	return reconcile.Key(sum[:16])
}

// newNegotiation prepares the set of our names, which needs nothing from the peer but its share in the key.
func newNegotiation(s *session) *negotiation {
	set := reconcile.NewSet(s.key, s.local.Format().Size(), s.local.Chunks()...)
	return &negotiation{s: s, set: set, changed: make(chan struct{}, 1)}
}

// begin starts the exchange, once the peer has said how many objects it holds.
func (n *negotiation) begin() {
	n.x = reconcile.NewExchange(n.set, int(n.s.peer.Objects), n.s.peer.Sorted)
}

// write sends as much as the pacing allows, until the peer has what it needs.
func (n *negotiation) write(ctx context.Context) error {
	var batch []byte
	for {
		n.mu.Lock()
		finished := n.x.Finished()
		var entries int
		var mode reconcile.Mode
		batch, mode, entries = n.x.Next(batch[:0], batchEntries)
		n.mu.Unlock()
		switch {
		case finished:
			return nil
		case entries == 0:
			select {
			case <-n.changed:
			case <-ctx.Done():
				return nil
			}
		default:
			if err := n.s.write(typeOf[mode], batch); err != nil {
				return err
			}
		}
	}
}

// read receives the peer's part until the difference is known.
func (n *negotiation) read(context.Context) error {
	for !n.done() {
		f, err := n.s.next("the peer's part of the negotiation")
		if err != nil {
			return err
		}
		if err := n.receive(f); err != nil {
			return err
		}
	}
	notify(n.changed)
	return n.conclude()
}

func (n *negotiation) done() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.x.Done()
}

// receive takes one frame. Frames may still come after the end: the peer had sent them ahead.
func (n *negotiation) receive(f wire.Frame) error {
	mode := slices.Index(typeOf[:], f.Type)
	if mode < 0 {
		return unexpected(f, "its part of the negotiation")
	}
	n.mu.Lock()
	err := n.x.Receive(reconcile.Mode(mode), f.Body)
	n.mu.Unlock()
	notify(n.changed)
	if errors.Is(err, reconcile.ErrCollision) {
		err = fmt.Errorf("%w: run the same command again, with a new token if it had one", err)
	}
	return err
}

// conclude hands the result to the session.
func (n *negotiation) conclude() error {
	s := n.s
	n.mu.Lock()
	missing, theirs := n.x.Mine(), n.x.Theirs()
	n.mu.Unlock()
	s.common = s.local.Len() - len(missing)
	s.digest = n.set.CommonDigest(missing, func(i uint32) []byte { return s.local.At(int(i)) })
	if s.weGive() {
		s.give = missing
	}
	if !s.theyGive() {
		theirs = nil
	}
	bytes := uint64(len(theirs)) * uint64(s.local.Format().Size()+bytesPerWanted)
	err := s.o.Store.AllowMemory(bytes, fmt.Sprintf("the list of the %d objects that we lack", len(theirs)))
	if err != nil {
		return err
	}
	s.want = newWanted(s.key, s.local.Format(), theirs)
	return nil
}

// saidCommon returns what a side says that both hold. It reveals two names that happen to have the same short name.
func (s *session) saidCommon(server bool) wire.Common {
	return wire.Common{Objects: uint64(s.common), Digest: s.key.Seal(server, uint64(s.common), s.digest)}
}
