package session

import (
	"context"
	"fmt"
	"time"

	"aig/internal/wire"
)

// maxControls is how many control messages may wait for a peer that does not read.
const maxControls = 1 << 12

// post queues a small message for writeControls: a verdict on a pack, done, bye. It never blocks, so that reading never
// waits for writing: two peers that both write bulk and both wait for the other to read would wait for ever.
func (s *session) post(t wire.Type, body []byte) error {
	select {
	case s.controls <- wire.Frame{Type: t, Body: body}:
		return nil
	default:
		return fmt.Errorf("the peer does not read: %d messages wait for it", maxControls)
	}
}

// writeControls writes what is posted. When nothing has been posted for a while, it tells the peer that we are alive, however
// busy we are. It ends with our goodbye: after that nobody may be reading, and a write would look like a failure.
func (s *session) writeControls(ctx context.Context) {
	var f wire.Frame
	for f.Type != wire.TypeBye {
		select {
		case f = <-s.controls:
		case <-time.After(aliveInterval):
			f = wire.Frame{Type: wire.TypeAlive}
		case <-ctx.Done():
			return
		}
		if err := s.write(f.Type, f.Body); err != nil {
			s.fail(err)
			return
		}
	}
	close(s.parted)
}

// awaitParting waits until our posted goodbye is written. It has a limit of its own, as no read is left to time out.
func (s *session) awaitParting() error {
	select {
	case <-s.parted:
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	case <-time.After(s.o.Timeout):
		return s.fail(&pipeError{"while saying goodbye", fmt.Errorf("it accepted no data for %s", s.o.Timeout)})
	}
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
