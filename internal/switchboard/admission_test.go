package switchboard

import (
	"net"
	"testing"
)

// stub is a connection that only knows where it comes from.
type stub struct {
	net.Conn
	from   string
	closed bool
}

func (s *stub) RemoteAddr() net.Addr { return address(s.from) }
func (s *stub) Close() error         { s.closed = true; return nil }

// Too many connections cost one of those their place who have shown the
// least, and among these one of the largest crowd, the oldest first. Those who
// wait or are linked are safe.
func TestEviction(t *testing.T) {
	a := newAdmission(6)
	enter := func(from string, received int64) (*visit, *stub) {
		t.Helper()
		s := &stub{from: from}
		m := newMeter(s)
		m.received = received
		v, _ := a.enter(m)
		if v == nil {
			t.Fatal("not let in")
		}
		return v, s
	}
	settled, settledConn := enter("192.0.2.9:1", 0)
	if !a.settle(settled) {
		t.Fatal("not settled")
	}
	greeted, greetedConn := enter("192.0.2.1:1", spokenBytes)
	a.greet(greeted)
	_, speaking := enter("192.0.2.1:2", spokenBytes)
	_, silent := enter("192.0.2.2:3", spokenBytes-1)
	_, crowd1 := enter("192.0.2.3:4", 0)
	_, crowd2 := enter("192.0.2.3:5", 0)
	order := []*stub{crowd1, silent, crowd2} // a crowd of two, then two of one each
	for i := range order {
		// The newcomer is of an address of its own, and speaks at once.
		enter("198.51.100."+string(rune('1'+i))+":6", spokenBytes)
		for j, s := range order {
			if s.closed != (j <= i) {
				t.Errorf("after %d newcomers, number %d is closed: %v", i+1, j, s.closed)
			}
		}
	}
	// The silent have gone: the oldest of those who speak SSH is next.
	enter("198.51.100.9:6", spokenBytes)
	if !speaking.closed || greetedConn.closed || settledConn.closed {
		t.Errorf("speaking %v, greeted %v, settled %v", speaking.closed, greetedConn.closed, settledConn.closed)
	}
	if a.open != 6 {
		t.Errorf("%d are open", a.open)
	}
}

// When all are settled, nobody is let in; when one leaves or was refused, it
// goes on.
func TestAllSettled(t *testing.T) {
	a := newAdmission(2)
	var visits []*visit
	for range 2 {
		v, _ := a.enter(newMeter(&stub{from: "192.0.2.1:1"}))
		a.settle(v)
		visits = append(visits, v)
	}
	if v, _ := a.enter(newMeter(&stub{})); v != nil {
		t.Error("a third was let in")
	}
	if a.shrink(); a.open != 2 || a.most != 2 {
		t.Errorf("%d of %d are open", a.open, a.most)
	}
	a.unsettle(visits[0])
	v, evicted := a.enter(newMeter(&stub{}))
	if v == nil || !evicted || a.settle(visits[0]) {
		t.Error("a refused one kept its place")
	}
	a.leave(visits[0])
	a.leave(visits[1])
	a.leave(v)
	if a.open != 0 || len(a.unsettled) != 0 || len(a.perSource) != 0 {
		t.Errorf("%d open, %v, %v", a.open, a.unsettled, a.perSource)
	}
	s := &stub{}
	v, _ = a.enter(newMeter(s))
	a.close()
	if !s.closed || a.settle(v) {
		t.Error("an unsettled one outlived the end")
	}
	if v, _ := a.enter(newMeter(&stub{})); v != nil {
		t.Error("one was let in after the end")
	}
}

// When the system allows no more, the bound follows it down, those go who
// have shown the least, and the bound comes back in time.
func TestShrink(t *testing.T) {
	a := newAdmission(1000)
	var conns []*stub
	for range 80 {
		s := &stub{from: "192.0.2.1:1"}
		conns = append(conns, s)
		v, _ := a.enter(newMeter(s))
		if len(conns) <= 2 {
			a.settle(v)
		}
	}
	a.shrink()
	if a.open != 69 || a.most != 69 {
		t.Errorf("%d of %d are open", a.open, a.most)
	}
	for i, s := range conns {
		if want := i >= 2 && i < 2+11; s.closed != want {
			t.Errorf("number %d is closed: %v", i, s.closed)
		}
	}
	if v, evicted := a.enter(newMeter(&stub{from: "192.0.2.1:1"})); v == nil || !evicted || a.open != 69 {
		t.Errorf("one more: %v, %v, %d open", v, evicted, a.open)
	}
	for range 100 {
		a.grow()
	}
	if a.most != 1000 {
		t.Errorf("the bound came back to %d", a.most)
	}
	for range 100 {
		a.shrink()
	}
	if a.most != leastMost || a.open != 2 {
		t.Errorf("%d of %d are open", a.open, a.most)
	}
}
