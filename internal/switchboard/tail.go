package switchboard

import (
	"errors"
	"net"
	"sync"
	"time"
)

// tailTime is how long the last byte of what a client has sent is withheld
// from SSH while the client might be closing its channel. It has to be enough
// for goroutines to be woken on a busy machine, and delays the end of each
// burst of a client whose other side has finished: nobody waits to answer it.
const tailTime = 300 * time.Millisecond

// tail is a connection that can withhold what has arrived.
//
// A client that has been passed the other side's end of file closes its
// channel together with saying its own: both are in one burst. x/crypto
// answers the closing at once, and then no exit status can be sent any more,
// though the link's end is not decided yet. It also shows an end of file that
// was said, a closed channel and a broken connection all alike. So from the
// moment the client is passed an end of file, the last byte of every burst is
// withheld for a moment: when SSH shows an end of file with that byte missing,
// then the client has said it; and nothing more is handed on until the exit
// status is on its way.
type tail struct {
	net.Conn

	mu       sync.Mutex
	state    tailState
	changed  chan struct{} // closed when the state changes
	deadline bool          // a read deadline of ours is set
	ended    bool          // SSH has shown an end of file
	proven   bool          // which the client has said
	held     []byte        // withheld: at most one burst, written by Read alone
}

type tailState int

const (
	handsOn   tailState = iota // everything
	withholds                  // the last byte, for tailTime
	keeps                      // the last byte
	parks                      // everything
)

func newTail(conn net.Conn) *tail {
	return &tail{Conn: conn, changed: make(chan struct{})}
}

// set needs t.mu. It wakes a reader that is waiting for the next burst, by
// way of a deadline, so that it looks at the new state. Nobody else has a
// deadline there once the handshake is done.
func (t *tail) set(state tailState) {
	if t.state != state {
		t.state = state
		t.Conn.SetReadDeadline(time.Unix(1, 0))
		t.deadline = true
		close(t.changed)
		t.changed = make(chan struct{})
	}
}

// begin is called before the client is passed an end of file.
func (t *tail) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.proven:
		t.set(parks)
	case t.ended:
		t.set(keeps)
	default:
		t.set(withholds)
	}
}

// end is called when SSH has shown an end of file. It returns whether that is
// known to be the client's, and whether the last byte of what follows will be
// withheld.
func (t *tail) end() (proven, kept bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	if t.state == withholds {
		t.set(keeps)
	}
	return len(t.held) > 0, t.state == keeps
}

// prove is called when the end of file is known to be the client's.
func (t *tail) prove() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.proven = true
	if t.state == keeps {
		t.set(parks)
	}
}

// letGo hands everything on, from the first byte withheld.
func (t *tail) letGo() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended, t.proven = false, false
	t.set(handsOn)
}

// parked tells whether nothing is handed on.
func (t *tail) parked() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state == parks
}

// Close implements [net.Conn].
func (t *tail) Close() error {
	err := t.Conn.Close()
	t.letGo()
	return err
}

// Read implements [net.Conn], for one reader.
func (t *tail) Read(p []byte) (int, error) {
	if len(p) < 2 { // no room for a byte and the one withheld; SSH's buffers have it
		return t.readPlain(p)
	}
	for {
		t.mu.Lock()
		state, changed, held := t.state, t.changed, len(t.held)
		t.mu.Unlock()
		switch {
		case state == parks:
			<-changed
		case state == handsOn && held > 0:
			return t.readPlain(p)
		default:
			if n, err := t.readBurst(p, state); n > 0 || err != nil {
				return n, err
			}
		}
	}
}

// readBurst reads what comes, after what is held, and returns what is to be
// handed on of both. No byte and no error mean that the state has to be looked
// at again.
func (t *tail) readBurst(p []byte, state tailState) (int, error) {
	t.mu.Lock()
	if t.state != state {
		t.mu.Unlock()
		return 0, nil
	}
	if t.deadline { // ours, and over
		t.Conn.SetReadDeadline(time.Time{})
		t.deadline = false
	}
	have := copy(p, t.held)
	if state == withholds && have > 0 {
		t.Conn.SetReadDeadline(time.Now().Add(tailTime))
		t.deadline = true
	}
	t.mu.Unlock()

	n, err := t.Conn.Read(p[have:])
	if n > 0 {
		return t.withhold(p[:have+n]), nil
	}

	t.mu.Lock()
	changed, ours := t.changed, t.deadline
	if t.state != state {
		t.mu.Unlock()
		return 0, nil
	}
	t.mu.Unlock()
	var e net.Error
	timeout := ours && errors.As(err, &e) && e.Timeout()
	if have == 0 {
		if timeout {
			return 0, nil
		}
		return 0, err
	}
	if !timeout {
		// The connection has ended, but not the moment.
		var over <-chan time.Time
		if state == withholds {
			over = time.After(tailTime)
		}
		select {
		case <-changed:
			return 0, nil
		case <-over:
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != withholds {
		return 0, nil
	}
	t.held = t.held[:0]
	return have, nil
}

// readPlain reads what is held, or what comes.
func (t *tail) readPlain(p []byte) (int, error) {
	t.mu.Lock()
	if n := copy(p, t.held); n > 0 {
		t.held = append(t.held[:0], t.held[n:]...)
		t.mu.Unlock()
		return n, nil
	}
	t.mu.Unlock()
	return t.Conn.Read(p)
}

// withhold decides how much of a burst is handed on, the first of whose bytes
// may have been held already, and holds the rest.
func (t *tail) withhold(burst []byte) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(burst)
	switch t.state {
	case withholds, keeps:
		n = max(n-1, 0)
	case parks:
		n = 0
	}
	t.held = append(t.held[:0], burst[n:]...)
	return n
}
