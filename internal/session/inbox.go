package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"aig/internal/intake"
	"aig/internal/wire"
)

// maxIndexing bounds how many packs are processed at the same time: one that is arriving, which keeps one processor busy,
// those whose deltas are being resolved, and those that wait for the disk. A first sync of git's own history took 19.2 s on
// two processors with 2, 18.8 with 3 and 17.9 with 4.
const maxIndexing = 4

// inbox is the receiving half: each pack goes through a quarantine of its own, is compared with what was announced, and
// is moved into the store.
type inbox struct {
	s       *session
	settle  func() error // called whenever something may have been settled
	links   *linkCheck
	slots   chan struct{} // holds a token for each pack in process
	workers sync.WaitGroup

	// Used by the reading goroutine only:
	current *intake.Incoming // the pack under way
	number  uint32           // of the pack that ends next
	begun   bool             // the peer has begun a pack, which it may have dropped since

	mu      sync.Mutex       // guards what follows, want, and what links notes
	held    map[string]int64 // how much we hold of packs that were cut, by object, once we tell the peer
	stored  int
	omitted int
	kept    int
}

func newInbox(s *session, settle func() error) *inbox {
	return &inbox{s: s, settle: settle, links: newLinkCheck(s), slots: make(chan struct{}, maxIndexing)}
}

// data takes part of a pack.
func (b *inbox) data(ctx context.Context, body []byte) error {
	if len(body) == 0 {
		return errors.New("the peer sent an empty part of a pack")
	}
	b.s.o.Status.update(func(p *Progress) { p.BytesIn += uint64(len(body)) })
	if b.current == nil {
		if err := b.open(ctx); err != nil {
			return err
		}
	}
	_, err := b.current.Write(body)
	return err
}

// open prepares for a pack.
func (b *inbox) open(ctx context.Context) error {
	b.mu.Lock()
	due := b.s.want.left
	b.mu.Unlock()
	if due == 0 {
		return errors.New("the peer sends a pack, though it has given everything it announced")
	}
	select {
	case b.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	// A complete pack is taken in even if the pipe breaks meanwhile: hence the caller's context, which outlives the conversation.
	in, err := b.s.o.Store.Receive(b.s.outer, due, b.s.common == 0)
	if err != nil {
		<-b.slots
		return Own("taking in a pack", err)
	}
	if b.current = in; !b.begun {
		b.begun = true
		b.workers.Go(func() { b.links.looked() }) // while the pack comes; the first check returns its error
	}
	return nil
}

// takeBack drops the pack under way at the peer's request.
func (b *inbox) takeBack() error {
	if b.current == nil {
		return errors.New("the peer withdraws a pack, but none is under way")
	}
	b.current.Forget()
	b.drop()
	return nil
}

// drop drops the pack under way, if there is one.
func (b *inbox) drop() {
	if b.current != nil {
		b.current.Discard()
		b.current = nil
		<-b.slots
	}
}

// salvage takes in the complete objects of the pack under way, which the peer will not go on with. A large pack is kept as it is.
// Errors are ignored: the conversation has failed already.
func (b *inbox) salvage() {
	if b.current == nil || b.current.Kept() {
		return
	}
	defer b.s.o.Status.do("checking what has arrived")()
	if pack, _ := b.current.Salvage(b.s.common == 0); pack != nil {
		defer pack.Discard()
		b.take(b.s.outer, pack, wire.PackEnd{Number: b.number, Objects: pack.Objects()})
	}
}

// end hands the pack under way to its own goroutine, so that the next one can arrive meanwhile.
func (b *inbox) end(body []byte) error {
	end, err := wire.Parse[wire.PackEnd](body, "pack end")
	if err != nil {
		return err
	}
	switch {
	case b.current == nil:
		return fmt.Errorf("the peer ends pack %d, but none is under way", end.Number)
	case end.Number != b.number:
		return fmt.Errorf("the peer ends pack %d where pack %d is due", end.Number, b.number)
	}
	pack := b.current
	b.current = nil
	b.number++
	b.workers.Go(func() {
		defer func() { <-b.slots }()
		defer pack.Discard()
		defer b.s.o.Status.do("checking what has arrived")()
		if err := b.take(b.s.outer, pack, end); err != nil {
			b.s.fail(err)
			return
		}
		pack.Forget()
	})
	return nil
}

// take finishes a pack. It returns errors of this side only; if the peer is at fault, it refuses the pack instead.
func (b *inbox) take(ctx context.Context, pack *intake.Incoming, end wire.PackEnd) error {
	err := b.install(ctx, pack, end)
	if bad, ofPack := errors.AsType[*intake.PackError](err); ofPack {
		return b.refuse(end, bad, err)
	}
	if err != nil {
		return Own("taking in a pack", err)
	}
	b.mu.Lock()
	b.stored += int(end.Objects)
	b.s.o.Status.update(func(p *Progress) { p.Got = uint64(b.stored) })
	// Under the lock: whoever sees that this was the last pack posts our done, which must come after this.
	err = b.s.post(wire.TypeStored, wire.Append(nil, end.Number))
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return b.settle()
}

// install checks a pack and moves it into the store.
func (b *inbox) install(ctx context.Context, pack *intake.Incoming, end wire.PackEnd) (err error) {
	if err := pack.Finish(); err != nil {
		return err
	}
	p := newContents(b.s.local.Format())
	defer func() {
		if err != nil {
			b.mu.Lock()
			b.s.want.lose(p.places)
			b.mu.Unlock()
		}
	}()
	if err := b.compare(pack, end, p); err != nil {
		return err
	}
	if err := b.links.read(pack, p); err != nil {
		return err
	}
	if err := b.links.compareWithOurs(ctx, p); err != nil {
		return err
	}
	b.mu.Lock()
	err = b.links.check(p)
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return pack.Install() // a blob may turn out to be bad only here, when a tree in another pack gives it a name that git checks
}

// lie returns an error that says how a pack differs from what was announced.
func lie(format string, args ...any) error {
	return &intake.PackError{Text: fmt.Sprintf(format, args...)}
}

// compare compares a pack with what was announced, and notes what has come: as many objects as the peer says, announced ones only, and
// none that has come before. Names also has the bases that git has appended to a thin pack; those we have already.
func (b *inbox) compare(pack *intake.Incoming, end wire.PackEnd, p *contents) error {
	names, kinds, err := pack.Names()
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, kind := range kinds {
		name := names.At(i)
		place, err := b.s.want.take(name, kind)
		if err == nil {
			p.add(place, name, kind)
		} else if _, ours := b.s.local.Search(name); !ours {
			return lie("object %x %v", name, err)
		}
	}
	if n := pack.Objects(); n != end.Objects || len(p.places) != int(n) {
		return lie("the pack holds %d objects, of which %d were announced, and should hold %d", n, len(p.places), end.Objects)
	}
	return nil
}

// refuse tells the peer that a pack is refused, and the user too if the object to blame is known. The peer sends the other
// objects again. The reason is bad, with what else there is to say.
func (b *inbox) refuse(end wire.PackEnd, bad *intake.PackError, reason error) error {
	refused := wire.Refused{Number: end.Number, Object: make([]byte, b.s.local.Format().Size()), Reason: reason.Error()}
	switch {
	case bad.Object != "":
		if err := b.s.local.Format().Parse(refused.Object, []byte(bad.Object)); err != nil {
			return err
		}
		b.s.warn("refused from the peer: %v%s", reason, bad.Advice())
	case end.Objects == 1:
		b.s.warn("refused from the peer: %v", reason)
	}
	return b.s.post(wire.TypeRefused, refused.Append(nil))
}

// omit notes what the peer has announced but cannot give.
func (b *inbox) omit(names []byte) error {
	size := b.s.local.Format().Size()
	if err := b.leaveOut(names, size, b.s.key.Short, &b.omitted); err != nil {
		return err
	}
	for name := range slices.Chunk(names, size) {
		b.s.warn("the peer leaves out its object %x", name)
	}
	return b.settle()
}

// keep notes what the peer has announced but does not give.
func (b *inbox) keep(names []byte) error {
	if b.begun {
		return errors.New("the peer keeps objects back after it has begun to send packs")
	}
	if err := b.leaveOut(names, 8, binary.BigEndian.Uint64, &b.kept); err != nil {
		return err
	}
	b.s.o.Status.update(func(p *Progress) { p.Want = uint64(len(b.s.want.short) - b.kept) })
	return b.settle()
}

// leaveOut notes and counts the named objects as not coming. Only the reading goroutine changes the count, and so may read it without
// the lock.
func (b *inbox) leaveOut(names []byte, size int, short func(name []byte) uint64, count *int) error {
	if err := wire.CheckNames(names, size); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for name := range slices.Chunk(names, size) {
		if _, err := b.s.want.mark(short(name), leftOut); err != nil {
			return fmt.Errorf("the peer leaves out object %x, which %w", name, err)
		}
		*count++
	}
	return nil
}

// whole reports whether the store was empty before, got all that was announced, and lacks nothing that its objects name.
func (b *inbox) whole() bool {
	return b.s.local.Len() == 0 && b.omitted == 0 && b.kept == 0 && !b.links.lacking
}

// progress returns how many objects have been stored, and how many are still to come. An object counts as stored only once
// it is installed.
func (b *inbox) progress() (stored, toCome int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stored, len(b.s.want.short) - b.stored - b.omitted - b.kept
}
