package switchboard

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Rendezvous is where sides find each other: [Memory], or one that also asks other nodes. A side waits from New or Meet until
// somebody takes it, a newer session replaces it, or it leaves: it is joined once or not at all.
type Rendezvous interface {
	// New lets a side wait under a new token.
	New(ctx context.Context, side Side) (*Wait, error)

	// Take looks up a token for a client with this address, and ends the wait under it if somebody waits here. If somebody waits at
	// another node, it returns that node's address.
	Take(ctx context.Context, token string, from net.Addr) (here *Wait, node string, err error)

	// Meet ends the wait of a meeting's other side, or lets this one wait for it: one of the two is nil. It replaces a session that
	// waits as the same side.
	Meet(key Key, side Side) (other, own *Wait)

	// Leave ends a wait, however it has ended: whoever waits calls it once. It returns false if somebody else ended it first; then
	// Ended is closed.
	Leave(w *Wait) bool
}

// Key is what a side waits under: a token, or a meeting's name and its own letter there.
type Key struct {
	Name   string
	Letter string // "a" or "b"; empty for a token
}

// Other returns the key of the side that k is joined to: a meeting's other side, or whoever waits under the token.
func (k Key) Other() Key {
	switch k.Letter {
	case "a":
		k.Letter = "b"
	case "b":
		k.Letter = "a"
	}
	return k
}

// Wait is a side that waits.
type Wait struct {
	Key       Key
	Side      Side
	Since     time.Time
	Ended     chan struct{} // closed when somebody has come to carry the link, or a newer session has
	Replaced  bool          // a newer session has taken the place of this one; set before Ended is closed
	Elsewhere chan string   // may get the address of the node where the meeting's other side waits: this one has to go there
}

// Memory is a [Rendezvous] of those who wait in this process. It does no I/O.
type Memory struct {
	digits  int // least length of a token
	random  io.Reader
	lookups *lookups

	mu      sync.Mutex
	waiting map[Key]*Wait
	tokens  int // how many sides wait under tokens
	others  int // the same at other nodes
}

// NewMemory returns a rendezvous that draws tokens of at least digits hexadecimal digits from random, and where one client may look
// up minutely of them a minute.
func NewMemory(digits, minutely int, random io.Reader) *Memory {
	return &Memory{digits: digits, random: random, lookups: newLookups(minutely, time.Now), waiting: make(map[Key]*Wait)}
}

// New implements [Rendezvous].
func (r *Memory) New(_ context.Context, side Side) (*Wait, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	token, err := r.token(tokenDigits(r.digits, r.tokens+r.others+1))
	if err != nil {
		return nil, err
	}
	r.tokens++
	return r.put(Key{Name: token}, side), nil
}

// Take implements [Rendezvous].
func (r *Memory) Take(_ context.Context, token string, from net.Addr) (here *Wait, node string, err error) {
	if !r.lookups.allow(from) {
		return nil, "", &refusal{tooManyLookups, "too many tokens have been tried from your address or network; try again in a minute"}
	}
	return r.claim(Key{Name: token}), "", nil
}

// Meet implements [Rendezvous].
func (r *Memory) Meet(key Key, side Side) (other, own *Wait) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end(r.waiting[key], true)
	if w := r.waiting[key.Other()]; r.end(w, false) {
		return w, nil
	}
	return nil, r.put(key, side)
}

// Leave implements [Rendezvous].
func (r *Memory) Leave(w *Wait) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.drop(w)
}

// claim ends the wait under a key, if there is one, for somebody who has come to carry the link.
func (r *Memory) claim(key Key) *Wait {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.waiting[key]; r.end(w, false) {
		return w
	}
	return nil
}

// Replace ends a wait for the sake of a newer session, unless it has ended.
func (r *Memory) Replace(w *Wait) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end(w, true)
}

// Charge counts a look-up that a client made at another node.
func (r *Memory) Charge(from net.Addr) { r.lookups.charge(from) }

// Tokens returns how many sides wait under tokens here, and notes how many do at other nodes: both decide the length of new tokens.
func (r *Memory) Tokens(others int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.others = others
	return r.tokens
}

// put needs r.mu.
func (r *Memory) put(key Key, side Side) *Wait {
	w := &Wait{Key: key, Side: side, Since: time.Now(), Ended: make(chan struct{}), Elsewhere: make(chan string, 1)}
	r.waiting[key] = w
	return w
}

// end ends a wait, noting whether a newer session replaced it, and returns false if w is nil or has ended. It needs r.mu.
func (r *Memory) end(w *Wait, replaced bool) bool {
	if w == nil || !r.drop(w) {
		return false
	}
	w.Replaced = replaced
	close(w.Ended)
	return true
}

// drop needs r.mu.
func (r *Memory) drop(w *Wait) bool {
	if r.waiting[w.Key] != w {
		return false
	}
	delete(r.waiting, w.Key)
	if w.Key.Letter == "" {
		r.tokens--
	}
	return true
}

// token draws tokens until nobody waits under one. So few of all tokens are taken that a hundred draws in vain mean a broken source
// of randomness. It needs r.mu.
func (r *Memory) token(digits int) (string, error) {
	for range 100 {
		var b [8]byte
		if _, err := io.ReadFull(r.random, b[:]); err != nil {
			return "", fmt.Errorf("drawing a token: %w", err)
		}
		token := fmt.Sprintf("%0*x", digits, binary.BigEndian.Uint64(b[:])>>(64-4*digits))
		if r.waiting[Key{Name: token}] == nil {
			return token, nil
		}
	}
	return "", fmt.Errorf("no free token in a hundred draws")
}

// tokenDigits returns the length of a new token, in hexadecimal digits, when waiting tokens are in use, itself included: at least
// least, and so many that
//
//	16^digits ≥ 2^20 · waiting
//
// So a guess, or a token that was used long ago, hits a waiting side with a chance of at most 2^-20, however many wait. Whoever
// hits gets a link whose ends then fail to authenticate each other: a nuisance, not a way in.
func tokenDigits(least, waiting int) int {
	digits := least
	for digits < maxTokenDigits-1 && uint64(1)<<(4*digits-20) < uint64(waiting) {
		digits++
	}
	return digits
}
