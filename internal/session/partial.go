package session

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"slices"

	"aig/internal/git"
	"aig/internal/objects"
	"aig/internal/wire"
)

// partialHash returns the hash by which two sides find out whether they have the same beginning of a pack. It is keyed, so that
// a peer that can't make the pack learns nothing.
func (s *session) partialHash() hash.Hash {
	return hmac.New(sha256.New, s.key[:])
}

// tellPartials tells the peer which beginnings of its packs we hold from earlier runs that were cut.
func (b *inbox) tellPartials() error {
	if !b.s.peer.Resume || len(b.s.want.short) == 0 {
		return nil
	}
	kept, err := b.s.o.Store.Partials()
	if err != nil {
		return Own("looking for partial packs", err)
	}
	var body []byte
	told := make(map[string]int64)
	for _, object := range kept {
		if _, ours := b.s.local.Search(object); ours { // it has come in another pack
			b.s.o.Store.RemovePartial(object)
			continue
		}
		short := b.s.key.Short(object)
		if _, announced := b.s.want.search(short); !announced || len(told) == wire.MaxPartials {
			continue
		}
		sum := b.s.partialHash()
		size, err := b.s.o.Store.CopyPartial(sum, object)
		if err != nil || size == 0 {
			continue // another process may have removed it
		}
		told[string(object)] = size
		body = wire.Append(body, wire.Partial{Object: short, Bytes: uint64(size), Sum: [sha256.Size]byte(sum.Sum(nil))})
	}
	if len(body) == 0 {
		return nil
	}
	b.mu.Lock()
	b.held = told
	b.mu.Unlock()
	return b.s.write(wire.TypePartial, body)
}

// begin begins a large pack, or resumes it behind what we hold of it.
func (b *inbox) begin(ctx context.Context, body []byte) error {
	m, err := wire.ParsePackBegin(body, b.s.local.Format().Size())
	if err != nil {
		return err
	}
	if b.current != nil {
		return errors.New("the peer begins a pack inside another")
	}
	if _, announced := b.s.want.search(b.s.key.Short(m.Object)); !announced {
		return fmt.Errorf("the peer begins a pack named after object %x, which was not announced", m.Object)
	}
	b.mu.Lock()
	held := b.held[string(m.Object)]
	delete(b.held, string(m.Object)) // it can go on from there once
	b.mu.Unlock()
	if m.Offset > 0 && m.Offset != uint64(held) {
		return fmt.Errorf("the peer continues a pack at byte %d, which we did not offer", m.Offset)
	}
	if err := b.open(ctx); err != nil {
		return err
	}
	if m.Offset > 0 {
		b.s.o.Status.do(fmt.Sprintf("resuming the pack of object %x after %s", m.Object, git.ByteSize(held)))()
	}
	return Own("taking in a pack", b.current.Keep(m.Object, int64(m.Offset)))
}

// errOtherPack says that what the peer holds is not the beginning of our pack.
var errOtherPack = errors.New("the peer holds the beginning of another pack")

// packFrames writes a pack as the bodies of frames. A large pack starts behind what the peer holds of it, if ours begins with
// the same bytes.
type packFrames struct {
	s    *session
	sent bool // at least one frame, if only the pack's begin

	// For a large pack only:
	object []byte // that it is named after
	held   wire.Partial
	left   uint64 // held bytes still to be compared
	sum    hash.Hash
}

// begin returns the writer for a pack. For a large one it waits until the peer has told what it holds, and uses that once.
func (b *outbox) begin(ctx context.Context, piece objects.Piece) (*packFrames, error) {
	w := &packFrames{s: b.s}
	if !piece.Large || !b.s.peer.Resume {
		return w, nil
	}
	select {
	case <-b.told:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w.object = b.s.local.At(int(piece.Index[0]))
	short := b.s.key.Short(w.object)
	w.held = b.partials[short]
	delete(b.partials, short)
	w.left, w.sum = w.held.Bytes, b.s.partialHash()
	return w, nil
}

func (w *packFrames) Write(p []byte) (n int, err error) {
	if w.object != nil && !w.sent {
		n = int(min(w.left, uint64(len(p))))
		w.sum.Write(p[:n])
		if w.left -= uint64(n); w.left > 0 {
			return n, nil
		}
		if w.held.Bytes > 0 && !hmac.Equal(w.sum.Sum(nil), w.held.Sum[:]) {
			return 0, errOtherPack
		}
		w.sent = true
		begin := wire.PackBegin{Offset: w.held.Bytes, Object: w.object}
		if err := w.s.write(wire.TypePackBegin, begin.Append(nil)); err != nil {
			return n, err
		}
	}
	for part := range slices.Chunk(p[n:], wire.MaxBody) {
		w.sent = true
		if err := w.s.write(wire.TypePack, part); err != nil {
			return n, err
		}
		n += len(part)
		w.s.o.Status.update(func(p *Progress) { p.BytesOut += uint64(len(part)) })
	}
	return n, nil
}
