package switchboard

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// crowd is a group of clients that are counted together: a prefix of their addresses, and its place in what crowdsOf returns.
type crowd struct {
	level  int
	prefix netip.Prefix
}

// crowdsOf returns the crowds that a client belongs to, the widest first: an IPv4 address has its /24 and itself, an IPv6 address
// its /48, /56 and /64, which are what a provider gives to one customer. All addresses other than IP addresses are one client.
func crowdsOf(addr net.Addr) [3]crowd {
	crowds := [3]crowd{{level: 0}, {level: 1}, {level: 2}}
	if addr == nil {
		return crowds
	}
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return crowds
	}
	ip := ap.Addr().Unmap().WithZone("")
	bits := [3]int{24, 32, 32}
	if ip.Is6() {
		bits = [3]int{48, 56, 64}
	}
	for i := range crowds {
		crowds[i].prefix, _ = ip.Prefix(bits[i])
	}
	return crowds
}

// pool bounds how many connections, waiting sides or links there are at the same time.
//
// When one comes too many, a member of the largest crowd is evicted: from the widest network with most members, within it from the
// narrower one with most, and of these the one that ranks lowest. So crowds evict only their own. The newcomer counts, too: it is
// not admitted if its own network is as large as any, and has nobody else who could go.
type pool struct {
	most    int
	evicted func(crowd int) // is told how large the network of the evicted one was

	mu      sync.Mutex
	held    int              // in all
	members map[*member]bool // those who may be evicted
	crowds  map[crowd]int    // how many of members are in each
}

// member is one place in a pool. It is guarded by the pool's mutex.
type member struct {
	pool   *pool
	crowds [][3]crowd   // one for each address
	rank   func() int64 // the lowest of a crowd goes first
	evict  func()       // tells it to go, and does not wait
	gone   bool         // it has no place any more
}

func newPool(most int, evicted func(crowd int)) *pool {
	return &pool{most: most, evicted: evicted, members: make(map[*member]bool), crowds: make(map[crowd]int)}
}

// number returns how many there are.
func (p *pool) number() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// enter takes a place for whoever has these addresses, some of which may be nil, or returns nil if there is none. A place is given
// back by leave. No lock is held while another member is told to go.
func (p *pool) enter(addrs []net.Addr, rank func() int64, evict func()) *member {
	m := &member{pool: p, rank: rank, evict: evict}
	for _, addr := range addrs {
		if crowds := crowdsOf(addr); addr != nil && !slices.Contains(m.crowds, crowds) {
			m.crowds = append(m.crowds, crowds)
		}
	}
	p.mu.Lock()
	p.count(m, 1)
	var victim *member
	size := 0 // of the victim's network
	if p.held++; p.held > p.most {
		if victim = p.victim(m); victim == nil {
			victim, m = m, nil
		}
		size = p.size(victim)[0]
		p.drop(victim)
	}
	p.mu.Unlock()
	if m != nil && victim != nil {
		p.evicted(size)
		victim.evict()
	}
	return m
}

// shrink evicts a member, because the system has run out of something.
func (p *pool) shrink() {
	p.mu.Lock()
	victim := p.victim(nil)
	if victim != nil {
		p.drop(victim)
	}
	p.mu.Unlock()
	if victim != nil {
		victim.evict()
	}
}

// victim returns who has to go for m, if anybody: a member of a crowd larger than m's own, or of that one. It needs p.mu.
func (p *pool) victim(m *member) (lowest *member) {
	var own, most [3]int
	if m != nil {
		own = p.size(m)
	}
	for v := range p.members {
		size := p.size(v)
		if v == m || slices.Compare(size[:], own[:]) <= 0 && !v.shares(m) {
			continue
		}
		order := slices.Compare(size[:], most[:])
		if order > 0 || order == 0 && v.rank() < lowest.rank() {
			lowest, most = v, size
		}
	}
	return lowest
}

// size returns the sizes of the largest crowds that a member belongs to. It needs p.mu.
func (p *pool) size(m *member) (most [3]int) {
	for _, crowds := range m.crowds {
		var size [3]int
		for i, c := range crowds {
			size[i] = p.crowds[c]
		}
		if slices.Compare(size[:], most[:]) > 0 {
			most = size
		}
	}
	return most
}

// shares reports whether two members have a widest network in common.
func (m *member) shares(other *member) bool {
	for _, a := range m.crowds {
		for _, b := range other.crowds {
			if a[0] == b[0] {
				return true
			}
		}
	}
	return false
}

// count adds a member to those who may be evicted if n is 1, and removes it if n is -1. It needs p.mu.
func (p *pool) count(m *member, n int) {
	if p.members[m] == (n > 0) {
		return
	}
	if n > 0 {
		p.members[m] = true
	} else {
		delete(p.members, m)
	}
	for _, crowds := range m.crowds {
		for _, c := range crowds {
			if p.crowds[c] += n; p.crowds[c] == 0 {
				delete(p.crowds, c)
			}
		}
	}
}

// drop needs p.mu.
func (p *pool) drop(m *member) {
	if !m.gone {
		m.gone = true
		p.count(m, -1)
		p.held--
	}
}

// settle exempts a member from eviction. It returns false if it has already been told to go.
func (m *member) settle() bool {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	m.pool.count(m, -1)
	return !m.gone
}

// unsettle undoes settle. From now on evict tells the member to go.
func (m *member) unsettle(evict func()) {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	if m.evict = evict; !m.gone {
		m.pool.count(m, 1)
	}
}

// leave gives the place back.
func (m *member) leave() {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	m.pool.drop(m)
}

// oldest ranks members by the time at which they came.
func oldest() func() int64 {
	now := time.Now().UnixNano()
	return func() int64 { return now }
}

const (
	// networkLookups is how many times as many tokens a /24 or a /48 may try as one client in it.
	networkLookups = 10

	// maxLimiters bounds the table of limiters. When it is full, clients not in it share one, and so do networks.
	maxLimiters = 1 << 14
)

// lookups bounds how many tokens are looked up for a client, which is an IPv4 address or an IPv6 /64, and for its network, an IPv4
// /24 or an IPv6 /48. Right ones count, too, so that the cost of a try reveals nothing.
type lookups struct {
	minutely int
	now      func() time.Time

	mu       sync.Mutex
	limiters map[crowd]*rate.Limiter
}

func newLookups(minutely int, now func() time.Time) *lookups {
	return &lookups{minutely: minutely, now: now, limiters: make(map[crowd]*rate.Limiter)}
}

// allow counts a look-up, and reports whether it may be done.
func (l *lookups) allow(addr net.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	crowds, now := crowdsOf(addr), l.now()
	network := l.limiter(crowds[0], networkLookups*l.minutely, now)
	if network.TokensAt(now) < 1 {
		return false
	}
	return l.limiter(crowds[2], l.minutely, now).AllowN(now, 1) && network.AllowN(now, 1)
}

// charge counts a look-up made at another node: the balance may become negative.
func (l *lookups) charge(addr net.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	crowds, now := crowdsOf(addr), l.now()
	l.limiter(crowds[0], networkLookups*l.minutely, now).ReserveN(now, 1)
	l.limiter(crowds[2], l.minutely, now).ReserveN(now, 1)
}

// limiter needs l.mu.
func (l *lookups) limiter(of crowd, minutely int, now time.Time) *rate.Limiter {
	if len(l.limiters) >= maxLimiters && l.limiters[of] == nil {
		maps.DeleteFunc(l.limiters, func(_ crowd, limiter *rate.Limiter) bool { // those that limit nothing any more
			return limiter.TokensAt(now) >= float64(limiter.Burst())
		})
		if len(l.limiters) >= maxLimiters {
			of.prefix = netip.Prefix{}
		}
	}
	if l.limiters[of] == nil {
		l.limiters[of] = rate.NewLimiter(rate.Limit(float64(minutely)/60), minutely)
	}
	return l.limiters[of]
}
