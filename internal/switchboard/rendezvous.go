package switchboard

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// spentTokens is how many used tokens are remembered and not given out again, so that a token noted on paper does not soon
// lead to strangers.
const spentTokens = 4096

// Rendezvous is where sides find each other. A side waits from New or Meet to the first of Take, Meet and Cancel that ends
// its wait: it is joined once or not at all.
type Rendezvous interface {
	// New lets a side wait under a new token.
	New(side Side) (*Wait, error)

	// Take ends the wait under a token. It returns nil if nobody waits there.
	Take(token string) *Wait

	// Meet ends the wait of a meeting's other side, or lets this one wait for it: joined tells which. One that waits as the
	// same side is replaced.
	Meet(name, letter string, side Side) (w *Wait, joined bool)

	// Cancel ends a wait for which nobody has come. It returns false if somebody has, or has replaced it: Joined or Replaced
	// is closed then.
	Cancel(w *Wait) bool
}

// Wait is a side that waits.
type Wait struct {
	Token    string // empty in a meeting
	Side     Side
	Joined   chan struct{} // closed when somebody has come: whoever has, carries the link
	Replaced chan struct{} // closed when a newer session has taken the place of this one

	key waitKey
}

// waitKey is where a side waits: under a token, or as one side of a meeting.
type waitKey struct{ name, letter string }

// memoryRendezvous is a Rendezvous in memory. It does no input or output.
type memoryRendezvous struct {
	digits int // least length of a token
	random io.Reader

	mu      sync.Mutex
	waiting map[waitKey]*Wait
	tokens  int // of those who wait
	spent   map[string]bool
	order   []string // the spent tokens, oldest at next once it is full
	next    int
}

func newRendezvous(digits int, random io.Reader) *memoryRendezvous {
	return &memoryRendezvous{digits: digits, random: random, waiting: make(map[waitKey]*Wait), spent: make(map[string]bool)}
}

// New implements [Rendezvous].
func (r *memoryRendezvous) New(side Side) (*Wait, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	token, err := r.token(tokenDigits(r.digits, r.tokens+1))
	if err != nil {
		return nil, err
	}
	w := r.put(waitKey{name: token}, side)
	w.Token = token
	r.tokens++
	return w, nil
}

// Take implements [Rendezvous].
func (r *memoryRendezvous) Take(token string) *Wait {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.end(waitKey{name: token}, func(w *Wait) chan struct{} { return w.Joined })
}

// Meet implements [Rendezvous].
func (r *memoryRendezvous) Meet(name, letter string, side Side) (w *Wait, joined bool) {
	other := "a"
	if letter == "a" {
		other = "b"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end(waitKey{name, letter}, func(w *Wait) chan struct{} { return w.Replaced })
	if w := r.end(waitKey{name, other}, func(w *Wait) chan struct{} { return w.Joined }); w != nil {
		return w, true
	}
	return r.put(waitKey{name, letter}, side), false
}

// Cancel implements [Rendezvous].
func (r *memoryRendezvous) Cancel(w *Wait) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[w.key] != w {
		return false
	}
	r.drop(w)
	return true
}

// put needs r.mu.
func (r *memoryRendezvous) put(key waitKey, side Side) *Wait {
	w := &Wait{Side: side, Joined: make(chan struct{}), Replaced: make(chan struct{}), key: key}
	r.waiting[key] = w
	return w
}

// end ends a wait, if there is one under this key, and closes the channel that says how. It needs r.mu.
func (r *memoryRendezvous) end(key waitKey, how func(*Wait) chan struct{}) *Wait {
	w := r.waiting[key]
	if w != nil {
		r.drop(w)
		close(how(w))
	}
	return w
}

// drop needs r.mu.
func (r *memoryRendezvous) drop(w *Wait) {
	delete(r.waiting, w.key)
	if w.Token == "" {
		return
	}
	r.tokens--
	if len(r.order) < spentTokens {
		r.order = append(r.order, w.Token)
	} else {
		delete(r.spent, r.order[r.next])
		r.order[r.next] = w.Token
		r.next = (r.next + 1) % spentTokens
	}
	r.spent[w.Token] = true
}

// token draws tokens until one is neither waiting nor spent lately. Both together fill a small part of the space, so that a
// hundred draws in vain mean a broken source of randomness.
func (r *memoryRendezvous) token(digits int) (string, error) {
	for range 100 {
		var b [8]byte
		if _, err := io.ReadFull(r.random, b[:]); err != nil {
			return "", fmt.Errorf("drawing a token: %w", err)
		}
		token := fmt.Sprintf("%0*x", digits, binary.BigEndian.Uint64(b[:])>>(64-4*digits))
		if r.waiting[waitKey{name: token}] == nil && !r.spent[token] {
			return token, nil
		}
	}
	return "", fmt.Errorf("drawing a token: a hundred draws gave none that is free")
}

// tokenDigits returns the length of a token, in hexadecimal digits, when so many tokens wait together with it: at least
// least, and so many that
//
//	16^digits ≥ 2^20 · waiting
//
// So a guess hits one of those who wait with a chance of at most 2^-20, however many they are. Whoever hits is let in on a
// link whose ends then fail to recognise each other: a nuisance, not a way in.
func tokenDigits(least, waiting int) int {
	digits := least
	for digits < maxTokenDigits-1 && uint64(1)<<(4*digits-20) < uint64(waiting) {
		digits++
	}
	return digits
}
