package switchboard

import (
	"errors"
	"net"
	"sync"
	"time"

	"aig/internal/sshguard"
)

var (
	errBudget = errors.New("the client has sent more than it may")
	errEarly  = errors.New("the client has begun a second key exchange before its authentication")
)

// phase is what a client is doing, as far as its budget goes.
type phase int

const (
	handshaking    phase = iota // too much is a failure
	keyed                       // the handshake between key exchange and authentication: too much has to wait
	authenticating              // the rest of the handshake
	opening                     // too much has to wait: the command may be known already, and only not have been looked at yet
	obeying                     // too much is a flood
	stopped                     // nothing more is read
)

// meter is a connection that counts what arrives on it and does not let more
// come than may lie here. It counts against the budget while counting is set:
// not while somebody reads, since then nothing lies here.
type meter struct {
	net.Conn
	large   chan struct{}     // has room for maxLarge clients
	shown   func(to stage)    // called when a client in its handshake has come to a stage
	flooded func(line string) // called, and may not wait, when too much has come of one that is obeyed
	keys    sshguard.FirstKeys

	mu       sync.Mutex
	phase    phase
	received int64 // bytes handed to SSH so far
	budget   int64
	keyed    int // what is left of keyedBudget
	counting bool
	hasPlace bool          // in large
	changed  chan struct{} // closed when the phase changes
	closed   bool
	writes   int // how often SSH has written
}

func newMeter(conn net.Conn, large chan struct{}) *meter {
	return &meter{
		Conn: conn, large: large, shown: func(stage) {}, flooded: func(string) {},
		budget: handshakeBudget, keyed: keyedBudget, counting: true, changed: make(chan struct{}),
	}
}

// Close implements [net.Conn].
func (m *meter) Close() error {
	err := m.Conn.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.turn(stopped)
	return err
}

// turn needs m.mu.
func (m *meter) turn(p phase) {
	if m.phase == stopped && p != stopped {
		return
	}
	m.phase = p
	if p != opening && m.hasPlace {
		m.hasPlace = false
		<-m.large
	}
	close(m.changed)
	m.changed = make(chan struct{})
}

// Read implements [net.Conn], for one reader.
func (m *meter) Read(p []byte) (int, error) {
	if len(p) > largeOpeningRead {
		m.takePlace()
	}
	for {
		line, changed, err := m.check(len(p) > largeRead)
		switch {
		case err != nil:
			return 0, err
		case line != "":
			m.flooded(line)
		case changed == nil:
			return m.read(p)
		}
		<-changed
	}
}

// check tells whether the client may be read from: it may not if there is an
// error, a line to tell it, or a change to wait for, in this order.
func (m *meter) check(large bool) (line string, changed <-chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch tooMuch := m.budget < 0; {
	case m.closed:
		return "", nil, net.ErrClosed
	case m.phase < opening && (large || tooMuch):
		return "", nil, errBudget
	case m.phase == keyed && m.keyed == 0 || m.phase == opening && tooMuch || m.phase == stopped:
		return "", m.changed, nil
	case m.phase == obeying && large:
		return "a packet is larger than any has to be", m.changed, nil
	case m.phase == obeying && tooMuch:
		return "more has come than may lie here unread", m.changed, nil
	}
	return "", nil, nil
}

// takePlace waits until the client may send a large packet before its command.
func (m *meter) takePlace() {
	m.mu.Lock()
	needed, changed := m.phase == opening && !m.hasPlace, m.changed
	m.mu.Unlock()
	if !needed {
		return
	}
	select {
	case m.large <- struct{}{}:
	case <-changed:
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.phase != opening {
		<-m.large
		return
	}
	m.hasPlace = true
	m.budget += largeBudget
}

func (m *meter) read(p []byte) (int, error) {
	n, err := m.Conn.Read(p[:m.atOnce(len(p))])
	if before, after := m.note(n); before != after {
		m.shown(after)
	}
	return n, err
}

// atOnce returns how many of n bytes may be read now.
func (m *meter) atOnce(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.phase == keyed {
		return min(n, m.keyed)
	}
	return n
}

// note counts n bytes that have come, and returns the client's stages before
// and after that.
func (m *meter) note(n int) (before, after stage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before = stageAfter(m.received)
	m.received += int64(n)
	if m.phase == keyed {
		m.keyed -= n
	}
	if m.counting {
		m.budget -= int64(n)
	}
	return before, stageAfter(m.received)
}

// Write implements [net.Conn].
func (m *meter) Write(p []byte) (int, error) {
	m.mu.Lock()
	if m.writes++; m.writes > writesInPlain && m.phase == handshaking {
		m.turn(keyed)
	}
	m.mu.Unlock()
	if m.keys.Refuses(len(p)) {
		m.Close()
		return 0, errEarly
	}
	return m.Conn.Write(p)
}

// dismiss closes the connection of a client whose handshake is not done, and
// tells it a line, if it can.
func (m *meter) dismiss(line string) {
	m.tell(line)
	m.Close()
}

// tell says why a connection ends before its handshake is done, if no more
// than the version and the offer of a key exchange has been sent: afterwards
// the client would not understand.
func (m *meter) tell(line string) {
	m.mu.Lock()
	var farewell []byte
	switch {
	case m.writes == 0:
		farewell = append([]byte(serverVersion+"\r\n"), disconnect(line)...)
	case m.writes <= writesInPlain:
		farewell = disconnect(line)
	}
	m.mu.Unlock()
	if farewell != nil {
		m.Conn.SetWriteDeadline(time.Now().Add(farewellTime))
		m.Conn.Write(farewell)
	}
}

// stop makes reading wait until the connection is closed.
func (m *meter) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(stopped)
}

// isStopped tells whether nothing more is read.
func (m *meter) isStopped() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.phase == stopped
}

// total returns the number of bytes handed to SSH so far.
func (m *meter) total() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.received
}

// authenticates ends the time between key exchange and authentication.
func (m *meter) authenticates() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(authenticating)
	m.keys.LookedAt()
}

// greeted begins the time between a client's handshake and its command, which
// is bounded by somebody who closes the connection.
func (m *meter) greeted() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.budget = openingBudget
	m.turn(opening)
}

// waits begins the time between a client's command and its link.
func (m *meter) waits() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.budget, m.counting = backlogBudget, true
	m.turn(obeying)
}

// reading says that a goroutine takes whatever arrives.
func (m *meter) reading() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counting = false
}

// took says that n bytes of data have been taken, and whether that was all
// there were. Until the next call of reading, what arrives is backlog.
func (m *meter) took(n int, all bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counting = true
	if all {
		m.budget = backlogBudget
	} else {
		m.credit(2 * int64(n))
	}
}

// gave says that n bytes of data were sent to the client, whose window
// adjustments for them come in and are no backlog: at most 36 bytes for 96 KiB
// with the clients known.
func (m *meter) gave(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.credit(int64(n) >> 10)
}

// asked says that the client was asked for a sign of life, which will come in.
func (m *meter) asked() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.credit(64)
}

// credit needs m.mu.
func (m *meter) credit(n int64) {
	m.budget = min(m.budget+n, max(m.budget, backlogBudget))
}
