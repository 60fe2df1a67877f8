package session

import (
	"errors"
	"fmt"
	"io"
	"time"

	"aig/internal/wire"
)

// timed is a pipe that is closed when a read takes longer than a limit: pipes and SSH channels have no deadlines. Nothing
// else is timed. A busy side does not read and may take as long as it likes, telling the peer all the while that it is
// alive; a blocked write waits for as long as the peer keeps telling us the same.
type timed struct {
	io.ReadCloser
	limit time.Duration
}

// errSilent is the error of a read that has waited too long.
type errSilent time.Duration

func (e errSilent) Error() string {
	return fmt.Sprintf("nothing came from the peer for %s", time.Duration(e))
}

func (r *timed) Read(p []byte) (int, error) {
	timer := time.AfterFunc(r.limit, func() { r.Close() })
	n, err := r.ReadCloser.Read(p)
	if inTime := timer.Stop(); !inTime {
		return 0, errSilent(r.limit)
	}
	return n, err
}

// next returns the peer's next message other than alive. An abort is returned as a *PeerError.
func (s *session) next(waitingFor string) (wire.Frame, error) {
	s.o.Status.Phase("waiting for " + waitingFor)
	for {
		f, err := s.in.Next()
		if err != nil {
			if errors.Is(err, wire.ErrNotFrame) {
				return f, err
			}
			return f, &pipeError{"while waiting for " + waitingFor, err}
		}
		switch f.Type {
		case wire.TypeAlive, wire.TypeBye, wire.TypePackDrop, wire.TypeLeave:
			if len(f.Body) > 0 {
				return f, fmt.Errorf("the peer sent %d bytes of body in a message that has none", len(f.Body))
			}
		case wire.TypeAbort:
			reason, err := wire.ParseText(f.Body)
			if err != nil {
				return f, err
			}
			return f, &PeerError{reason}
		}
		if f.Type != wire.TypeAlive {
			return f, nil
		}
	}
}

// expect is like next, but only one type of message may come.
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

// write sends a bulk frame. It may block until the peer reads, so anything that the peer may need before it reads on must
// not depend on it; such messages go through controls.
func (s *session) write(t wire.Type, parts ...[]byte) error {
	err := s.out.Write(t, parts...)
	if err == nil {
		return nil
	}
	// A failed write mostly means that the peer has gone, and its last words say why. Give the reader some time to find them.
	select {
	case <-s.ctx.Done():
	case <-time.After(lastWords):
	}
	return &pipeError{"while sending", err}
}
