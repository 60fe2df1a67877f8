package sshguard

import "sync"

const (
	// keysWrites is the number of writes that x/crypto/ssh makes up to SSH_MSG_NEWKEYS: version, SSH_MSG_KEXINIT, its part of the
	// key exchange, SSH_MSG_NEWKEYS.
	keysWrites = 4

	// smallWrite, in bytes, lies between its largest write from there until it reads the result, 308, and its smallest
	// SSH_MSG_KEXINIT, 640.
	smallWrite = 512
)

// FirstKeys keeps x/crypto/ssh from answering a second key exchange before it has read the result of the first. If the second
// cannot succeed, there is no result to read: x/crypto/ssh dereferences a nil pointer, which ends the process (v0.58.0). Anybody
// could do that, without a key. Each connection needs a FirstKeys of its own.
type FirstKeys struct {
	// Client is set if x/crypto/ssh is the client. It has read the result before it requests authentication, its next write; a
	// server may have to write something else first.
	Client bool

	mu     sync.Mutex
	writes int
	looked bool
}

// Refuses reports whether x/crypto/ssh must not write n bytes now: the connection must be closed instead. Call it once per write.
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

// LookedAt notes that a server has read the result. Call it from PreAuthConnCallback.
func (f *FirstKeys) LookedAt() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looked = true
}
