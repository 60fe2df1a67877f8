package session

import (
	"slices"
	"sync"
)

// Progress is how far a conversation has come.
type Progress struct {
	Phase     string // what is being done, or else waited for, in words
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
	// Tell, if not nil, is called with whatever is begun.
	Tell func(phase string)

	mu    sync.Mutex
	p     Progress
	doing []string // what of ours is under way
}

// Progress is the latest.
func (s *Status) Progress() Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.p
	if n := len(s.doing); n > 0 {
		p.Phase = s.doing[n-1]
	}
	return p
}

// Phase names what is done or waited for from now on.
func (s *Status) Phase(name string) {
	begun := false
	s.update(func(p *Progress) { begun, p.Phase = p.Phase != name, name })
	if begun && s.Tell != nil {
		s.Tell(name)
	}
}

// do names what we do besides, until the function that it returns is called: while we work ourselves, we don't wait.
func (s *Status) do(name string) (done func()) {
	s.mu.Lock()
	s.doing = append(s.doing, name)
	s.mu.Unlock()
	if s.Tell != nil {
		s.Tell(name)
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		at := slices.Index(s.doing, name)
		s.doing = slices.Delete(s.doing, at, at+1)
	}
}

func (s *Status) update(change func(*Progress)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.p)
}
