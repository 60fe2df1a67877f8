package session

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"aig/internal/oid"
	"aig/internal/wire"
)

// oldestVersion is the oldest version of the protocol that this program still speaks.
const oldestVersion = 1

func (s *session) sendHello(ctx context.Context) error {
	hello := wire.Hello{
		Oldest: oldestVersion, Newest: wire.Version, Agent: s.o.Agent,
		Format: wire.AnyFormat, Direction: s.o.Direction,
		Context: s.o.Context, Refs: len(s.untold), Hold: s.o.Hold != nil, Sorted: true, Resume: true,
	}
	if s.o.Uncommitted != nil {
		hello.Uncommitted = s.o.Uncommitted(ctx)
	}
	if !hello.Hold {
		hello.Format, hello.Objects = string(s.local.Format()), uint64(s.local.Len())
	}
	if err := s.write(wire.TypeHello, hello.Append(nil)); err != nil {
		return err
	}
	if !hello.Hold {
		defer s.o.Status.do("hashing the names of our objects")()
		s.negotiation = newNegotiation(s) // while the peer's hello is on its way
	}
	return nil
}

// sendRefs tells the peer our references, unless it has been told them already.
func (s *session) sendRefs(context.Context) error {
	for len(s.untold) > 0 {
		var body []byte
		body, s.untold = wire.AppendRefs(nil, s.untold)
		if err := s.write(wire.TypeRefs, body); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) readHello(context.Context) error {
	body, err := s.expect(wire.TypeHello, "the peer's hello")
	if err != nil {
		return err
	}
	s.peer, err = wire.ParseHello(body)
	return err
}

// readRefs reads the references that the peer has announced, unless they have all been read.
func (s *session) readRefs(context.Context) error {
	for size := 0; len(s.peerRefs) < s.peer.Refs; {
		body, err := s.expect(wire.TypeRefs, "the peer's references")
		if err != nil {
			return err
		}
		refs, err := wire.ParseRefs(body)
		if err != nil {
			return err
		}
		if size += len(body); size > wire.MaxRefsSize {
			return fmt.Errorf("the peer's references take more than the %d bytes allowed", wire.MaxRefsSize)
		}
		s.peerRefs = append(s.peerRefs, refs...)
	}
	if len(s.peerRefs) > s.peer.Refs {
		return fmt.Errorf("the peer sent %d references, but announced %d", len(s.peerRefs), s.peer.Refs)
	}
	return nil
}

// compare checks that the two sides can have a conversation at all.
func (s *session) compare() error {
	ours, theirs := s.o.Direction, s.peer.Direction
	switch {
	case s.peer.Context != s.o.Context:
		return fmt.Errorf("the two sides have different contexts, ours is %s and the peer's %s: either the pipe leads to "+
			"the wrong session, or one side has to use the other's context (--context, AIG_CONTEXT, aig.context)",
			quoteContext(s.o.Context), quoteContext(s.peer.Context))
	case s.peer.Oldest > wire.Version:
		return fmt.Errorf("the peer (%.60q) speaks version %d of the protocol and later, this program only up to %d: "+
			"update this side", s.peer.Agent, s.peer.Oldest, wire.Version)
	case s.peer.Newest < oldestVersion:
		return fmt.Errorf("the peer (%.60q) speaks only up to version %d of the protocol, this program from %d on: "+
			"update the other side", s.peer.Agent, s.peer.Newest, oldestVersion)
	case s.o.Hold != nil && s.peer.Hold:
		return errors.New("both sides only fetch, so nothing would move: one of them must run git aig-sync")
	case s.o.Hold == nil && !s.peer.Hold && s.peer.Format != string(s.local.Format()):
		return s.otherFormat(s.local.Format())
	case !ours.Gives() && !theirs.Gives():
		return errors.New("both sides only pull, so nothing would move: one of them must leave out --pull")
	case !ours.Receives() && !theirs.Receives():
		return errors.New("both sides only push, so nothing would move: one of them must leave out --push")
	}
	return s.checkObjects()
}

func (s *session) otherFormat(ours oid.Format) error {
	return fmt.Errorf("our repository has %s objects and the peer's %.20q: only stores of one object format can be made equal", ours, s.peer.Format)
}

// quoteContext quotes a context for a message: both sides may see both words, since they know whom they talk to.
func quoteContext(word string) string {
	if word == "" {
		return "none"
	}
	return strconv.Quote(word)
}

// weGive and theyGive report in which directions objects travel.
func (s *session) weGive() bool   { return s.o.Direction.Gives() && s.peer.Direction.Receives() }
func (s *session) theyGive() bool { return s.peer.Direction.Gives() && s.o.Direction.Receives() }

// hold lets our side look at the peer's hello and references before anything else happens. It returns whether the
// conversation goes on.
func (s *session) hold(ctx context.Context) (goesOn bool, err error) {
	s.o.Status.Phase("looking at the peer's references")
	format, err := oid.ParseFormat(s.peer.Format)
	if err != nil {
		return false, fmt.Errorf("the peer's repository: %w", err)
	}
	if s.o.Store, err = s.o.Hold(ctx, Offer{Format: format, Refs: s.peerRefs}); err != nil {
		return false, err
	}
	if s.o.Store == nil {
		return false, s.write(wire.TypeLeave)
	}
	if ours := s.o.Store.Format; ours != format {
		return false, s.otherFormat(ours)
	}
	if err := s.checkObjects(); err != nil {
		return false, err
	}
	if err := s.list(ctx); err != nil {
		return false, err
	}
	if err := s.write(wire.TypeGo, wire.Append(nil, uint64(s.local.Len()))); err != nil {
		return false, err
	}
	s.negotiation = newNegotiation(s)
	return true, nil
}

// awaitGo waits for a peer that holds to decide.
func (s *session) awaitGo() (goesOn bool, err error) {
	const what = "the peer to look at our references"
	f, err := s.next(what)
	if err != nil {
		return false, err
	}
	switch f.Type {
	case wire.TypeLeave:
		return false, nil
	case wire.TypeGo:
		if s.peer.Objects, err = wire.Parse[uint64](f.Body, "count"); err == nil {
			err = s.checkObjects()
		}
		return err == nil, err
	}
	return false, unexpected(f, what)
}

func (s *session) checkObjects() error {
	if s.peer.Objects > maxObjects {
		return fmt.Errorf("the peer says that it holds %d objects, more than the %d that can be numbered",
			s.peer.Objects, maxObjects)
	}
	if s.o.Store == nil { // we hold, and have none yet
		return nil
	}
	return s.o.Store.AllowMemory(s.peer.Objects*bytesPerObject, fmt.Sprintf("the list of the peer's %d objects", s.peer.Objects))
}
