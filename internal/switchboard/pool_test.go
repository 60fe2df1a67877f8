package switchboard

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"
)

// address is an address as net gives it.
type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

func TestCrowdsOf(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1:22":                "[192.0.2.0/24 192.0.2.1/32 192.0.2.1/32]",
		"[::ffff:192.0.2.1]:22":       "[192.0.2.0/24 192.0.2.1/32 192.0.2.1/32]",
		"[2001:db8:1:234:5:6:7:8]:22": "[2001:db8:1::/48 2001:db8:1:200::/56 2001:db8:1:234::/64]",
		"[fe80::1%eth0]:22":           "[fe80::/48 fe80::/56 fe80::/64]",
		"pipe":                        "[invalid Prefix invalid Prefix invalid Prefix]",
	} {
		var prefixes []netip.Prefix
		for level, c := range crowdsOf(address(addr)) {
			if prefixes = append(prefixes, c.prefix); c.level != level {
				t.Errorf("%s: level %d at %d", addr, c.level, level)
			}
		}
		if got := fmt.Sprint(prefixes); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	if got := crowdsOf(nil); got != crowdsOf(address("pipe")) {
		t.Errorf("no address: %v", got)
	}
}

// crowdOf is a pool for tests, whose members are named after their addresses.
type crowdOf struct {
	*pool
	now  int64
	gone []string
}

// come lets in a member with these addresses, and returns nil if it was not let in.
func (c *crowdOf) come(addrs ...string) *member {
	var from []net.Addr
	for _, a := range addrs {
		from = append(from, address(a+":1"))
	}
	c.now++
	now := c.now
	return c.enter(from, func() int64 { return now }, func() { c.gone = append(c.gone, addrs[0]) })
}

// expect expects those who had to go since the last time.
func (c *crowdOf) expect(t *testing.T, want ...string) {
	t.Helper()
	if fmt.Sprint(c.gone) != fmt.Sprint(want) {
		t.Errorf("gone are %v, want %v", c.gone, want)
	}
	c.gone = nil
}

// The one to go is from the network with most, in it from the address with most, and of these the oldest.
func TestLargestCrowdGoes(t *testing.T) {
	c := &crowdOf{pool: newPool(8, func(int) {})}
	for _, from := range []string{"198.51.100.1", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.3", "203.0.113.1", "203.0.113.1", "203.0.113.1"} {
		c.come(from)
	}
	c.expect(t)
	c.come("[2001:db8::1]")
	c.expect(t, "192.0.2.3") // four of a /24, two of them of one address
	c.come("[2001:db8::2]")
	c.expect(t, "203.0.113.1") // of two /24s with three each, the one with all three from one address
	for range 5 {
		c.come("[2001:db8::3]") // with itself, its /64 is as large as any network, and denser
	}
	c.expect(t, "[2001:db8::1]", "[2001:db8::2]", "[2001:db8::3]", "[2001:db8::3]", "[2001:db8::3]")
}

// Whoever comes when no network has more than its own, and its own has nobody who could go, is not let in.
func TestNobodyGoesForOneAlone(t *testing.T) {
	c := &crowdOf{pool: newPool(2, func(int) {})}
	first := c.come("192.0.2.1")
	c.come("198.51.100.1")
	if c.come("203.0.113.1") != nil {
		t.Error("let in")
	}
	c.expect(t)
	if c.come("192.0.2.2") == nil {
		t.Error("not let in")
	}
	c.expect(t, "192.0.2.1")
	first.leave()
	if c.held != 2 {
		t.Errorf("%d places are taken", c.held)
	}
	c.shrink()
	c.shrink()
	c.shrink()
	c.expect(t, "198.51.100.1", "192.0.2.2")
	if c.held != 0 || len(c.members) != 0 || len(c.crowds) != 0 {
		t.Errorf("left are %d, %v, %v", c.held, c.members, c.crowds)
	}
}

// A settled member stays, and keeps its place; an unsettled one may have to go again; and one that leaves makes room.
func TestSettled(t *testing.T) {
	c := &crowdOf{pool: newPool(2, func(int) {})}
	a, b := c.come("192.0.2.1"), c.come("192.0.2.1")
	if !a.settle() || !b.settle() || c.come("198.51.100.1") != nil {
		t.Error("one of those who are settled has gone")
	}
	closed := false
	a.unsettle(func() { closed = true })
	d := c.come("192.0.2.1")
	if d == nil || !closed || a.settle() {
		t.Error("one that is unsettled has stayed")
	}
	a.leave()
	b.leave()
	d.leave()
	d.leave()
	if c.held != 0 || len(c.crowds) != 0 {
		t.Errorf("left are %d, %v", c.held, c.crowds)
	}
}

// A link belongs to the crowds of both its sides, and goes with the larger one.
func TestCrowdsOfBothSides(t *testing.T) {
	c := &crowdOf{pool: newPool(3, func(int) {})}
	c.come("192.0.2.1", "198.51.100.1")
	c.come("203.0.113.1", "192.0.2.1")
	c.come("203.0.113.2", "203.0.113.2")
	c.come("[2001:db8::1]", "[2001:db8:1::1]")
	c.expect(t, "192.0.2.1")
	c.come("198.51.100.2", "198.51.100.2")
	c.expect(t, "203.0.113.1")
}

// Whatever 64 /64s of four /48s and a whole /24 do, a client from elsewhere finds a place and keeps it.
func TestCrowdsPushOutThemselves(t *testing.T) {
	c := &crowdOf{pool: newPool(64, func(int) {})}
	crowd := func(i int) {
		c.come(fmt.Sprintf("[2001:db8:%x:%x::%x]", i%4, i%64, i))
		c.come(fmt.Sprintf("192.0.2.%d", i%256))
	}
	for i := range 1000 {
		crowd(i)
	}
	c.gone = nil
	honest := c.come("198.51.100.1")
	for i := range 10_000 {
		crowd(i)
	}
	for _, from := range c.gone {
		if from == "198.51.100.1" {
			t.Fatal("the honest one had to go")
		}
	}
	if honest == nil || !honest.settle() {
		t.Error("the honest one has no place")
	}
}

// How long it takes to guess a token, by the real limits: one IPv4 address and
// one /48 need more than a day, with 1 and with 16 sides waiting.
func TestHoursToGuess(t *testing.T) {
	for _, c := range []struct {
		name string
		from func(i int) string
		most float64 // guesses an hour
	}{
		{"one IPv4 address", func(int) string { return "192.0.2.1:1" }, 3600},
		{"one IPv6 /48", func(i int) string { return fmt.Sprintf("[2001:db8::%x:0:0:0:1]:1", i%1000) }, 36_000},
		{"a thousand IPv4 addresses", func(i int) string { return fmt.Sprintf("10.%d.%d.1:1", i%1000/250, i%250) }, 3_600_000},
	} {
		now := time.Unix(0, 0)
		l := newLookups(DefaultOptions().Lookups, func() time.Time { return now })
		guess := func(d time.Duration) (n int) {
			for end := now.Add(d); now.Before(end); now = now.Add(100 * time.Millisecond) {
				for i := range 1000 {
					if l.allow(address(c.from(i))) {
						n++
					}
				}
			}
			return n
		}
		guess(time.Minute) // the initial burst
		hourly := float64(guess(time.Minute)) * 60
		if hourly > c.most*1.01 || hourly < c.most*0.9 {
			t.Errorf("%s: %.0f guesses an hour", c.name, hourly)
		}
		for _, waiting := range []int{1, 16} {
			space := float64(uint64(1) << (4 * tokenDigits(minTokenDigits, waiting)))
			hours := space / float64(waiting) / hourly
			t.Logf("%s, %d waiting: %.1f hours", c.name, waiting, hours)
			if c.most <= 36_000 && hours < 24 {
				t.Errorf("%s, %d waiting: %.1f hours", c.name, waiting, hours)
			}
		}
	}
}

// Each client has its tries, and no more of them when the clock jumps back; another network's are not affected. The table is
// bounded.
func TestLookups(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	l := newLookups(2, func() time.Time { return now })
	try := func(from string, want bool) {
		t.Helper()
		if l.allow(address(from)) != want {
			t.Errorf("%s: %v", from, !want)
		}
	}
	try("192.0.2.1:1", true)
	try("192.0.2.1:2", true)
	try("192.0.2.1:3", false)
	try("[::ffff:192.0.2.1]:4", false)
	try("192.0.2.2:1", true)
	now = now.Add(-time.Hour)
	try("192.0.2.1:1", false)
	now = now.Add(time.Hour + 30*time.Second)
	try("192.0.2.1:1", true)
	try("192.0.2.1:1", false)
	for i := range 2 * maxLimiters {
		l.allow(address(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255)))
	}
	if n := len(l.limiters); n > maxLimiters+3 {
		t.Errorf("%d limiters", n)
	}
}
