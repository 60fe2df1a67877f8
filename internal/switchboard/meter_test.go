package switchboard

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// endless is a connection on which any number of bytes can be read.
type endless struct{ net.Conn }

func (endless) Read(p []byte) (int, error) { return len(p), nil }
func (endless) Close() error               { return nil }

// receive reads until a number of bytes has come or the meter has enough.
func receive(m *meter, n int) error {
	_, err := io.CopyN(io.Discard, m, int64(n))
	return err
}

func TestMeter(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(m *meter) error
		over bool
	}{
		{"as much as the opening may take", func(m *meter) error { return receive(m, openingBudget) }, false},
		{"more", func(m *meter) error { return receive(m, openingBudget+1) }, true},
		{"more of a command's company", func(m *meter) error {
			m.greeted()
			if err := receive(m, openingBudget+1); err != nil {
				return err
			}
			m.waits()
			return receive(m, backlogBudget)
		}, false},
		{"a full window while waiting", func(m *meter) error { m.waits(); return receive(m, backlogBudget) }, false},
		{"more while waiting", func(m *meter) error { m.waits(); return receive(m, backlogBudget+1) }, true},
		{"anything while somebody reads", func(m *meter) error { m.reading(); return receive(m, 100<<20) }, false},
		{"backlog after a read that took all", func(m *meter) error {
			m.waits()
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
			m.waits()
			for range 1000 {
				m.reading()
				m.took(copyBuffer, false)
				if err := receive(m, copyBuffer+100); err != nil {
					return err
				}
			}
			return nil
		}, false},
		{"tiny packets, never all taken", func(m *meter) error {
			m.waits()
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
			m.waits()
			m.took(1, true)
			for range 100_000 {
				m.gave(96 << 10)
				if err := receive(m, 36); err != nil {
					return err
				}
			}
			return nil
		}, false},
		{"signs of life", func(m *meter) error {
			m.waits()
			for range 100_000 {
				m.asked()
				if err := receive(m, 44); err != nil {
					return err
				}
			}
			return nil
		}, false},
	} {
		m := newMeter(endless{})
		err := c.do(m)
		if over := errors.Is(err, errBacklog); over != c.over || over != m.exceeded() || err != nil && !over {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// The wait for further bytes ends with the first of them.
func TestMeterFurther(t *testing.T) {
	m := newMeter(endless{})
	receive(m, 10)
	further, before := m.further()
	if before != 10 || isClosed(further) {
		t.Errorf("%d bytes before, %v", before, isClosed(further))
	}
	receive(m, 1)
	if !isClosed(further) || m.total() != 11 {
		t.Error("the next byte was not noticed")
	}
}

// Between the handshake and the command, too much makes the reader pause,
// until the command is known or the connection is closed.
func TestMeterPauses(t *testing.T) {
	for _, end := range []func(*meter){(*meter).waits, func(m *meter) { m.Close() }} {
		m := newMeter(endless{})
		m.greeted()
		if err := receive(m, openingBudget+1); err != nil {
			t.Fatal(err)
		}
		read := make(chan error)
		go func() { read <- receive(m, 1) }()
		select {
		case err := <-read:
			t.Fatalf("no pause: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		end(m)
		select {
		case <-read:
		case <-time.After(patience):
			t.Fatal("the pause has no end")
		}
	}
}
