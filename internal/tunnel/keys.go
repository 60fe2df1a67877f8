package tunnel

import (
	"errors"
	"sync"
)

var errKeysTwice = errors.New("it began a second key exchange before it could have seen the outcome of the first")

const (
	// keysWrites is how often x/crypto/ssh writes until its new keys are out: version, offer of algorithms, its part of
	// the exchange, new keys.
	keysWrites = 4

	// smallWrite is more than it writes at once from there until it has looked at the outcome, in bytes: 308 at most. An
	// offer of algorithms has 640 or more.
	smallWrite = 512
)

// firstKeys keeps x/crypto/ssh from offering its algorithms a second time, because the peer has begun another key exchange,
// before it has looked at the outcome of the first: where the second one cannot succeed, it finds none, which is a nil
// pointer and ends the process (v0.58.0). Anybody on the pipe could do that, without a key.
type firstKeys struct {
	role Role

	mu     sync.Mutex
	writes int
	looked bool
}

// refuses tells whether x/crypto/ssh may not write so many bytes now.
func (f *firstKeys) refuses(n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes++
	switch {
	case f.looked || f.writes <= keysWrites:
		return false
	case n > smallWrite:
		return true
	}
	// A client asks for authentication next, and has looked by then. A server may have to say something else before.
	f.looked = f.role == Client
	return false
}

// lookedAt says that the outcome has been looked at.
func (f *firstKeys) lookedAt() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looked = true
}
