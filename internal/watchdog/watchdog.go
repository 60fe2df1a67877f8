// Package watchdog closes a pipe on which nothing moves any more.
//
// Pipes and SSH channels have no deadlines. A Conn measures how long its Reads and Writes wait, and only that: a side that
// is busy with what it has read is not stalled.
package watchdog

import (
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// enough is how many bytes of an unfinished message are a sign of life, as a whole message is. A peer that trickles
	// single bytes says nothing.
	enough = 1024
	// piece is how much is written at a time, so that it can be seen to move: what SSH puts into one packet.
	piece = 32 << 10
	// Patience is how many times the limit a Write waits for a peer that says that it goes on reading, and does not.
	Patience = 60
	// ticks is how often within the limit the waits are looked at.
	ticks = 8
)

// StalledError says that a Read or a Write has waited for longer than the limit, and for what.
type StalledError struct {
	Phase   string
	Limit   time.Duration
	Writing bool
	Came    int // bytes that did come within the limit, too few to matter
}

func (e *StalledError) Error() string {
	what := "nothing came from the peer for"
	switch {
	case e.Writing:
		what = "the peer took nothing of what it was sent for"
	case e.Came > 0:
		what = fmt.Sprintf("only %d bytes came from the peer in", e.Came)
	}
	return fmt.Sprintf("%s %s while waiting for %s: the link or the other side is stuck", what, e.Limit, e.Phase)
}

// Conn is a pipe under watch. One goroutine at a time may Read, and one Write.
type Conn struct {
	io.ReadWriteCloser
	limit time.Duration

	mu      sync.Mutex
	phase   string
	off     bool
	stalled error
	timer   *time.Timer // of the next tick; nil if nothing has waited since the last one
	read    wait
	write   wait
	came    int       // bytes since the last sign of life
	busy    time.Time // since when this side does not read, being busy; zero if it is not
	reads   uint64    // begun and ended, both count
	idle    uint64    // reads at the last call of Idle
}

// wait is what a direction has waited so far.
type wait struct {
	now   bool      // a call is waiting
	since time.Time // counted up to here
	quiet time.Duration
	whole time.Duration // whatever the peer says meanwhile
}

func (w *wait) begin() { w.now, w.since = true, time.Now() }

// count counts the time that has passed. Much more than a tick can't be the peer's: this process was suspended, and what
// the peer has said meanwhile is still to be read.
func (w *wait) count(limit time.Duration) {
	now := time.Now()
	d := min(now.Sub(w.since), limit/2)
	w.quiet += d
	w.whole += d
	w.since = now
}

// Watch puts pipe under watch: it is closed when Reads have waited for limit without a sign of life (a whole message, see
// Heard, or 1,024 bytes of one), or when a Write has waited for limit. Every call after that returns a *StalledError.
// Phase names what is being waited for.
func Watch(pipe io.ReadWriteCloser, limit time.Duration, phase string) *Conn {
	return &Conn{ReadWriteCloser: pipe, limit: limit, phase: phase}
}

// Phase changes the name of what is being waited for.
func (c *Conn) Phase(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase = name
}

// Heard says that the peer has said something whole.
func (c *Conn) Heard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read.quiet, c.came = 0, 0
}

// PeerReads says that the peer has said that it reads, or is busy with what it has read. A Write that waits goes on
// waiting, for Patience times the limit in all.
func (c *Conn) PeerReads() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write.quiet = 0
}

// Busy says that this side is busy, and does not read for a while, or that it reads again. It cannot hear then what the
// peer says, so that the time does not count for a Write either.
func (c *Conn) Busy(busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = time.Time{}
	if busy {
		c.busy = time.Now()
	}
}

// Idle tells whether a Read has been waiting, and got nothing, ever since the last call of Idle: then this side could
// have read what the peer sends.
func (c *Conn) Idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	idle := c.read.now && c.idle == c.reads
	c.idle = c.reads
	return idle
}

// Stop ends the watch, also over calls that are waiting.
func (c *Conn) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = true
}

// Read reads from the pipe, within the limit.
func (c *Conn) Read(p []byte) (int, error) {
	if _, err := c.begin(&c.read); err != nil {
		return 0, err
	}
	n, err := c.ReadWriteCloser.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read.count(c.limit)
	c.read.now = false
	c.reads++
	if c.came += n; c.came >= enough {
		c.read.quiet, c.came = 0, 0
	}
	if c.stalled != nil {
		return 0, c.stalled
	}
	return n, err
}

// Write writes to the pipe, each piece within the limit.
func (c *Conn) Write(p []byte) (written int, err error) {
	for {
		watched, err := c.begin(&c.write)
		if err != nil {
			return written, err
		}
		part := p[written:]
		if watched {
			part = part[:min(len(part), piece)]
		}
		n, err := c.ReadWriteCloser.Write(part)
		written += n
		c.mu.Lock()
		c.write = wait{}
		if c.stalled != nil {
			err = c.stalled
		}
		c.mu.Unlock()
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

// begin notes that a call begins to wait, and tells whether it is watched.
func (c *Conn) begin(w *wait) (watched bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stalled != nil {
		return false, c.stalled
	}
	w.begin()
	if w == &c.read {
		c.reads++
	}
	c.arm()
	return !c.off, nil
}

func (c *Conn) tick() time.Duration { return c.limit/ticks + 1 }

func (c *Conn) arm() {
	if c.timer == nil && !c.off {
		c.timer = time.AfterFunc(c.tick(), c.look)
	}
}

// look is called at every tick as long as something waits.
func (c *Conn) look() {
	c.mu.Lock()
	c.timer = nil
	if c.off || c.stalled != nil || !c.read.now && !c.write.now {
		c.mu.Unlock()
		return
	}
	if c.read.now {
		c.read.count(c.limit)
		if c.read.quiet >= c.limit {
			c.stalled = &StalledError{Phase: c.phase, Limit: c.limit, Came: c.came}
		}
	}
	if c.write.now {
		if c.busy.IsZero() || time.Since(c.busy) < c.tick() { // being busy for moments only is reading
			c.write.count(c.limit)
		}
		c.write.since = time.Now()
		switch {
		case c.write.quiet >= c.limit:
			c.stalled = &StalledError{Phase: c.phase, Limit: c.limit, Writing: true}
		case c.write.whole >= Patience*c.limit:
			c.stalled = &StalledError{Phase: c.phase, Limit: Patience * c.limit, Writing: true}
		}
	}
	stalled := c.stalled != nil
	if !stalled {
		c.arm()
	}
	c.mu.Unlock()
	if stalled {
		c.Close()
	}
}
