package switchboard

import (
	"errors"
	"net"
	"sync"
)

const (
	// openingBudget is how much a client may send before its command is
	// known, in bytes on the wire. A handshake takes less than ten thousand;
	// the rest is room for long commands, which are answered and not cut, and
	// for what comes directly behind a command, before that is looked at.
	openingBudget = 1 << 20

	// backlogBudget is how much of one client may lie here unread, in bytes on
	// the wire. SSH's window holds 2 MiB of data, but a client may send it in
	// packets of one byte, and each costs x/crypto about 64 bytes of memory
	// for its 36 on the wire. So what is bounded is the wire: full windows in
	// packets of at least 72 bytes pass, and memory stays below twice this
	// figure, where the window alone would allow 128 MiB.
	backlogBudget = 3 << 20
)

var errBacklog = errors.New("the client has sent more than may lie here unread")

// meter is a connection that counts what arrives on it and fails when too
// much arrives that nobody takes. It counts against the budget while counting
// is set: not while somebody reads, since then nothing lies here. Between the
// handshake and the command it doesn't fail but pauses: the command may be
// known already and only not have been looked at yet.
type meter struct {
	net.Conn

	mu       sync.Mutex
	received int64 // bytes handed to SSH so far
	budget   int64
	counting bool
	over     bool
	pausing  bool
	resumed  chan struct{} // closed when pausing ends
	resume   func()        // closes it

	beyond chan struct{} // closed when received exceeds mark; nil if nobody waits
	mark   int64
}

func newMeter(conn net.Conn) *meter {
	resumed := make(chan struct{})
	return &meter{
		Conn: conn, budget: openingBudget, counting: true,
		resumed: resumed, resume: sync.OnceFunc(func() { close(resumed) }),
	}
}

// Close implements [net.Conn].
func (m *meter) Close() error {
	err := m.Conn.Close()
	m.resume()
	return err
}

// Read implements [net.Conn].
func (m *meter) Read(p []byte) (int, error) {
	m.mu.Lock()
	pause := m.pausing && m.budget < 0
	m.mu.Unlock()
	if pause {
		<-m.resumed
	}
	n, err := m.Conn.Read(p)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.received += int64(n)
	if m.counting {
		m.budget -= int64(n)
	}
	if m.budget < 0 && !m.pausing {
		m.over = true
		return 0, errBacklog
	}
	if m.beyond != nil && m.received > m.mark {
		close(m.beyond)
		m.beyond = nil
	}
	return n, err
}

// total returns the number of bytes handed to SSH so far.
func (m *meter) total() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.received
}

// exceeded tells whether the connection failed for its backlog.
func (m *meter) exceeded() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.over
}

// further returns a channel that is closed when SSH gets bytes beyond the
// present ones, and the present total. There is one such wait at a time.
func (m *meter) further() (<-chan struct{}, int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.beyond = make(chan struct{})
	m.mark = m.received
	return m.beyond, m.mark
}

// greeted begins the time between a client's handshake and its command, which
// is bounded by somebody who closes the connection.
func (m *meter) greeted() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pausing = true
}

// waits begins the time between a client's command and its link.
func (m *meter) waits() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.budget, m.counting, m.pausing = backlogBudget, true, false
	m.resume()
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
