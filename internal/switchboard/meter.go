package switchboard

import (
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// handshakeBudget is how much a client may send until its key exchange is answered, in bytes on the wire, and again for its
	// authentication. OpenSSH sends five thousand. It is small because x/crypto splits the name-lists of an SSH_MSG_KEXINIT before
	// it looks at them, and a comma costs 16 bytes of memory.
	handshakeBudget = 16 << 10

	// keyedBudget is how much a client may send between the two: SSH_MSG_NEWKEYS in 16 bytes, and 16 packets of at least 28, which
	// is what x/crypto's queue holds: sshguard can't drain that yet. Known clients send 300 bytes.
	keyedBudget = 16 + 16*28

	// openingBudget is how much a client may send from there until its command is known: what follows a command directly, before
	// that is handled.
	openingBudget = 64 << 10

	// A packet is large if x/crypto reads more of it at once, in bytes. Between handshake and command, that is more than any
	// command of ours needs; otherwise, it is more than SSH obliges us to accept (RFC 4253, section 6.1).
	largeRead        = 35_000
	largeOpeningRead = 8 << 10

	// A command is answered however long it is (x/crypto accepts packets of up to 256 KiB), so maxLarge clients at a time may send
	// large packets before it is known, and largeBudget beyond openingBudget. A packet may take 16 times as much memory if it is an
	// offer of algorithms.
	maxLarge    = 16
	largeBudget = 272 << 10

	// backlogBudget is how much one client may leave unread here. SSH's window holds 2 MiB of data, but a client may send it in
	// packets of one byte, each of which costs x/crypto about 64 bytes of memory for its 36 on the wire. So we bound bytes on the
	// wire: full windows in packets of at least 72 bytes pass, and memory stays below twice this figure, where the window alone
	// would allow 128 MiB.
	backlogBudget = 3 << 20

	// writesInPlain is how often x/crypto writes before it answers a key exchange: its version, its offer of algorithms.
	writesInPlain = 2

	// farewellTime is how long it may take to write a line to a client that is being sent away. Usually the system's buffers have
	// room for it.
	farewellTime = 100 * time.Millisecond
)

var errBudget = errors.New("the client has sent more than it may")

// phase is what a client is doing, which decides what happens if it sends too much.
type phase int

const (
	handshaking    phase = iota // too much is a failure
	keyed                       // between key exchange and authentication: too much has to wait
	authenticating              // too much is a failure
	opening                     // too much has to wait: the command may have come, and not been handled yet
	obeying                     // too much is a flood
	stopped                     // nothing more is read
)

// meter is a connection that counts what arrives, and reads no more than may lie here unread. It counts against the budget while
// counting is set: while somebody reads, nothing lies here.
type meter struct {
	net.Conn
	large   chan struct{}     // has room for maxLarge clients
	flooded func(line string) // called when too much has come from a client that is obeyed; must not wait

	mu       sync.Mutex
	phase    phase
	budget   int64
	heard    time.Time // when bytes last came
	counting bool
	hasPlace bool // in large
	closed   bool
	farewell string        // the last line for a client that is sent away
	changed  chan struct{} // closed on a change that Read may wait for
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
				m.tell(line) // before SSH closes the connection
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

// check returns how many of n bytes may be read now. If none may, it returns an error, or a channel to wait on; flood is what a
// client that floods is told.
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
		return 0, "a packet is too large", m.changed, nil
	case m.phase == obeying && tooMuch:
		return 0, "too much unread data", m.changed, nil
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
	return m.Conn.Write(p)
}

// dismiss ends the handshake of a client that has to go. It does not wait: what waits for the connection fails, and the reader
// first tells the client the line.
func (m *meter) dismiss(line string) {
	m.mu.Lock()
	m.farewell = line
	m.change()
	m.mu.Unlock()
	m.Conn.SetDeadline(time.Unix(1, 0))
}

// tell says why a connection ends before its handshake is done, unless more than the version and the offer of algorithms has been
// sent: afterwards the client would not understand.
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

// watch closes the connection and returns true when nothing has come for limit. It returns false when over is closed.
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

// reading notes that a goroutine reads whatever arrives.
func (m *meter) reading() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counting = false
}

// took notes that n bytes of data were read, and whether that was all there were. Until the next call of reading, what arrives is
// backlog.
func (m *meter) took(n int, all bool) {
	if all {
		n = backlogBudget
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counting = true
	m.credit(2 * int64(n))
}

// expect notes that n bytes will come that are no backlog.
func (m *meter) expect(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.credit(int64(n))
}

// credit needs m.mu.
func (m *meter) credit(n int64) {
	m.budget = min(m.budget+n, max(m.budget, backlogBudget))
}

// metered is a channel of a connection with a meter: what is read from it is no longer backlog.
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
	c.meter.expect(n >> 10) // window adjustments: at most 36 bytes for 96 KiB from known clients, and from nodes
	return n, err
}
