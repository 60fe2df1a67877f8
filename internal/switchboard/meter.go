package switchboard

import (
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/sshguard"
)

const (
	// handshakeBudget is how much a client may send until its key exchange is answered, in bytes on the wire, and again for
	// its authentication. OpenSSH sends five thousand. It is small because SSH takes the names in a key exchange's offer
	// apart before it looks at them, and a comma costs 16 bytes of memory.
	handshakeBudget = 16 << 10

	// keyedBudget is how much a client may send between the two: its new keys in 16 bytes, and 16 packets of at least 28.
	// The clients known send 300 bytes. What makes it a limit is x/crypto, see sshguard: the queue can't be had before.
	keyedBudget = 16 + 16*28

	// openingBudget is how much a client may send from there until its command is known: what comes directly behind a
	// command, before that is looked at.
	openingBudget = 64 << 10

	// A packet is large if x/crypto reads more of it at once, in bytes. Once there is a command it is one that is larger
	// than any that SSH obliges us to take (RFC 4253, section 6.1); before, it is one that is larger than has to be for a
	// command of ours.
	largeRead        = 35_000
	largeOpeningRead = 8 << 10

	// A command is answered however long it is (x/crypto takes no packet of more than 256 KiB), so maxLarge clients at a
	// time may send a large packet before it, and largeBudget beyond openingBudget. It may take 16 times as much memory if
	// it is an offer of algorithms.
	maxLarge    = 16
	largeBudget = 272 << 10

	// backlogBudget is how much of one client may lie here unread. SSH's window holds 2 MiB of data, but a client may send
	// it in packets of one byte, and each costs x/crypto about 64 bytes of memory for its 36 on the wire. So what is bounded
	// is the wire: full windows in packets of at least 72 bytes pass, and memory stays below twice this figure, where the
	// window alone would allow 128 MiB.
	backlogBudget = 3 << 20

	// writesInPlain is how often x/crypto writes before it answers to a key exchange: its version, its offer of algorithms.
	writesInPlain = 2

	// farewellTime is how long a line may take to go to a client that is being sent away. There is room for it in the
	// system's buffers, as a rule.
	farewellTime = 100 * time.Millisecond
)

var (
	errBudget = errors.New("the client has sent more than it may")
	errEarly  = errors.New("the client has begun a second key exchange before its authentication")
)

// phase is what a client is doing, as far as its budget goes.
type phase int

const (
	handshaking    phase = iota // too much is a failure
	keyed                       // between key exchange and authentication: too much has to wait
	authenticating              // too much is a failure
	opening                     // too much has to wait: the command may have come, and only not have been looked at yet
	obeying                     // too much is a flood
	stopped                     // nothing more is read
)

// meter is a connection that counts what arrives on it and does not let more come than may lie here. It counts against the
// budget while counting is set: not while somebody reads, since then nothing lies here.
type meter struct {
	net.Conn
	large   chan struct{}     // has room for maxLarge clients
	flooded func(line string) // called, and may not wait, when too much has come of one that is obeyed
	keys    sshguard.FirstKeys

	mu       sync.Mutex
	phase    phase
	budget   int64
	heard    time.Time // when bytes came last
	counting bool
	hasPlace bool // in large
	closed   bool
	farewell string        // what a client is told that is sent away
	changed  chan struct{} // closed when any of it changes in a way that Read waits for
	writes   int           // how often SSH has written
}

func newMeter(conn net.Conn, large chan struct{}) *meter {
	return &meter{Conn: conn, large: large, budget: handshakeBudget, counting: true, changed: make(chan struct{})}
}

// turn begins a phase with a budget of its own. Nothing follows stopped.
func (m *meter) turn(p phase, budget int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.phase != stopped {
		m.phase, m.budget, m.counting = p, budget, true
		m.change()
	}
}

// change needs m.mu.
func (m *meter) change() {
	if m.hasPlace {
		m.hasPlace = false
		<-m.large
	}
	close(m.changed)
	m.changed = make(chan struct{})
}

// Close implements [net.Conn].
func (m *meter) Close() error {
	err := m.Conn.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.change()
	return err
}

// Read implements [net.Conn], for one reader.
func (m *meter) Read(p []byte) (int, error) {
	for {
		n, flood, changed, err := m.check(len(p))
		if err == nil && n > 0 {
			n, err = m.Conn.Read(p[:n])
			m.note(n)
		}
		if err != nil {
			m.mu.Lock()
			line := m.farewell
			m.mu.Unlock()
			if line != "" {
				m.tell(line) // while SSH has not closed the connection yet
			}
		}
		if err != nil || n > 0 {
			return n, err
		}
		if flood != "" {
			m.flooded(flood)
		}
		<-changed
	}
}

// check returns how many of n bytes may be read now. If none may, there is an error, or a change to wait for, which a client
// that floods is told about.
func (m *meter) check(n int) (_ int, flood string, changed <-chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.phase == opening && n > largeOpeningRead && !m.hasPlace {
		select {
		case m.large <- struct{}{}:
			m.hasPlace = true
			m.budget += largeBudget
		default:
			return 0, "", nil, errBudget
		}
	}
	tooMuch := m.budget < 0
	switch {
	case m.closed || m.farewell != "":
		return 0, "", nil, net.ErrClosed
	case m.phase < opening && n > largeRead, m.phase == handshaking && tooMuch, m.phase == authenticating && tooMuch:
		return 0, "", nil, errBudget
	case m.phase == keyed:
		return min(n, int(m.budget)), "", m.changed, nil
	case m.phase == opening && tooMuch, m.phase == stopped:
		return 0, "", m.changed, nil
	case m.phase == obeying && n > largeRead:
		return 0, "a packet is larger than any has to be", m.changed, nil
	case m.phase == obeying && tooMuch:
		return 0, "more has come than may lie here unread", m.changed, nil
	}
	return n, "", nil, nil
}

// note counts n bytes that have come.
func (m *meter) note(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard = time.Now()
	if m.counting {
		m.budget -= int64(n)
	}
}

// Write implements [net.Conn].
func (m *meter) Write(p []byte) (int, error) {
	m.mu.Lock()
	m.writes++
	answers := m.writes > writesInPlain && m.phase == handshaking
	m.mu.Unlock()
	if answers {
		m.turn(keyed, keyedBudget)
	}
	if m.keys.Refuses(len(p)) {
		m.Close()
		return 0, errEarly
	}
	return m.Conn.Write(p)
}

// dismiss ends the handshake of a client that has to go. It does not wait: what waits for the connection fails, and the
// reader tells the line first.
func (m *meter) dismiss(line string) {
	m.mu.Lock()
	m.farewell = line
	m.change()
	m.mu.Unlock()
	m.Conn.SetDeadline(time.Unix(1, 0))
}

// tell says why a connection ends before its handshake is done, if no more than the version and the offer of a key exchange
// has been sent: afterwards the client would not understand.
func (m *meter) tell(line string) {
	m.mu.Lock()
	farewell := disconnect(line)
	switch {
	case m.writes == 0:
		farewell = append([]byte(serverVersion+"\r\n"), farewell...)
	case m.writes > writesInPlain:
		farewell = nil
	}
	m.mu.Unlock()
	m.Conn.SetWriteDeadline(time.Now().Add(farewellTime))
	m.Conn.Write(farewell)
}

// watch closes the connection, and returns true, when nothing has come for so long. It ends when over is closed.
func (m *meter) watch(limit time.Duration, over <-chan struct{}) bool {
	for since := time.Now(); ; {
		select {
		case <-over:
			return false
		case <-time.After(time.Until(since.Add(limit))):
		}
		m.mu.Lock()
		heard := m.heard
		m.mu.Unlock()
		if !heard.After(since) {
			m.Close()
			return true
		}
		since = heard
	}
}

// reading says that a goroutine takes whatever arrives.
func (m *meter) reading() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counting = false
}

// took says that n bytes of data have been taken, and whether that was all there were. Until the next call of reading, what
// arrives is backlog.
func (m *meter) took(n int, all bool) {
	if all {
		n = backlogBudget
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counting = true
	m.credit(2 * int64(n))
}

// expect says that n bytes will come in that are no backlog.
func (m *meter) expect(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.credit(int64(n))
}

// credit needs m.mu.
func (m *meter) credit(n int64) {
	m.budget = min(m.budget+n, max(m.budget, backlogBudget))
}

// metered is a channel of a connection with a meter: what is read from it is no backlog.
type metered struct {
	ssh.Channel
	meter *meter
}

// Read implements [Side].
func (c metered) Read(p []byte) (int, error) {
	c.meter.reading()
	n, err := c.Channel.Read(p)
	c.meter.took(n, n < len(p))
	return n, err
}

// Write implements [Side].
func (c metered) Write(p []byte) (int, error) {
	n, err := c.Channel.Write(p)
	c.meter.expect(n >> 10) // window adjustments: at most 36 bytes for 96 KiB with the clients known, and so with nodes
	return n, err
}
