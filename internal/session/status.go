package session

import "sync"

// Progress is how far a conversation has come.
type Progress struct {
	Phase     string // what is being waited for, in words
	Give      uint64 // objects that the peer gets, once known
	Given     uint64 // of which it has stored so many
	Want      uint64 // objects that we get, once known
	Got       uint64 // of which we have stored so many
	BytesOut  uint64 // of packs
	BytesIn   uint64
	Exchanges bool // Give and Want are known
}

// Status is a place where a conversation leaves its Progress for whoever looks. The zero value is ready.
type Status struct {
	mu sync.Mutex
	p  Progress
}

// Progress is the latest.
func (s *Status) Progress() Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.p
}

// Phase names what is being waited for now.
func (s *Status) Phase(name string) { s.update(func(p *Progress) { p.Phase = name }) }

func (s *Status) update(change func(*Progress)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.p)
}
