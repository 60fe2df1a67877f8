package switchboard

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
)

// spentTokens is how many used tokens are remembered and not given out again,
// so that a token noted on paper does not soon lead to strangers.
const spentTokens = 4096

// rendezvous is the table of those who wait. It does no input or output.
//
// A token stands in the table from add to the first of take and remove; both
// are atomic, so that a side is linked once or not at all.
type rendezvous struct {
	maxWaiting        int // sides that wait, in all
	maxPerSource      int // and from one source
	maxLinks          int // links at the same time, in all
	maxLinksPerSource int // and with a side of one source
	digits            int // least length of a token
	random            io.Reader

	mu        sync.Mutex
	waiting   map[string]*waiter
	perSource map[netip.Prefix]int // of those who wait
	links     int
	linked    map[netip.Prefix]int // links that have a side of this source
	spent     map[string]bool
	order     []string // the spent tokens, oldest at next once it is full
	next      int
}

// waiter is a side that waits under a token, or for a meeting.
type waiter struct {
	key      string // the token, or the meeting's name, a blank and the side's letter
	source   netip.Prefix
	session  Side
	matched  chan struct{} // closed by the session that has joined this one
	replaced chan struct{} // closed when another session has taken this one's place
}

func newRendezvous(o *Options, random io.Reader) *rendezvous {
	return &rendezvous{
		maxWaiting:        o.MaxWaiting,
		maxPerSource:      o.MaxWaitingPerSource,
		maxLinks:          o.MaxLinks,
		maxLinksPerSource: o.MaxLinksPerSource,
		digits:            o.TokenDigits,
		random:            random,
		waiting:           make(map[string]*waiter),
		perSource:         make(map[netip.Prefix]int),
		linked:            make(map[netip.Prefix]int),
		spent:             make(map[string]bool),
	}
}

// add puts a side into the table under a new token. The number of wrong
// tokens seen lately decides on the token's length; see tokenDigits.
func (r *rendezvous) add(s Side, source netip.Prefix, wrong int) (*waiter, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.hasRoom(source); err != nil {
		return nil, err
	}
	token, err := r.token(tokenDigits(r.digits, len(r.waiting), wrong))
	if err != nil {
		return nil, err
	}
	return r.put(token, s, source), nil
}

// take ends the wait of the side under this token, for a link of it and the
// caller, who comes from this source; release follows when that link has ended.
// A link too many is refused before the token is spent.
func (r *rendezvous) take(token string, source netip.Prefix) (*waiter, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.waiting[token]
	if w == nil {
		return nil, &refusal{wrongToken, "nobody is waiting under this token; each works once, and \"new\" gives one"}
	}
	if err := r.reserve(w, source, "the token is still good, try again later"); err != nil {
		return nil, err
	}
	r.drop(w)
	r.spend(token)
	return w, nil
}

// meet is take if the other side of a meeting waits already, and add, under no
// token, if not: joined says which. A session that waits as the same side has
// lost its place.
func (r *rendezvous) meet(name, letter string, s Side, source netip.Prefix) (w *waiter, joined bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.waiting[name+" "+letter]; old != nil {
		r.drop(old)
		close(old.replaced)
	}
	other := "a"
	if letter == "a" {
		other = "b"
	}
	if w := r.waiting[name+" "+other]; w != nil {
		if err := r.reserve(w, source, "try again later"); err != nil {
			return nil, false, err
		}
		r.drop(w)
		return w, true, nil
	}
	if err := r.hasRoom(source); err != nil {
		return nil, false, err
	}
	return r.put(name+" "+letter, s, source), false, nil
}

// hasRoom tells whether one more from this source may wait. It needs r.mu.
func (r *rendezvous) hasRoom(source netip.Prefix) error {
	if len(r.waiting) >= r.maxWaiting {
		return &refusal{tooManyWaiting, "too many are waiting here already; try again later"}
	}
	if r.perSource[source] >= r.maxPerSource {
		return &refusal{tooManyOfSource, "too many from your address are waiting already; try again later"}
	}
	return nil
}

// put needs r.mu.
func (r *rendezvous) put(key string, s Side, source netip.Prefix) *waiter {
	w := &waiter{key: key, source: source, session: s, matched: make(chan struct{}), replaced: make(chan struct{})}
	r.waiting[key] = w
	r.perSource[source]++
	return w
}

// reserve counts a link of w and a side from this source. It needs r.mu.
func (r *rendezvous) reserve(w *waiter, source netip.Prefix, advice string) error {
	if r.links >= r.maxLinks {
		return &refusal{tooManyLinks, "too many links are running; " + advice}
	}
	sides := sidesOf(w, source)
	for _, side := range sides {
		if r.linked[side] >= r.maxLinksPerSource {
			return &refusal{tooManyLinksOfSource, "too many links of your address, or of the other side's, are running; " + advice}
		}
	}
	r.links++
	for _, side := range sides {
		r.linked[side]++
	}
	return nil
}

// release gives the places of a link back.
func (r *rendezvous) release(w *waiter, source netip.Prefix) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.links--
	for _, side := range sidesOf(w, source) {
		if r.linked[side]--; r.linked[side] == 0 {
			delete(r.linked, side)
		}
	}
}

// sidesOf returns the sources of the two sides of a link, once if they are the
// same.
func sidesOf(w *waiter, source netip.Prefix) []netip.Prefix {
	if w.source == source {
		return []netip.Prefix{source}
	}
	return []netip.Prefix{w.source, source}
}

// remove ends a wait without a link. It returns false if somebody was faster:
// w.matched or w.replaced is closed then, or will be at once.
func (r *rendezvous) remove(w *waiter) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[w.key] != w {
		return false
	}
	r.drop(w)
	if !strings.Contains(w.key, " ") {
		r.spend(w.key)
	}
	return true
}

// drop needs r.mu.
func (r *rendezvous) drop(w *waiter) {
	delete(r.waiting, w.key)
	if r.perSource[w.source]--; r.perSource[w.source] == 0 {
		delete(r.perSource, w.source)
	}
}

// spend needs r.mu.
func (r *rendezvous) spend(token string) {
	if len(r.order) < spentTokens {
		r.order = append(r.order, token)
	} else {
		delete(r.spent, r.order[r.next])
		r.order[r.next] = token
		r.next = (r.next + 1) % spentTokens
	}
	r.spent[token] = true
}

// token draws tokens until one is neither waiting nor spent lately. Both
// together fill a small part of the space, see tokenDigits, so that a hundred
// draws in vain mean a broken source of randomness.
func (r *rendezvous) token(digits int) (string, error) {
	for range 100 {
		var b [8]byte
		if _, err := io.ReadFull(r.random, b[:]); err != nil {
			return "", fmt.Errorf("drawing a token: %w", err)
		}
		token := fmt.Sprintf("%0*x", digits, binary.BigEndian.Uint64(b[:])>>(64-4*digits))
		if r.waiting[token] == nil && !r.spent[token] {
			return token, nil
		}
	}
	return "", fmt.Errorf("drawing a token: a hundred draws gave none that is free")
}

// tokenDigits returns the length of the next token, in hexadecimal digits: at
// least least, and so many that
//
//	16^digits ≥ 2^12 · (waiting + 1) · (wrong + 16)
//
// where waiting is the number of other sides that wait and wrong the number
// of wrong tokens seen in the last one to two hours. So among tokens of this
// length, as many guesses again as were just seen hit any of the waiting
// sides with a chance below 1 in 4,096; with nobody guessing, a single guess
// hits with a chance below 1 in 65,536. Whoever hits is let in on a link whose
// ends then fail to recognise each other: a nuisance, not a way in.
func tokenDigits(least, waiting, wrong int) int {
	const most = 1 << 24 // keeps the product below 2^60
	need := uint64(1) << 12 * uint64(min(waiting, most)+1) * uint64(min(wrong, most)+16)
	digits := least
	for digits < maxTokenDigits-1 && uint64(1)<<(4*digits) < need {
		digits++
	}
	return digits
}
