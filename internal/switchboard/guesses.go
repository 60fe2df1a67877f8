package switchboard

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// freeGuesses are the wrong tokens that cost a source nothing: people
	// mistype.
	freeGuesses = 3

	// firstGuessDelay is what the next one costs; each further one costs
	// twice as much as the one before, up to Options.GuessDelay.
	firstGuessDelay = 100 * time.Millisecond

	// guessHalfLife is the time in which half of a source's wrong tokens are
	// forgotten.
	guessHalfLife = time.Minute

	// maxGuessSources bounds the table of sources. When it is full, sources
	// not in it share one record.
	maxGuessSources = 1 << 14

	// guessWindow is the length of one of the two windows in which wrong
	// tokens of all sources are counted; see recent.
	guessWindow = time.Hour
)

// sourceOf returns whom a limit "per source" counts: an IPv4 address, or the
// /64 of an IPv6 address, since that is what one customer gets. Addresses
// that are no IP addresses are all the same source.
func sourceOf(addr net.Addr) netip.Prefix {
	if addr == nil {
		return netip.Prefix{}
	}
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Prefix{}
	}
	ip := ap.Addr().Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

// guesses makes guessing tokens slow: the more wrong ones a source has named,
// the longer it waits before its next one is looked up, whether that one is
// right or wrong, so that nothing is learnt by not waiting.
type guesses struct {
	delay      time.Duration // the longest delay
	maxPending int           // guesses of one source under way
	now        func() time.Time

	mu      sync.Mutex
	sources map[netip.Prefix]*guesser
	swept   time.Time // when the table was last searched for what can be forgotten

	window   time.Time // when the present window began
	inWindow int       // wrong tokens in it
	before   int       // and in the one before
}

// guesser is the record of one source.
type guesser struct {
	wrong   int
	pending int
	last    time.Time // of the last wrong token, or of the last halving
}

func newGuesses(o *Options, now func() time.Time) *guesses {
	return &guesses{
		delay:      o.GuessDelay,
		maxPending: o.MaxGuesses,
		now:        now,
		sources:    make(map[netip.Prefix]*guesser),
		window:     now(),
	}
}

// begin announces a guess and returns how long it has to wait. Those under way
// count as wrong until it is known, or many at once would all be free. Unless
// it returns an error, end follows with the same record.
func (g *guesses) begin(source netip.Prefix) (*guesser, time.Duration, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.record(source)
	delay := g.delayAfter(r.wrong + r.pending)
	if r.pending >= g.maxPending {
		return nil, 0, &refusal{tooManyGuesses,
			fmt.Sprintf("too many tokens from your address are being looked up; try again in %v", max(delay, time.Second))}
	}
	r.pending++
	return r, delay, nil
}

// end tells what became of a guess.
func (g *guesses) end(r *guesser, wrong bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.pending--
	if wrong {
		g.forget(r)
		r.wrong++
		r.last = g.now()
		g.turn()
		g.inWindow++
	}
}

// recent returns the number of wrong tokens, of all sources, in the last one
// to two hours.
func (g *guesses) recent() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn()
	return g.before + g.inWindow
}

// turn begins a new window if it is time. It needs g.mu.
func (g *guesses) turn() {
	switch age := g.now().Sub(g.window); {
	case age >= 2*guessWindow:
		g.before, g.inWindow = 0, 0
		g.window = g.now()
	case age >= guessWindow:
		g.before, g.inWindow = g.inWindow, 0
		g.window = g.window.Add(guessWindow)
	}
}

func (g *guesses) delayAfter(wrong int) time.Duration {
	if wrong < freeGuesses {
		return 0
	}
	shift := min(wrong-freeGuesses, 20)
	return min(firstGuessDelay<<shift, g.delay)
}

// record returns the record of a source, with what it may forget forgotten.
// It needs g.mu.
func (g *guesses) record(source netip.Prefix) *guesser {
	r := g.sources[source]
	if r == nil && len(g.sources) >= maxGuessSources {
		g.sweep()
		if len(g.sources) >= maxGuessSources {
			source = netip.Prefix{}
			r = g.sources[source]
		}
	}
	if r == nil {
		r = &guesser{last: g.now()}
		g.sources[source] = r
	}
	g.forget(r)
	return r
}

// sweep drops the records that say nothing any more, at most once a second.
func (g *guesses) sweep() {
	if now := g.now(); now.Sub(g.swept) >= time.Second {
		g.swept = now
		for source, r := range g.sources {
			if g.forget(r); r.wrong == 0 && r.pending == 0 {
				delete(g.sources, source)
			}
		}
	}
}

func (g *guesses) forget(r *guesser) {
	if n := g.now().Sub(r.last) / guessHalfLife; n > 0 {
		r.wrong >>= min(uint(n), 63)
		r.last = r.last.Add(n * guessHalfLife)
	}
}
