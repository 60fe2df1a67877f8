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

// hall is an admission with a clock of its own.
type hall struct {
	*admission
	*clock
	t *testing.T
}

func newHall(t *testing.T, most int) *hall {
	c := &clock{time.Unix(1e9, 0)}
	return &hall{newAdmission(most, c.now), c, t}
}

// visitor enters and comes to a stage. A moment passes.
func (h *hall) visitor(from string, to stage) (*visit, *stub) {
	h.t.Helper()
	h.clock.t = h.clock.t.Add(time.Millisecond)
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
// who has shown the least, the one that has been at it for longest. Those who
// wait or are linked are safe.
func TestEviction(t *testing.T) {
	h := newHall(t, 7)
	settled, settledConn := h.visitor("192.0.2.9:1", known)
	if !h.settle(settled) {
		t.Fatal("not settled")
	}
	_, loner := h.visitor("192.0.2.2:1", silent)
	var conns []*stub
	for i, to := range []stage{known, speaking, silent, silent, speaking} {
		_, s := h.visitor(fmt.Sprintf("192.0.2.1:%d", i), to)
		conns = append(conns, s)
	}
	for i, next := range []int{2, 3, 1, 4} {
		// The newcomer is of an address of its own, and speaks at once.
		h.visitor(fmt.Sprintf("198.51.100.%d:6", i), speaking)
		if !conns[next].closed {
			t.Errorf("newcomer %d: number %d is still there", i, next)
		}
	}
	// All are alone now: the one that has shown least.
	if conns[0].closed || loner.closed || settledConn.closed {
		t.Errorf("known %v, alone %v, settled %v", conns[0].closed, loner.closed, settledConn.closed)
	}
	h.visitor("198.51.100.9:6", silent)
	if !loner.closed || conns[0].closed {
		t.Errorf("known %v, alone %v", conns[0].closed, loner.closed)
	}
	if h.open != 7 {
		t.Errorf("%d are open", h.open)
	}
	for _, s := range []*stub{conns[2], conns[4], loner} {
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

// Of one source, too, those who have come half way and stay there make room
// for those who begin.
func TestCreditEnds(t *testing.T) {
	h := newHall(t, 64)
	for range 64 {
		h.visitor("192.0.2.1:1", known)
	}
	h.clock.t = h.clock.t.Add(creditTime)
	_, honest := h.visitor("192.0.2.1:1", silent)
	for range 63 {
		h.visitor("192.0.2.1:1", silent)
		if honest.closed {
			t.Fatal("one that has just come had to go for those who stay half way")
		}
	}
	h.visitor("192.0.2.1:1", silent)
	if !honest.closed {
		t.Error("it could stay for ever")
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
	v, s := h.visitor("192.0.2.1:1", silent)
	h.close()
	if !s.closed || h.settle(v) {
		t.Error("an unsettled one outlived the end")
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
