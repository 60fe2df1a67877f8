package session

import (
	"context"
	"fmt"
	"sync"
	"time"

	"aig/internal/wire"
)

// maxControls is how many control messages may wait for a peer that does not read.
const maxControls = 1 << 12

// controls is the queue of the small messages: verdicts on packs, done, bye, alive. Whoever posts one never waits, so
// that the reading side of a conversation cannot hang on the writing side: two peers that both write bulk and both
// wait for the other to read would wait for ever.
type controls struct {
	mu    sync.Mutex
	queue []wire.Frame
	busy  bool          // a message has been taken from the queue and is being written
	bye   bool          // goodbye has been posted: nothing may come after it
	wake  chan struct{} // holds a token when there may be something in the queue
	idle  chan struct{} // holds a token when the queue may be empty
}

func newControls() *controls {
	return &controls{wake: make(chan struct{}, 1), idle: make(chan struct{}, 1)}
}

func (c *controls) post(t wire.Type, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) >= maxControls {
		return fmt.Errorf("the peer does not read: %d messages wait for it", len(c.queue))
	}
	c.queue = append(c.queue, wire.Frame{Type: t, Body: body})
	c.bye = c.bye || t == wire.TypeBye
	notify(c.wake)
	return nil
}

// postAlive posts a sign of life, unless something that is one already waits. After goodbye there may be nobody to read
// it, which would look like a failure.
func (c *controls) postAlive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 && !c.bye {
		c.queue = append(c.queue, wire.Frame{Type: wire.TypeAlive})
		notify(c.wake)
	}
}

func (c *controls) take() (wire.Frame, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = len(c.queue) > 0
	if !c.busy {
		notify(c.idle)
		return wire.Frame{}, false
	}
	f := c.queue[0]
	c.queue = c.queue[1:]
	return f, true
}

// empty tells whether everything posted has been written.
func (c *controls) empty() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue) == 0 && !c.busy
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// writeControls writes what is posted until ctx ends.
func (s *session) writeControls(ctx context.Context) {
	for {
		f, ok := s.controls.take()
		if !ok {
			select {
			case <-s.controls.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		if err := s.write(f.Type, f.Body); err != nil {
			s.fail(&writeError{err})
			return
		}
	}
}

// flushControls waits until everything posted has been written.
func (s *session) flushControls() error {
	for !s.controls.empty() {
		select {
		case <-s.controls.idle:
		case <-s.failed:
			return s.failure
		}
	}
	return nil
}

// sayAlive tells the peer at every interval that we are there, however long something else takes us.
func (s *session) sayAlive(ctx context.Context) {
	tick := time.NewTicker(aliveInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.controls.postAlive()
		case <-ctx.Done():
			return
		}
	}
}
