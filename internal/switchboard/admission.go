package switchboard

import (
	"net/netip"
	"sync"
)

// spokenBytes is what a client has to send before it counts as one that
// speaks SSH. A version line and a key exchange are several times as much.
const spokenBytes = 256

// admission bounds the number of open connections. Those whose command is not
// known yet are unsettled, and when there are too many connections, one of
// them has to go, so that thousands that never speak don't shut out one that
// does.
type admission struct {
	limit int // as configured

	mu        sync.Mutex
	most      int // at most limit, and less when the system allows less
	open      int
	closed    bool
	order     uint64
	unsettled map[*visit]bool
	perSource map[netip.Prefix]int // unsettled ones
}

// visit is one open connection.
type visit struct {
	source  netip.Prefix
	order   uint64 // of arrival
	meter   *meter
	greeted bool // the handshake is done; guarded by admission.mu
	evicted bool
}

func newAdmission(most int) *admission {
	return &admission{
		limit:     most,
		most:      most,
		unsettled: make(map[*visit]bool),
		perSource: make(map[netip.Prefix]int),
	}
}

// enter lets a connection in, unless none may come any more or all others are
// settled. The second result tells whether another one had to go for it.
// Unless it returns nil, leave follows.
func (a *admission) enter(m *meter) (v *visit, evicted bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, false
	}
	if a.open >= a.most {
		if evicted = a.evict(); !evicted {
			return nil, false
		}
	}
	v = &visit{source: sourceOf(m.RemoteAddr()), order: a.order, meter: m}
	a.order++
	a.open++
	a.unsettled[v] = true
	a.perSource[v.source]++
	return v, evicted
}

// greet notes that a connection has done its handshake.
func (a *admission) greet(v *visit) {
	a.mu.Lock()
	defer a.mu.Unlock()
	v.greeted = true
}

// settle notes that a connection has named a command that is being served. It
// returns false if the connection has just been closed instead.
func (a *admission) settle(v *visit) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.unsettled[v] {
		return false
	}
	a.forget(v)
	return true
}

// unsettle takes back settle for a connection whose command was refused: it
// is about to leave, and may be made to.
func (a *admission) unsettle(v *visit) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unsettled[v] = true
	a.perSource[v.source]++
}

// leave notes that a connection has ended.
func (a *admission) leave(v *visit) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unsettled[v] {
		a.forget(v)
	}
	if !v.evicted { // an evicted one has given up its place already
		a.open--
	}
}

// leastMost is how low the bound on connections goes by itself. Below it,
// honest clients would be evicted in the middle of their handshakes.
const leastMost = 16

// shrink is called when the system allows no further connection. It closes
// an eighth of all connections, as long as there are unsettled ones, and lowers
// the bound to what is open then: so that from then on the choice of who has to
// go is made here and at once, and not by the system's refusals.
func (a *admission) shrink() {
	a.mu.Lock()
	defer a.mu.Unlock()
	target := a.open - a.open/8 - 1
	for a.open > target && a.evict() {
	}
	a.most = min(a.most, max(target, leastMost))
}

// grow raises the bound by an eighth again, as far as it goes. It is called
// from time to time, for want of a message that the system allows more.
func (a *admission) grow() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.most = min(a.most+a.most/8+1, a.limit)
}

// wasEvicted tells whether a connection had to go.
func (a *admission) wasEvicted(v *visit) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return v.evicted
}

// close closes all unsettled connections and lets no further one in.
func (a *admission) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for v := range a.unsettled {
		a.forget(v)
		v.meter.Close()
	}
}

// evict closes the unsettled connection that has shown the least: one that
// has not spoken before one in its handshake before one that is waiting for
// its command to be answered; among these one of the source that has most of
// them; among these the oldest. It needs a.mu.
func (a *admission) evict() bool {
	var worst *visit
	var worstStage, worstCrowd int
	for v := range a.unsettled {
		stage, crowd := v.stage(), a.perSource[v.source]
		if worst == nil || stage < worstStage ||
			stage == worstStage && (crowd > worstCrowd ||
				crowd == worstCrowd && v.order < worst.order) {
			worst, worstStage, worstCrowd = v, stage, crowd
		}
	}
	if worst == nil {
		return false
	}
	a.forget(worst)
	worst.evicted = true
	a.open--
	worst.meter.Close()
	return true
}

func (v *visit) stage() int {
	switch {
	case v.greeted:
		return 2
	case v.meter.total() >= spokenBytes:
		return 1
	}
	return 0
}

// forget needs a.mu.
func (a *admission) forget(v *visit) {
	delete(a.unsettled, v)
	if a.perSource[v.source]--; a.perSource[v.source] == 0 {
		delete(a.perSource, v.source)
	}
}
