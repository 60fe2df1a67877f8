// Package watchdog closes a pipe on which nothing comes any more.
//
// Pipes and SSH channels have no deadlines. A Conn measures how long each Read waits, and only that: a side that does
// not read because it is busy with what it has read is not stalled, and a Write that cannot go on is freed by the Read
// that waits beside it.
package watchdog

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// StalledError says that a Read has waited for longer than the limit, and for what.
type StalledError struct {
	Phase string
	Limit time.Duration
}

func (e *StalledError) Error() string {
	return fmt.Sprintf("nothing came from the peer for %s while waiting for %s: the link or the other side is stuck",
		e.Limit, e.Phase)
}

// Conn is a pipe under watch.
type Conn struct {
	io.ReadWriteCloser
	limit time.Duration

	mu      sync.Mutex
	phase   string
	off     bool
	reading uint64 // number of the Read that the timer is for; 0 between two of them
	reads   uint64
	stalled error
}

// Watch puts pipe under watch: when a Read waits for longer than limit, pipe is closed, and that Read and every one
// after it returns a *StalledError. Phase names what is being waited for.
func Watch(pipe io.ReadWriteCloser, limit time.Duration, phase string) *Conn {
	return &Conn{ReadWriteCloser: pipe, limit: limit, phase: phase}
}

// Phase changes the name of what is being waited for.
func (c *Conn) Phase(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase = name
}

// Stop ends the watch, also over a Read that is waiting.
func (c *Conn) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = true
}

// Read reads from the pipe, within the limit.
func (c *Conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	if c.off || c.stalled != nil {
		err := c.stalled
		c.mu.Unlock()
		if err != nil {
			return 0, err
		}
		return c.ReadWriteCloser.Read(p)
	}
	c.reads++
	number := c.reads
	c.reading = number
	c.mu.Unlock()

	timer := time.AfterFunc(c.limit, func() { c.expire(number) })
	n, err := c.ReadWriteCloser.Read(p)
	timer.Stop()

	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = 0
	if c.stalled != nil {
		return 0, c.stalled
	}
	return n, err
}

func (c *Conn) expire(number uint64) {
	c.mu.Lock()
	if c.off || c.reading != number {
		c.mu.Unlock()
		return
	}
	c.stalled = &StalledError{Phase: c.phase, Limit: c.limit}
	c.mu.Unlock()
	c.Close()
}
