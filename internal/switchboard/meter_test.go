package switchboard

import (
	"errors"
	"net"
	"testing"
	"time"
)

// endless is a connection on which any number of bytes can be read.
type endless struct{ net.Conn }

func (endless) Read(p []byte) (int, error) { return len(p), nil }
func (endless) Close() error               { return nil }

// receive reads until n bytes have come or the meter refuses more. It reads no more at once than x/crypto does for small packets.
func receive(m *meter, n int) error {
	buf := make([]byte, 4<<10)
	for n > 0 {
		got, err := m.Read(buf[:min(n, len(buf))])
		if err != nil {
			return err
		}
		n -= got
	}
	return nil
}

// What may come in each phase, and what may not.
func TestMeter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		do   func(m *meter) error
		over bool
	}{
		{"as much as a handshake may take", func(m *meter) error { return receive(m, handshakeBudget) }, false},
		{"more", func(m *meter) error { receive(m, handshakeBudget+1); return receive(m, 1) }, true},
		{"a large packet in it", func(m *meter) error { _, err := m.Read(make([]byte, largeRead+1)); return err }, true},
		{"more of a command's company", func(m *meter) error {
			m.turn(opening, openingBudget)
			if err := receive(m, openingBudget+1); err != nil {
				return err
			}
			m.turn(obeying, backlogBudget)
			return receive(m, backlogBudget)
		}, false},
		{"a full window while waiting", func(m *meter) error { m.turn(obeying, backlogBudget); return receive(m, backlogBudget) }, false},
		{"more while waiting", func(m *meter) error {
			m.turn(obeying, backlogBudget)
			receive(m, backlogBudget+1)
			return receive(m, 1)
		}, true},
		{"a large packet while waiting", func(m *meter) error {
			m.turn(obeying, backlogBudget)
			_, err := m.Read(make([]byte, largeRead+1))
			return err
		}, true},
		{"a large packet on a link", func(m *meter) error {
			m.turn(obeying, backlogBudget)
			m.reading()
			_, err := m.Read(make([]byte, largeRead+1))
			return err
		}, true},
		{"anything while somebody reads", func(m *meter) error { m.turn(obeying, backlogBudget); m.reading(); return receive(m, 20<<20) }, false},
		{"backlog after a read that took all", func(m *meter) error {
			m.turn(obeying, backlogBudget)
			for range 10 {
				m.reading()
				m.took(1, true)
				if err := receive(m, backlogBudget); err != nil {
					return err
				}
			}
			return nil
		}, false},
		{"large packets, never all taken", func(m *meter) error {
			m.turn(obeying, backlogBudget)
			for range 200 {
				m.reading()
				m.took(copyBuffer, false)
				if err := receive(m, copyBuffer+100); err != nil {
					return err
				}
			}
			return nil
		}, false},
		{"tiny packets, never all taken", func(m *meter) error {
			m.turn(obeying, backlogBudget)
			for range 1000 {
				m.reading()
				m.took(copyBuffer, false)
				if err := receive(m, 36*copyBuffer); err != nil {
					return err
				}
			}
			return nil
		}, true},
		{"window adjustments for what was given", func(m *meter) error {
			m.turn(obeying, backlogBudget)
			m.took(1, true)
			for range 100_000 { // 3.6 MB
				m.expect(96)
				if err := receive(m, 36); err != nil {
					return err
				}
			}
			return nil
		}, false},
		{"signs of life", func(m *meter) error {
			m.turn(obeying, backlogBudget)
			for range 100_000 { // 4.4 MB
				m.expect(64)
				if err := receive(m, 44); err != nil {
					return err
				}
			}
			return nil
		}, false},
	} {
		m := newMeter(endless{}, nil)
		floods := 0
		m.flooded = func(string) {
			floods++
			m.turn(stopped, 0)
			m.Close()
		}
		err := c.do(m)
		if over := errors.Is(err, errBudget) || floods == 1 && errors.Is(err, net.ErrClosed); over != c.over || err != nil && !over {
			t.Errorf("%s: %v, %d floods", c.name, err, floods)
		}
	}
}

// waitsFor expects a reader to wait until something is done.
func waitsFor(t *testing.T, read, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { read(); close(done) }()
	select {
	case <-done:
		t.Fatal("no pause")
	case <-time.After(50 * time.Millisecond):
	}
	do()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the pause has no end")
	}
}

// Between the handshake and the command, too much makes the reader pause,
// until the command is known or the connection is closed; and so does a flood,
// until the connection is closed.
func TestMeterPauses(t *testing.T) {
	t.Parallel()
	for _, end := range []func(*meter){func(m *meter) { m.turn(obeying, backlogBudget) }, func(m *meter) { m.Close() }} {
		m := newMeter(endless{}, nil)
		m.turn(opening, openingBudget)
		if err := receive(m, openingBudget+1); err != nil {
			t.Fatal(err)
		}
		waitsFor(t, func() { receive(m, 1) }, func() { end(m) })
	}
	m := newMeter(endless{}, nil)
	m.turn(obeying, backlogBudget)
	m.turn(stopped, 0)
	waitsFor(t, func() { receive(m, 1) }, func() { m.Close() })
}

// Only as many clients as there are places may send large packets before their commands; a place is free again when the command is
// known or the connection is closed.
func TestMeterLarge(t *testing.T) {
	t.Parallel()
	places := make(chan struct{}, 2)
	open := func() *meter {
		m := newMeter(endless{}, places)
		m.turn(opening, openingBudget)
		return m
	}
	read := func(m *meter) error {
		_, err := m.Read(make([]byte, 262_000))
		return err
	}
	a, b := open(), open()
	for range 2 { // one place, however many packets
		if err := errors.Join(read(a), read(b)); err != nil {
			t.Fatal(err)
		}
	}
	if err := read(open()); err != errBudget {
		t.Errorf("a third: %v", err)
	}
	a.turn(obeying, backlogBudget)
	b.Close()
	if err := errors.Join(read(open()), read(open())); err != nil {
		t.Error(err)
	}
	if err := read(open()); err != errBudget {
		t.Errorf("a third again: %v", err)
	}
}
