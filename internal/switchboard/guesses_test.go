package switchboard

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// clock is a clock that stands still until it is moved.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newTestGuesses(o Options) (*guesses, *clock) {
	c := &clock{time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	return newGuesses(&o, c.now), c
}

// guess makes a guess and returns the delay it cost.
func guess(t *testing.T, g *guesses, source netip.Prefix, wrong bool) time.Duration {
	t.Helper()
	r, delay, err := g.begin(source)
	if err != nil {
		t.Fatal(err)
	}
	g.end(r, wrong)
	return delay
}

// Wrong tokens cost more and more, of their own source only, up to a bound;
// and time makes them cheaper again.
func TestGuessDelays(t *testing.T) {
	g, c := newTestGuesses(DefaultOptions())
	ms := time.Millisecond
	for i, want := range []time.Duration{0, 0, 0, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3000 * ms, 3000 * ms} {
		if got := guess(t, g, sourceA, true); got != want {
			t.Errorf("guess %d costs %v, want %v", i, got, want)
		}
	}
	if got := guess(t, g, sourceB, false); got != 0 {
		t.Errorf("the neighbour pays %v", got)
	}
	// A right one is no discount: whoever guesses could link with himself.
	guess(t, g, sourceA, false)
	if got := guess(t, g, sourceA, false); got != 3000*ms {
		t.Errorf("after a right one: %v", got)
	}
	c.t = c.t.Add(time.Minute) // 10 become 5
	if got := guess(t, g, sourceA, false); got != 400*ms {
		t.Errorf("after a minute: %v", got)
	}
	c.t = c.t.Add(time.Minute) // 5 become 2
	if got := guess(t, g, sourceA, false); got != 0 {
		t.Errorf("after two minutes: %v", got)
	}
	for range 1000 {
		guess(t, g, sourceA, true)
	}
	if got := guess(t, g, sourceA, false); got != 3000*ms {
		t.Errorf("after a thousand: %v", got)
	}
	c.t = c.t.Add(10000 * time.Hour)
	if got := guess(t, g, sourceA, false); got != 0 {
		t.Errorf("after a year: %v", got)
	}
}

// Guesses under way count: many at once are not all free. A right one counts
// no longer than it takes.
func TestGuessesUnderWay(t *testing.T) {
	g, _ := newTestGuesses(DefaultOptions())
	var under []*guesser
	for i := range 10 {
		r, delay, err := g.begin(sourceA)
		if err != nil {
			t.Fatal(err)
		}
		if free := i < freeGuesses; free != (delay == 0) {
			t.Errorf("guess %d costs %v", i, delay)
		}
		under = append(under, r)
	}
	for _, r := range under {
		g.end(r, false)
	}
	if got := guess(t, g, sourceA, false); got != 0 {
		t.Errorf("after ten right ones: %v", got)
	}
}

// A clock that is set back or forward makes nobody wait longer than the
// longest delay, and forgets nobody's guesses too soon.
func TestGuessClockJumps(t *testing.T) {
	g, c := newTestGuesses(DefaultOptions())
	for range 10 {
		guess(t, g, sourceA, true)
	}
	c.t = c.t.Add(-24 * time.Hour)
	if got := guess(t, g, sourceA, true); got != 3*time.Second || g.recent() != 11 {
		t.Errorf("set back: %v, %d recent ones", got, g.recent())
	}
	c.t = c.t.Add(48 * time.Hour)
	if got := guess(t, g, sourceA, true); got != 0 || g.recent() != 1 {
		t.Errorf("set forward: %v, %d recent ones", got, g.recent())
	}
}

func TestGuessesAtOnce(t *testing.T) {
	o := DefaultOptions()
	o.MaxGuesses = 2
	g, _ := newTestGuesses(o)
	first, _, err := g.begin(sourceA)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := g.begin(sourceA); err != nil {
		t.Fatal(err)
	}
	_, _, err = g.begin(sourceA)
	mustRefuse(t, err, tooManyGuesses)
	if _, _, err := g.begin(sourceB); err != nil {
		t.Error(err)
	}
	g.end(first, false)
	if _, _, err := g.begin(sourceA); err != nil {
		t.Error(err)
	}
}

// The table of sources is bounded. Sources beyond it share one record, and
// make room when what is known of the others says nothing any more.
func TestGuessTableFull(t *testing.T) {
	g, c := newTestGuesses(DefaultOptions())
	source := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
	}
	for i := range maxGuessSources + 100 {
		guess(t, g, source(i), true)
	}
	if n := len(g.sources); n > maxGuessSources+1 {
		t.Errorf("%d sources are known", n)
	}
	if got := guess(t, g, source(1<<20), false); got != 3*time.Second {
		t.Errorf("one more source pays %v", got)
	}
	c.t = c.t.Add(time.Hour)
	if got := guess(t, g, source(1<<20), false); got != 0 {
		t.Errorf("an hour later it pays %v", got)
	}
	if n := len(g.sources); n > 2 {
		t.Errorf("an hour later %d sources are known", n)
	}
}

// Wrong tokens of all sources are counted for one to two hours.
func TestRecentGuesses(t *testing.T) {
	g, c := newTestGuesses(DefaultOptions())
	at := func(after time.Duration, want int) {
		t.Helper()
		c.t = c.t.Add(after)
		if got := g.recent(); got != want {
			t.Errorf("%d recent ones, want %d", got, want)
		}
	}
	guess(t, g, sourceA, true)
	guess(t, g, sourceB, true)
	guess(t, g, sourceB, false)
	at(0, 2)
	at(59*time.Minute, 2)
	at(2*time.Minute, 2)
	guess(t, g, sourceA, true)
	at(0, 3)
	at(time.Hour, 1)
	at(time.Hour, 0)
	guess(t, g, sourceA, true)
	at(5*time.Hour, 0)
}

func TestSourceOf(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7:22":                   "192.0.2.7/32",
		"[::ffff:192.0.2.7]:22":          "192.0.2.7/32",
		"[2001:db8:1:2:3:4:5:6]:22":      "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::1%eth0]:22": "2001:db8:1:2::/64",
		"[2001:db8:1:3::1]:22":           "2001:db8:1:3::/64",
		"pipe":                           "invalid Prefix",
	} {
		if got := sourceOf(address(addr)).String(); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	if got := sourceOf(nil); got.IsValid() {
		t.Errorf("no address: %v", got)
	}
	if got := sourceOf(&net.TCPAddr{IP: net.ParseIP("192.0.2.7"), Port: 1}); got.String() != "192.0.2.7/32" {
		t.Errorf("%v", got)
	}
}

type address string

func (address) Network() string  { return "test" }
func (a address) String() string { return string(a) }
