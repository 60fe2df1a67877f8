package switchboard

import (
	"container/list"
	"net/netip"
	"sync"
)

const (
	// What a client has to send, in bytes, before it counts as one that has
	// begun to speak SSH, which clients do without waiting for us, and as one
	// that goes on: a version line, and part of a key exchange.
	begunBytes    = 9
	speakingBytes = 256

	// leastMost is how low the bound on connections goes by itself. Below it,
	// honest clients would be evicted in the middle of their handshakes.
	leastMost = 16
)

// admission bounds the number of open connections. Those whose command is not
// known yet are unsettled, and when there are too many connections, one of
// them has to go.
//
// Whoever comes in crowds crowds out only his own: the one to go is of the
// source that has most of the unsettled connections, and of those one at the
// stage that most of them have come to, the one that has been there for
// longest. So thousands that never speak don't shut out one that does, nor do
// thousands that come half way and stay there. Those who are asking are so few
// of each source (see guesses) and so near their end that they go last of all.
type admission struct {
	limit int // as configured

	mu     sync.Mutex
	most   int // at most limit, and less when the system allows less
	open   int
	closed bool
	crowds map[netip.Prefix]*crowd
}

// crowd is the unsettled connections of one source, by stage, each in the
// order in which they came to it.
type crowd struct {
	size   int // but for those who are asking
	stages [asking + 1]list.List
}

// visit is one open connection. What can change is guarded by admission.mu.
type visit struct {
	source  netip.Prefix
	meter   *meter
	stage   stage
	place   *list.Element // in the crowd; nil when settled, evicted or gone
	evicted bool
}

// stage is what a client has shown.
type stage int

const (
	silent   stage = iota // less than begunBytes
	begun                 // less than speakingBytes
	speaking              // in its handshake
	known                 // the handshake is done
	asking                // a token has been named, and has yet to be looked up
)

// stageAfter returns the stage of a client in its handshake that has sent n
// bytes.
func stageAfter(n int64) stage {
	switch {
	case n < begunBytes:
		return silent
	case n < speakingBytes:
		return begun
	}
	return speaking
}

func newAdmission(most int) *admission {
	return &admission{limit: most, most: most, crowds: make(map[netip.Prefix]*crowd)}
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
	v = &visit{source: sourceOf(m.RemoteAddr()), meter: m}
	a.open++
	a.add(v)
	return v, evicted
}

// advance notes that a connection has come to a stage.
func (a *admission) advance(v *visit, to stage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if v.place != nil {
		a.forget(v)
		v.stage = to
		a.add(v)
	}
}

// settle notes that a connection has named a command that is being served. It
// returns false if the connection has just been closed instead.
func (a *admission) settle(v *visit) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if v.place == nil {
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
	v.stage = known
	a.add(v)
}

// leave notes that a connection has ended.
func (a *admission) leave(v *visit) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if v.place != nil {
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

// close sends those away whose handshake is not done, and lets no further one
// in. The others are told by whoever serves them.
func (a *admission) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for _, c := range a.crowds {
		for s := range known {
			for e := c.stages[s].Front(); e != nil; e = e.Next() {
				e.Value.(*visit).meter.dismiss("the switchboard is going down")
			}
		}
	}
}

// evict makes one of the unsettled connections go. It needs a.mu.
func (a *admission) evict() bool {
	var largest *crowd
	for _, c := range a.crowds {
		if largest == nil || c.size > largest.size ||
			c.size == largest.size && c.stages[asking].Len() > largest.stages[asking].Len() {
			largest = c
		}
	}
	if largest == nil {
		return false
	}
	fullest := &largest.stages[silent]
	for s := range asking {
		if largest.stages[s].Len() > fullest.Len() {
			fullest = &largest.stages[s]
		}
	}
	if largest.size == 0 {
		fullest = &largest.stages[asking]
	}
	v := fullest.Front().Value.(*visit)
	a.forget(v)
	v.evicted = true
	a.open--
	v.meter.dismiss(tooManyLine)
	return true
}

// add needs a.mu.
func (a *admission) add(v *visit) {
	c := a.crowds[v.source]
	if c == nil {
		c = new(crowd)
		a.crowds[v.source] = c
	}
	v.place = c.stages[v.stage].PushBack(v)
	if v.stage != asking {
		c.size++
	}
}

// forget needs a.mu.
func (a *admission) forget(v *visit) {
	c := a.crowds[v.source]
	c.stages[v.stage].Remove(v.place)
	v.place = nil
	if v.stage != asking {
		c.size--
	}
	if c.size == 0 && c.stages[asking].Len() == 0 {
		delete(a.crowds, v.source)
	}
}
