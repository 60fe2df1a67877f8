package session

import (
	"errors"
	"fmt"
	"time"

	"aig/internal/wire"
)

// next is the peer's next message that says something.
func (s *session) next(waitingFor string) (wire.Frame, error) {
	s.watch.Phase(waitingFor)
	s.o.Status.Phase("waiting for " + waitingFor)
	s.steps.waitFor(waitingFor)
	since := time.Now()
	for {
		f, err := s.in.Next()
		if err != nil {
			if isStalled(err) || errors.Is(err, wire.ErrNotFrame) {
				return f, err
			}
			return f, &pipeError{"while waiting for " + waitingFor, err}
		}
		s.watch.Heard()
		now := time.Now()
		if err := s.steps.saw(f, now.Sub(since)); err != nil {
			return f, err
		}
		since = now
		switch f.Type {
		case wire.TypeAlive:
			reads, err := wire.ParseAlive(f.Body)
			if err != nil {
				return f, err
			}
			if reads {
				s.watch.PeerReads()
			}
		case wire.TypeAbort:
			reason, err := wire.ParseText(f.Body)
			if err != nil {
				return f, err
			}
			return f, &PeerError{reason}
		default:
			return f, nil
		}
	}
}

// expect is next, where only one type of message may come.
func (s *session) expect(t wire.Type, waitingFor string) ([]byte, error) {
	f, err := s.next(waitingFor)
	if err == nil && f.Type != t {
		err = unexpected(f, waitingFor)
	}
	return f.Body, err
}

func unexpected(f wire.Frame, waitingFor string) error {
	return fmt.Errorf("the peer sent a message of type %q where %s was due", rune(f.Type), waitingFor)
}

// write sends a frame of the current phase's bulk. It may wait for the peer to read, so nothing that the peer waits
// for in order to read may depend on it; such messages go through controls.
func (s *session) write(t wire.Type, parts ...[]byte) error {
	err := s.out.Write(t, parts...)
	if err != nil && !isStalled(err) {
		return &pipeError{"while sending", err}
	}
	return err
}
