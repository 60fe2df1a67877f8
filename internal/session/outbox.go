package session

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"aig/internal/objects"
	"aig/internal/oid"
	"aig/internal/wire"
)

// outbox is the giving half: it packs, sends, and keeps each pack's list until the peer's verdict on it.
type outbox struct {
	s *session

	told     chan struct{}           // closed when the peer has told which partial packs it holds
	partials map[uint64]wire.Partial // those, by object; the reading goroutine owns it until told is closed, then the sending one

	// Used by the sending goroutine only:
	pending []objects.Piece // packs to make, the last one first
	number  uint32          // of the next pack to send
	kept    int             // objects that are not offered

	mu          sync.Mutex
	outstanding map[uint32]objects.Piece // packs sent and not yet judged, by number
	refused     []refusal
	storedCount int
	left        []uint32      // objects omitted or kept
	wake        chan struct{} // holds a token when a verdict has come
}

// refusal is a pack that the peer has refused, with its message.
type refusal struct {
	piece objects.Piece
	wire.Refused
}

func newOutbox(s *session) *outbox {
	return &outbox{s: s, outstanding: make(map[uint32]objects.Piece), wake: make(chan struct{}, 1), told: make(chan struct{})}
}

// send sends everything and returns when the peer has stored it.
func (b *outbox) send(ctx context.Context) error {
	planned := b.s.o.Status.do("planning our packs")
	give, err := b.offer(ctx)
	if err != nil {
		return err
	}
	b.pending, err = objects.Plan(ctx, b.s.o.Store.Repo, b.s.local, give)
	planned()
	if err != nil {
		return Own("planning our packs", err)
	}
	slices.Reverse(b.pending)
	for {
		b.mu.Lock()
		refused, waiting := b.refused, len(b.outstanding)
		b.refused = nil
		b.mu.Unlock()
		for _, r := range refused {
			if err := b.reconsider(ctx, r); err != nil {
				return err
			}
		}
		switch last := len(b.pending) - 1; {
		case last >= 0:
			piece := b.pending[last]
			b.pending = b.pending[:last]
			if err := b.sendPack(ctx, piece); err != nil {
				return err
			}
		case waiting > 0:
			select {
			case <-b.wake:
			case <-ctx.Done():
				return ctx.Err()
			}
		default:
			return nil
		}
	}
}

// offer returns which of the objects that the peer lacks we give, and tells the peer the short names of the rest.
func (b *outbox) offer(ctx context.Context) ([]uint32, error) {
	s := b.s
	give, err := s.offered(ctx)
	if err != nil || len(give) == len(s.give) {
		return give, err
	}
	s.o.Status.update(func(p *Progress) { p.Give = uint64(len(give)) })
	offered := oid.NewBitmap(s.local.Len(), give)
	kept := slices.DeleteFunc(slices.Clone(s.give), offered.Has)
	b.kept = len(kept)
	return give, b.leave(wire.TypeKept, kept, 8, func(body, name []byte) []byte {
		return binary.BigEndian.AppendUint64(body, s.key.Short(name))
	})
}

// leave tells the peer which objects will not come, in names of size bytes. They are noted first, since this may let the peer be done.
func (b *outbox) leave(t wire.Type, left []uint32, size int, appendName func(body, name []byte) []byte) error {
	b.mu.Lock()
	b.left = append(b.left, left...)
	b.mu.Unlock()
	for part := range slices.Chunk(left, wire.MaxBody/size) {
		var body []byte
		for _, i := range part {
			body = appendName(body, b.s.local.At(int(i)))
		}
		if err := b.s.write(t, body); err != nil {
			return err
		}
	}
	return nil
}

// omit leaves out objects that were announced.
func (b *outbox) omit(bad ...uint32) error {
	return b.leave(wire.TypeOmitted, bad, b.s.local.Format().Size(), func(body, name []byte) []byte { return append(body, name...) })
}

// sendPack sends one pack. If some of its objects can't be read, the pack is dropped, those objects are omitted, and the others
// are pending again.
func (b *outbox) sendPack(ctx context.Context, piece objects.Piece) error {
	s := b.s
	frames, err := b.begin(ctx, piece)
	if err != nil {
		return err
	}
	packed := s.o.Status.do("packing our objects")
	err = objects.Pack(ctx, s.o.Store.Repo, piece, bufio.NewWriterSize(frames, wire.MaxBody))
	packed()
	switch {
	case err == nil && frames.sent:
		b.mu.Lock()
		b.outstanding[b.number] = piece // no verdict is valid before this
		b.mu.Unlock()
		end := wire.PackEnd{Number: b.number, Objects: uint32(piece.Len())}
		b.number++
		return s.write(wire.TypePackEnd, wire.Append(nil, end))
	case err == nil || err == errOtherPack: // begin has forgotten what the peer holds, so next time all of the pack is sent
		b.pending = append(b.pending, piece)
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case isPipe(err):
		return err
	}
	if frames.sent {
		if err := s.write(wire.TypePackDrop); err != nil {
			return err
		}
	}
	found, verifyErr := b.omitBad(ctx, piece.Index)
	if verifyErr == nil && found == 0 && !b.simplify(piece, err.Error()) {
		return Own("packing our objects", err)
	}
	return verifyErr
}

// simplify makes a pack whose objects are sound pending again: first without bases, since one of them may be unreadable here
// or absent at the peer; then without copying anything from our packs. It returns false if the pack was as simple as that
// already.
func (b *outbox) simplify(piece objects.Piece, reason string) bool {
	switch {
	case len(piece.Bases) > 0:
		piece.Bases = nil
	case !piece.Fresh:
		piece.Fresh = true
		b.s.o.Warn(fmt.Sprintf("%d objects are packed again, because data copied from our packs was bad; git fsck shows whether "+
			"one of the packs is damaged: %q", piece.Len(), reason))
	default:
		return false
	}
	b.pending = append(b.pending, piece)
	return true
}

// reconsider makes a refused pack again, until what the peer refuses is alone and can be left out. If the refusal names an
// object of the pack, that is left out at once. Otherwise it suspects in turn the bases, which the peer may lack; an object
// that can't be read; and a copy from our packs. After that it must be one of the objects, in one half or the other.
//
// Each refusal makes a pack simpler or smaller, so this terminates.
func (b *outbox) reconsider(ctx context.Context, r refusal) error {
	list := r.piece.Index
	if at, found := b.s.local.Search(r.Object); found && slices.Contains(list, uint32(at)) {
		return b.leaveOut(list, uint32(at), r.Reason)
	}
	if len(r.piece.Bases) > 0 {
		b.simplify(r.piece, r.Reason)
		return nil
	}
	found, err := b.omitBad(ctx, list)
	switch {
	case err != nil || found > 0 || b.simplify(r.piece, r.Reason):
		return err
	case len(list) == 1:
		return b.leaveOut(list, list[0], r.Reason)
	}
	b.retry(list[:len(list)/2], list[len(list)/2:])
	return nil
}

// leaveOut omits the object that the peer refuses from a refused pack, and makes the others pending again, in two packs: there
// may be more like it.
func (b *outbox) leaveOut(list []uint32, bad uint32, reason string) error {
	b.s.warn("the peer refuses our object %x, which is left out: %q", b.s.local.At(int(bad)), reason)
	if err := b.omit(bad); err != nil {
		return err
	}
	rest := slices.DeleteFunc(slices.Clone(list), func(i uint32) bool { return i == bad })
	b.retry(rest[:len(rest)/2], rest[len(rest)/2:])
	return nil
}

// retry makes the objects of each list pending again.
func (b *outbox) retry(lists ...[]uint32) {
	for _, list := range lists {
		if len(list) > 0 {
			b.pending = append(b.pending, objects.NewPiece(b.s.local, list))
		}
	}
}

// omitBad reads every object of the list. If some can't be given, it tells the peer and the user which, and makes the others
// pending again.
func (b *outbox) omitBad(ctx context.Context, list []uint32) (found int, err error) {
	s := b.s
	reasons := make(map[uint32]string)
	err = objects.Verify(ctx, s.o.Store.Repo, oid.Selection{List: s.local, Index: list}, func(i int, reason string) {
		reasons[list[i]] = reason
	})
	if err == nil && len(reasons) == 0 {
		err = objects.VerifyLinks(ctx, s.o.Store.Repo, s.local, list, func(i uint32, reason string) { reasons[i] = reason })
	}
	if err != nil || len(reasons) == 0 {
		return 0, err
	}
	var bad, good []uint32
	for _, i := range list {
		if reason, isBad := reasons[i]; isBad {
			bad = append(bad, i)
			s.o.Warn(fmt.Sprintf("object %x cannot be given: %q", s.local.At(int(i)), reason))
		} else {
			good = append(good, i)
		}
	}
	if err := b.omit(bad...); err != nil {
		return 0, err
	}
	b.retry(good)
	return len(bad), nil
}

// verdict takes the peer's verdict on one pack. It does not wait: the reader must go on while send is writing.
func (b *outbox) verdict(f wire.Frame) error {
	var refused wire.Refused
	var err error
	if f.Type == wire.TypeRefused {
		refused, err = wire.ParseRefused(f.Body, b.s.local.Format().Size())
	} else {
		refused.Number, err = wire.Parse[uint32](f.Body, "number")
	}
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	piece, ok := b.outstanding[refused.Number]
	if !ok {
		return fmt.Errorf("the peer sent a verdict on pack %d, for which none is due", refused.Number)
	}
	delete(b.outstanding, refused.Number)
	if f.Type == wire.TypeRefused {
		b.refused = append(b.refused, refusal{piece, refused})
	} else {
		b.storedCount += piece.Len()
		b.s.o.Status.update(func(p *Progress) { p.Given = uint64(b.storedCount) })
	}
	notify(b.wake)
	return nil
}

// stored returns how many objects the peer has confirmed, and whether these are all that we can give.
func (b *outbox) stored() (n int, all bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.storedCount, b.storedCount+len(b.left) == len(b.s.give)
}

func (b *outbox) omitted() int { return len(b.left) - b.kept }

// sent returns the names of what was given. It is valid once send has returned.
func (b *outbox) sent() oid.Names {
	left := oid.NewBitmap(b.s.local.Len(), b.left)
	return oid.Selection{List: b.s.local, Index: slices.DeleteFunc(b.s.give, left.Has)}
}
