package session

import (
	"context"
	"errors"
	"fmt"

	"aig/internal/wire"
)

// oldestVersion is the oldest version of the conversation that this program can still have.
const oldestVersion = 1

func (s *session) sendHello(context.Context) error {
	hello := wire.Hello{
		Oldest: oldestVersion, Newest: wire.Version,
		Format: string(s.local.Format()), Direction: s.o.Direction,
		Objects: uint64(s.local.Len()), Agent: s.o.Agent,
	}
	if err := s.write(wire.TypeHello, hello.Append(nil)); err != nil {
		return err
	}
	// While the peer's hello is on its way.
	s.negotiation = newNegotiation(s)
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

// compare checks that the two sides can have a conversation at all.
func (s *session) compare() error {
	ours, theirs := s.o.Direction, s.peer.Direction
	switch {
	case s.peer.Oldest > wire.Version:
		return fmt.Errorf("the peer (%.60q) speaks version %d of the protocol and later, this program only up to %d: "+
			"update this side", s.peer.Agent, s.peer.Oldest, wire.Version)
	case s.peer.Newest < oldestVersion:
		return fmt.Errorf("the peer (%.60q) speaks only up to version %d of the protocol, this program from %d on: "+
			"update the other side", s.peer.Agent, s.peer.Newest, oldestVersion)
	case s.peer.Format != string(s.local.Format()):
		return fmt.Errorf("our repository has %s objects and the peer's %.20q: only stores of one object format "+
			"can be made equal", s.local.Format(), s.peer.Format)
	case !ours.Gives() && !theirs.Gives():
		return errors.New("both sides only pull, so nothing would move: one of them must leave out --pull")
	case !ours.Receives() && !theirs.Receives():
		return errors.New("both sides only push, so nothing would move: one of them must leave out --push")
	case s.peer.Objects > maxObjects:
		return fmt.Errorf("the peer says that it holds %d objects, more than the %d that can be numbered",
			s.peer.Objects, maxObjects)
	}
	return nil
}

// weGive and theyGive tell in which directions objects travel.
func (s *session) weGive() bool   { return s.o.Direction.Gives() && s.peer.Direction.Receives() }
func (s *session) theyGive() bool { return s.peer.Direction.Gives() && s.o.Direction.Receives() }
