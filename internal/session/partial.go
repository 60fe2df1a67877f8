package session

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"

	"aig/internal/git"
	"aig/internal/objects"
	"aig/internal/wire"
)

// partialHash returns the hash by which two sides find out that they mean the same beginning of a pack. It has a key, so that a peer
// that can't make the pack learns nothing.
func (s *session) partialHash() hash.Hash {
	key := s.key()
	return hmac.New(sha256.New, key[:])
}

// tellPartials tells the peer what we hold of those of its packs that were cut in an earlier run.
func (b *inbox) tellPartials() error {
	if !b.s.peer.Resume || len(b.s.want.short) == 0 {
		return nil
	}
	kept, err := b.s.o.Store.Partials()
	if err != nil {
		return own("looking for partial packs", err)
	}
	var body []byte
	for _, object := range kept {
		if _, ours := b.s.local.Search(object); ours { // it has come in another pack
			b.s.o.Store.RemovePartial(object)
			continue
		}
		if _, announced := b.s.want.place(object); !announced || len(b.partials) == wire.MaxPartials {
			continue
		}
		p, err := b.s.o.Store.OpenPartial(object)
		if err != nil {
			continue // somebody else may have removed it
		}
		sum := b.s.partialHash()
		if _, err := p.WriteTo(sum); err != nil || p.Size == 0 {
			p.Close()
			continue
		}
		b.mu.Lock()
		b.partials[string(object)] = p
		b.mu.Unlock()
		key := b.s.key()
		body = wire.Append(body, wire.Partial{Object: key.Short(object), Bytes: uint64(p.Size), Sum: [sha256.Size]byte(sum.Sum(nil))})
	}
	if len(body) == 0 {
		return nil
	}
	return b.s.write(wire.TypePartial, body)
}

// closePartials closes those that the peer has not gone on with. They stay for another run.
func (b *inbox) closePartials() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.partials {
		p.Close()
	}
	clear(b.partials)
}

// begin begins a large pack, perhaps behind what we hold of it.
func (b *inbox) begin(ctx context.Context, body []byte) error {
	m, err := wire.ParsePackBegin(body, b.s.local.Format().Size())
	if err != nil {
		return err
	}
	if b.current != nil {
		return errors.New("the peer begins a pack inside another")
	}
	b.mu.Lock()
	_, err = b.s.want.find(m.Object)
	partial := b.partials[string(m.Object)]
	delete(b.partials, string(m.Object))
	b.mu.Unlock()
	if partial != nil && uint64(partial.Size) != m.Offset {
		partial.Close()
		partial = nil
	}
	switch {
	case err != nil:
		return fmt.Errorf("the peer begins a pack that goes by what it cannot: %w", err)
	case partial == nil && m.Offset > 0:
		return fmt.Errorf("the peer goes on with a pack at byte %d, where nothing was said to be", m.Offset)
	case partial == nil:
		partial, _ = b.s.o.Store.NewPartial(m.Object) // what can't be kept comes once more if the link breaks
	}
	if err := b.open(ctx); err != nil || partial == nil {
		return err
	}
	if m.Offset > 0 {
		b.s.o.Status.do(fmt.Sprintf("going on with object %x behind %s", m.Object, git.ByteSize(partial.Size)))()
	}
	return own("taking in a pack", b.current.Keep(partial))
}

// errOtherPack says that the peer holds the beginning of another pack than ours.
var errOtherPack = errors.New("the peer holds the beginning of another pack")

// resumption is how a large pack begins: behind what the peer holds of it, if that is what we make too.
type resumption struct {
	s      *session
	object []byte
	held   wire.Partial
	left   uint64 // of the held bytes, to be compared
	sum    hash.Hash
	begun  bool // the peer has been told
}

// resume returns how a piece begins, once the peer has said what it holds. That is used once.
func (b *outbox) resume(ctx context.Context, piece objects.Piece) (*resumption, error) {
	select {
	case <-b.told:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r := &resumption{s: b.s, object: b.s.local.At(int(piece.Index()[0])), sum: b.s.partialHash()}
	key := b.s.key()
	short := key.Short(r.object)
	r.held = b.partials[short]
	delete(b.partials, short)
	r.left = r.held.Bytes
	return r, nil
}

// pass takes those bytes that the peer holds, and tells it where the others begin.
func (r *resumption) pass(p []byte) (n int, err error) {
	if r.begun {
		return 0, nil
	}
	n = int(min(r.left, uint64(len(p))))
	r.sum.Write(p[:n])
	if r.left -= uint64(n); r.left > 0 {
		return n, nil
	}
	if r.held.Bytes > 0 && !hmac.Equal(r.sum.Sum(nil), r.held.Sum[:]) {
		return 0, errOtherPack
	}
	r.begun = true
	return n, r.s.write(wire.TypePackBegin, wire.PackBegin{Offset: r.held.Bytes, Object: r.object}.Append(nil))
}

// whole returns errOtherPack if the pack has ended within what the peer holds.
func (r *resumption) whole() error {
	if !r.begun {
		return errOtherPack
	}
	return nil
}
