package sshguard

import "sync"

const (
	// keysWrites is how often x/crypto/ssh writes until its new keys are out: version, offer of algorithms, its part of
	// the exchange, new keys.
	keysWrites = 4

	// smallWrite is more than it writes at once from there until it has looked at the outcome, in bytes: 308 at most. An
	// offer of algorithms has 640 or more.
	smallWrite = 512
)

// FirstKeys keeps x/crypto/ssh from offering its algorithms a second time, because the other side has begun another key
// exchange, before it has looked at the outcome of the first: where the second one cannot succeed, it finds none, which is a
// nil pointer and ends the process (v0.58.0). Anybody could do that, without a key. There is one for each connection.
type FirstKeys struct {
	// Client is set where x/crypto/ssh is the client of the connection. It asks for authentication next, and has looked by
	// then; a server may have to say something else before.
	Client bool

	mu     sync.Mutex
	writes int
	looked bool
}

// Refuses returns whether x/crypto/ssh must not write so many bytes now: the connection has to be closed instead. It is called
// once for each write.
func (f *FirstKeys) Refuses(n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes++
	switch {
	case f.looked || f.writes <= keysWrites:
		return false
	case n > smallWrite:
		return true
	}
	f.looked = f.Client
	return false
}

// LookedAt says that a server has looked at the outcome: it is called from its PreAuthConnCallback.
func (f *FirstKeys) LookedAt() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looked = true
}
