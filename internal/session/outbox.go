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

// maxWarned is how many refused objects are named; a peer may refuse them all.
const maxWarned = 100

// outbox is the giving half: it packs, sends, and keeps each pack's list until the peer's verdict on it.
type outbox struct {
	s *session

	refusals int // objects that the peer has refused; of the goroutine that sends

	told     chan struct{}           // closed when the peer has told the partial packs that it holds
	partials map[uint64]wire.Partial // these, by object; until told is closed, of the goroutine that reads, and then of that which sends

	mu          sync.Mutex
	pending     []objects.Piece          // packs to make, the last one first
	outstanding map[uint32]objects.Piece // packs sent and not yet judged, by number
	refused     []wire.Refused
	storedCount int
	left        []uint32      // objects that are omitted or kept
	kept        int           // of these, not offered
	wake        chan struct{} // holds a token when a verdict has come
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
	pieces, err := objects.Plan(ctx, b.s.o.Store.Repo, b.s.local, give)
	planned()
	if err != nil {
		return own("planning our packs", err)
	}
	slices.Reverse(pieces)
	b.pending = pieces
	var number uint32
	for {
		b.mu.Lock()
		refused := b.refused
		b.refused = nil
		piece, more := b.pop()
		waiting := len(b.outstanding)
		b.mu.Unlock()
		for _, r := range refused {
			if err := b.reconsider(ctx, r); err != nil {
				return err
			}
		}
		switch {
		case more:
			sent, err := b.sendPack(ctx, number, piece)
			if err != nil {
				return err
			}
			if sent {
				number++
			}
		case len(refused) > 0: // look again
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

// offer returns what is given of what the peer lacks, and tells it the short names of the rest.
func (b *outbox) offer(ctx context.Context) ([]uint32, error) {
	s := b.s
	if s.o.Offer == nil || len(s.give) == 0 {
		return s.give, nil
	}
	give, err := s.o.Offer(ctx, s.local, s.give)
	if err != nil {
		return nil, err
	}
	var kept []uint32
	next := 0
	for _, at := range s.give {
		if next < len(give) && give[next] == at {
			next++
		} else {
			kept = append(kept, at)
		}
	}
	b.mu.Lock()
	b.left, b.kept = kept, len(kept)
	b.mu.Unlock()
	s.o.Status.update(func(p *Progress) { p.Give = uint64(len(give)) })
	key := s.key()
	for part := range slices.Chunk(kept, wire.MaxBody/8) {
		var body []byte
		for _, at := range part {
			body = binary.BigEndian.AppendUint64(body, key.Short(s.local.At(int(at))))
		}
		if err := s.write(wire.TypeKept, body); err != nil {
			return nil, err
		}
	}
	return give, nil
}

func (b *outbox) pop() (piece objects.Piece, ok bool) {
	if len(b.pending) == 0 {
		return piece, false
	}
	last := len(b.pending) - 1
	piece = b.pending[last]
	b.pending = b.pending[:last]
	return piece, true
}

// sendPack sends one pack; sent is false where it had to be dropped, because some object could not be read. Those are
// then omitted, and the others are pending again.
func (b *outbox) sendPack(ctx context.Context, number uint32, piece objects.Piece) (sent bool, err error) {
	s := b.s
	begun := packFrames{s: s}
	if piece.Large() && s.peer.Resume {
		if begun.resumes, err = b.resume(ctx, piece); err != nil {
			return false, err
		}
	}
	frames := bufio.NewWriterSize(&begun, wire.MaxBody)
	packed := s.o.Status.do("packing our objects")
	packErr := objects.Pack(ctx, s.o.Store.Repo, piece, frames)
	if packErr == nil {
		packErr = frames.Flush()
	}
	packed()
	if packErr == nil && begun.resumes != nil {
		packErr = begun.resumes.whole()
	}
	if packErr == errOtherPack { // it has been forgotten: all of it goes
		b.again(piece)
		return false, nil
	}
	if packErr == nil {
		b.mu.Lock()
		b.outstanding[number] = piece // only now can the peer have a verdict
		b.mu.Unlock()
		return true, s.write(wire.TypePackEnd, wire.Append(nil, wire.PackEnd{Number: number, Objects: uint32(piece.Len())}))
	}
	if failed := ctx.Err(); failed != nil {
		return false, failed
	}
	if isPipe(packErr) {
		return false, packErr
	}
	if begun.sent {
		if err := s.write(wire.TypePackDrop); err != nil {
			return false, err
		}
	}
	found, err := b.omit(ctx, piece.Index())
	if err == nil && found == 0 && !b.simplify(piece, packErr.Error()) {
		err = own("packing our objects", packErr)
	}
	return false, err
}

// simplify makes a pack pending again whose objects are sound: without bases, since it may be one of these that can't be
// read here, or is not there with the peer; then without anything copied from our packs. It returns false if the pack
// was as simple as that.
func (b *outbox) simplify(piece objects.Piece, reason string) bool {
	switch {
	case piece.Thin():
		piece = piece.WithoutBases()
	case !piece.IsFresh():
		piece = piece.Fresh()
		b.s.o.Warn(fmt.Sprintf("%d objects are packed anew, since a copy from our packs was no good; git fsck shows whether "+
			"one of these is damaged: %q", piece.Len(), reason))
	default:
		return false
	}
	b.again(piece)
	return true
}

// again makes a piece the next one.
func (b *outbox) again(piece objects.Piece) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending = append(b.pending, piece)
}

// packFrames writes what it is given as the body of frames, MaxBody bytes at most at a time.
type packFrames struct {
	s       *session
	resumes *resumption // nil, or where a large pack begins
	sent    bool        // something of a pack
}

func (w *packFrames) Write(p []byte) (n int, err error) {
	if w.resumes != nil {
		if n, err = w.resumes.pass(p); err != nil {
			return n, err
		}
		w.sent = w.sent || w.resumes.begun
		p = p[n:]
	}
	for part := range slices.Chunk(p, wire.MaxBody) {
		w.sent = true
		if err := w.s.write(wire.TypePack, part); err != nil {
			return n, err
		}
		n += len(part)
		w.s.o.Status.update(func(p *Progress) { p.BytesOut += uint64(len(part)) })
	}
	return n, nil
}

// reconsider makes a refused pack again, until what the peer refuses is alone and can be left out. If the refusal names an
// object of the pack, that is left out at once. Otherwise the bases may be to blame, which the peer may lack; then an object
// that can't be read; then a copy from our packs. What is left is one of the objects, in one half or the other.
//
// Each refusal makes a pack simpler or smaller, so this has an end.
func (b *outbox) reconsider(ctx context.Context, r wire.Refused) error {
	b.mu.Lock()
	piece := b.outstanding[r.Number]
	delete(b.outstanding, r.Number)
	b.mu.Unlock()
	list := piece.Index()
	if at, found := b.s.local.Search(r.Object); found && slices.Contains(list, uint32(at)) {
		return b.leaveOut(list, uint32(at), r.Reason)
	}
	if piece.Thin() {
		b.simplify(piece, r.Reason)
		return nil
	}
	found, err := b.omit(ctx, list)
	switch {
	case err != nil || found > 0 || b.simplify(piece, r.Reason):
		return err
	case len(list) == 1:
		return b.leaveOut(list, list[0], r.Reason)
	}
	b.retry(list[:len(list)/2], list[len(list)/2:])
	return nil
}

// leaveOut omits an object of a refused pack that the peer refuses, and makes the others pending again, in two packs: there may
// be more like it.
func (b *outbox) leaveOut(list []uint32, bad uint32, reason string) error {
	switch b.refusals++; {
	case b.refusals <= maxWarned:
		b.s.o.Warn(fmt.Sprintf("the peer refuses our object %x, which is left out: %q", b.s.local.At(int(bad)), reason))
	case b.refusals == maxWarned+1:
		b.s.o.Warn("the peer refuses more of our objects; the next ones are not named")
	}
	if err := b.tellOmitted(bad); err != nil {
		return err
	}
	rest := slices.DeleteFunc(slices.Clone(list), func(i uint32) bool { return i == bad })
	b.retry(rest[:len(rest)/2], rest[len(rest)/2:])
	return nil
}

// retry makes the objects of each list pending again.
func (b *outbox) retry(lists ...[]uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, list := range lists {
		if len(list) > 0 {
			b.pending = append(b.pending, objects.NewPiece(b.s.local, list))
		}
	}
}

// omit reads every object of the list, tells the peer and the user which ones cannot be given, and makes the others
// pending again.
func (b *outbox) omit(ctx context.Context, list []uint32) (found int, err error) {
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
	if err := b.tellOmitted(bad...); err != nil {
		return 0, err
	}
	b.retry(good)
	return len(bad), nil
}

// tellOmitted tells the peer that objects don't come. They are noted first, since the peer may be done by it.
func (b *outbox) tellOmitted(bad ...uint32) error {
	b.mu.Lock()
	b.left = append(b.left, bad...)
	b.mu.Unlock()
	for part := range slices.Chunk(bad, wire.MaxBody/b.s.local.Format().Size()) {
		var body []byte
		for _, i := range part {
			body = append(body, b.s.local.At(int(i))...)
		}
		if err := b.s.write(wire.TypeOmitted, body); err != nil {
			return err
		}
	}
	return nil
}

// verdict takes the peer's word on one pack. It does not wait: the reader must go on while send is writing.
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
	if !ok || slices.ContainsFunc(b.refused, func(r wire.Refused) bool { return r.Number == refused.Number }) {
		return fmt.Errorf("the peer has a verdict on pack %d, which waits for none", refused.Number)
	}
	if f.Type == wire.TypeRefused {
		b.refused = append(b.refused, refused)
	} else {
		delete(b.outstanding, refused.Number)
		b.storedCount += piece.Len()
		b.s.o.Status.update(func(p *Progress) { p.Given = uint64(b.storedCount) })
	}
	notify(b.wake)
	return nil
}

// stored is how many objects the peer has confirmed, and whether that is all of them that can be given.
func (b *outbox) stored() (n int, all bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.storedCount, b.storedCount+len(b.left) == len(b.s.give)
}

func (b *outbox) omitted() int { return len(b.left) - b.kept }

// sent is the names of what was given, once send has returned.
func (b *outbox) sent() oid.Names {
	if len(b.left) > 0 {
		left := make(map[uint32]bool, len(b.left))
		for _, i := range b.left {
			left[i] = true
		}
		return oid.Selection{List: b.s.local, Index: slices.DeleteFunc(b.s.give, func(i uint32) bool { return left[i] })}
	}
	return oid.Selection{List: b.s.local, Index: b.s.give}
}
