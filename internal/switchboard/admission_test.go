package switchboard

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// stub is a connection that only knows where it comes from.
type stub struct {
	net.Conn
	from   string
	closed bool
	told   bytes.Buffer
}

func (s *stub) RemoteAddr() net.Addr             { return address(s.from) }
func (s *stub) Close() error                     { s.closed = true; return nil }
func (s *stub) Write(p []byte) (int, error)      { return s.told.Write(p) }
func (s *stub) SetWriteDeadline(time.Time) error { return nil }

// hall is an admission of a test.
type hall struct {
	*admission
	t *testing.T
}

func newHall(t *testing.T, most int) *hall { return &hall{newAdmission(most), t} }

// visitor enters and comes to a stage.
func (h *hall) visitor(from string, to stage) (*visit, *stub) {
	h.t.Helper()
	s := &stub{from: from}
	v, _ := h.enter(newMeter(s, nil))
	if v == nil {
		h.t.Fatal("not let in")
	}
	if to != silent {
		h.advance(v, to)
	}
	return v, s
}

// Too many connections cost one of the largest crowd its place: of that one
// at the stage that most of them have come to, the one that has been there for
// longest. Those who wait or are linked are safe.
func TestEviction(t *testing.T) {
	h := newHall(t, 8)
	settled, settledConn := h.visitor("192.0.2.9:1", known)
	if !h.settle(settled) {
		t.Fatal("not settled")
	}
	_, loner := h.visitor("192.0.2.2:1", silent)
	var visits []*visit
	var conns []*stub
	for i, to := range []stage{silent, speaking, known, speaking, known, known} {
		v, s := h.visitor(fmt.Sprintf("192.0.2.1:%d", i), to)
		visits, conns = append(visits, v), append(conns, s)
	}
	h.advance(visits[1], known) // and so it is the last there
	for i, next := range []int{2, 4, 5, 0, 3} {
		// The newcomer is of an address of its own.
		h.visitor(fmt.Sprintf("198.51.100.%d:6", i), silent)
		if !conns[next].closed {
			t.Errorf("newcomer %d: number %d is still there", i, next)
		}
	}
	if conns[1].closed || loner.closed || settledConn.closed {
		t.Errorf("known %v, alone %v, settled %v", conns[1].closed, loner.closed, settledConn.closed)
	}
	if h.open != 8 {
		t.Errorf("%d are open", h.open)
	}
	for _, s := range []*stub{conns[0], conns[3]} {
		if !strings.HasPrefix(s.told.String(), serverVersion+"\r\n") || !strings.Contains(s.told.String(), "switchboard: "+tooManyLine) {
			t.Errorf("it was told %q", s.told.String())
		}
	}
}

// However far the connections of one crowd have come, and however many more
// of it come, one from elsewhere is not the one to go.
func TestCrowdsOutItself(t *testing.T) {
	for to := silent; to <= known; to++ {
		h := newHall(t, 64)
		for range 64 {
			h.visitor("[2001:db8::1]:1", to)
		}
		_, honest := h.visitor("[2001:db8:0:1::1]:1", silent)
		for i := range 1000 {
			h.visitor(fmt.Sprintf("[2001:db8::%x]:1", i), to) // all of one /64
		}
		if honest.closed {
			t.Errorf("a crowd at stage %d has shut out one that was not of it", to)
		}
	}
}

// Of one source, too: however many are at some stage and whatever comes, one
// that is at another is not the one to go.
func TestCrowdsOutItsStage(t *testing.T) {
	for crowded := silent; crowded <= known; crowded++ {
		for to := silent; to <= known; to++ {
			if to == crowded {
				continue
			}
			h := newHall(t, 64)
			for range 64 {
				h.visitor("192.0.2.1:1", crowded)
			}
			_, honest := h.visitor("192.0.2.1:1", to)
			for range 1000 {
				h.visitor("192.0.2.1:1", crowded)
			}
			if honest.closed {
				t.Errorf("a crowd at stage %d has shut out one at stage %d", crowded, to)
			}
		}
	}
}

// Those whose token is being looked up go last, and only if nobody else is
// left: of the source that has most of them.
func TestAskingGoLast(t *testing.T) {
	h := newHall(t, 6)
	var asks []*stub
	for i := range 4 {
		_, s := h.visitor(fmt.Sprintf("192.0.2.1:%d", i), asking)
		asks = append(asks, s)
	}
	_, other := h.visitor("192.0.2.2:1", asking)
	_, last := h.visitor("192.0.2.3:1", known)
	v, _ := h.visitor("192.0.2.4:1", silent)
	h.settle(v)
	if !last.closed {
		t.Error("one that asks for nothing is still there")
	}
	h.enter(newMeter(&stub{from: "192.0.2.4:2"}, nil))
	if !asks[0].closed || asks[1].closed || other.closed {
		t.Errorf("gone are %v, %v, of another source %v", asks[0].closed, asks[1].closed, other.closed)
	}
}

// When all are settled, nobody is let in; when one leaves or was refused, it
// goes on.
func TestAllSettled(t *testing.T) {
	h := newHall(t, 2)
	var visits []*visit
	for range 2 {
		v, _ := h.visitor("192.0.2.1:1", known)
		h.settle(v)
		visits = append(visits, v)
	}
	if v, _ := h.enter(newMeter(&stub{}, nil)); v != nil {
		t.Error("a third was let in")
	}
	if h.shrink(); h.open != 2 || h.most != 2 {
		t.Errorf("%d of %d are open", h.open, h.most)
	}
	h.unsettle(visits[0])
	v, evicted := h.enter(newMeter(&stub{}, nil))
	if v == nil || !evicted || h.settle(visits[0]) {
		t.Error("a refused one kept its place")
	}
	h.leave(visits[0])
	h.leave(visits[1])
	h.leave(v)
	if h.open != 0 || len(h.crowds) != 0 {
		t.Errorf("%d open, %v", h.open, h.crowds)
	}
	h = newHall(t, 2)
	_, s := h.visitor("192.0.2.1:1", speaking)
	_, served := h.visitor("192.0.2.1:1", known)
	h.close()
	if !s.closed || served.closed {
		t.Errorf("at the end: in its handshake %v, served %v", s.closed, served.closed)
	}
	if v, _ := h.enter(newMeter(&stub{}, nil)); v != nil {
		t.Error("one was let in after the end")
	}
}

// When the system allows no more, the bound follows it down, those go who
// have shown the least, and the bound comes back in time.
func TestShrink(t *testing.T) {
	h := newHall(t, 1000)
	var conns []*stub
	for range 80 {
		v, s := h.visitor("192.0.2.1:1", silent)
		if conns = append(conns, s); len(conns) <= 2 {
			h.settle(v)
		}
	}
	h.shrink()
	if h.open != 69 || h.most != 69 {
		t.Errorf("%d of %d are open", h.open, h.most)
	}
	for i, s := range conns {
		if want := i >= 2 && i < 2+11; s.closed != want {
			t.Errorf("number %d is closed: %v", i, s.closed)
		}
	}
	if v, evicted := h.enter(newMeter(&stub{from: "192.0.2.1:1"}, nil)); v == nil || !evicted || h.open != 69 {
		t.Errorf("one more: %v, %v, %d open", v, evicted, h.open)
	}
	for range 100 {
		h.grow()
	}
	if h.most != 1000 {
		t.Errorf("the bound came back to %d", h.most)
	}
	for range 100 {
		h.shrink()
	}
	if h.most != leastMost || h.open != 2 {
		t.Errorf("%d of %d are open", h.open, h.most)
	}
}
