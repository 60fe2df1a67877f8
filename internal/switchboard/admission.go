package switchboard

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// spokenBytes is what a client has to send before it counts as one that
	// speaks SSH. A version line and a key exchange are several times as much.
	spokenBytes = 256

	// creditTime is how long what a client has shown counts. Whoever gets no
	// further in it is treated as one who has shown nothing yet: else those who
	// come half way and stay there would shut out all who begin.
	creditTime = 5 * time.Second

	// leastMost is how low the bound on connections goes by itself. Below it,
	// honest clients would be evicted in the middle of their handshakes.
	leastMost = 16
)

// admission bounds the number of open connections. Those whose command is not
// known yet are unsettled, and when there are too many connections, one of
// them has to go, so that thousands that never speak don't shut out one that
// does.
type admission struct {
	limit int // as configured
	now   func() time.Time

	mu     sync.Mutex
	most   int // at most limit, and less when the system allows less
	open   int
	closed bool
	crowds map[netip.Prefix]map[*visit]bool // the unsettled ones of each source
}

// visit is one open connection. What can change is guarded by admission.mu.
type visit struct {
	source  netip.Prefix
	meter   *meter
	stage   stage
	since   time.Time // when it came to this stage
	evicted bool
}

// stage is what a client has shown.
type stage int

const (
	silent   stage = iota // less than spokenBytes
	speaking              // in its handshake
	known                 // the handshake is done
)

func newAdmission(most int, now func() time.Time) *admission {
	return &admission{
		limit:  most,
		now:    now,
		most:   most,
		crowds: make(map[netip.Prefix]map[*visit]bool),
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
	v = &visit{source: sourceOf(m.RemoteAddr()), meter: m, since: a.now()}
	a.open++
	a.add(v)
	return v, evicted
}

// advance notes that a connection has come to a stage.
func (a *admission) advance(v *visit, to stage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	v.stage, v.since = to, a.now()
}

// settle notes that a connection has named a command that is being served. It
// returns false if the connection has just been closed instead.
func (a *admission) settle(v *visit) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.crowds[v.source][v] {
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
	v.since = a.now()
	a.add(v)
}

// leave notes that a connection has ended.
func (a *admission) leave(v *visit) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.crowds[v.source][v] {
		a.forget(v)
	}
	if !v.evicted { // an evicted one has given up its place already
		a.open--
	}
}

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

// close closes all unsettled connections that serve no session, and lets no
// further one in.
func (a *admission) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for _, crowd := range a.crowds {
		for v := range crowd {
			a.forget(v)
			v.meter.dismiss("the switchboard is going down")
		}
	}
}

// evict closes an unsettled connection of the source that has most of them,
// so that whoever comes in crowds crowds out only himself; among these the one
// that has shown the least, and among these the one that has been at it
// for longest. It needs a.mu.
func (a *admission) evict() bool {
	largest := 0
	for _, crowd := range a.crowds {
		largest = max(largest, len(crowd))
	}
	if largest == 0 {
		return false
	}
	stale := a.now().Add(-creditTime)
	shown := func(v *visit) stage {
		if v.since.Before(stale) {
			return silent
		}
		return v.stage
	}
	var worst *visit
	for _, crowd := range a.crowds {
		if len(crowd) < largest {
			continue
		}
		for v := range crowd {
			if worst == nil || shown(v) < shown(worst) ||
				shown(v) == shown(worst) && v.since.Before(worst.since) {
				worst = v
			}
		}
	}
	a.forget(worst)
	worst.evicted = true
	a.open--
	worst.meter.dismiss(tooManyLine)
	return true
}

// add needs a.mu.
func (a *admission) add(v *visit) {
	crowd := a.crowds[v.source]
	if crowd == nil {
		crowd = make(map[*visit]bool)
		a.crowds[v.source] = crowd
	}
	crowd[v] = true
}

// forget needs a.mu.
func (a *admission) forget(v *visit) {
	crowd := a.crowds[v.source]
	delete(crowd, v)
	if len(crowd) == 0 {
		delete(a.crowds, v.source)
	}
}
