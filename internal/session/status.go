package session

import (
	"slices"
	"sync"
)

// Progress is how far a conversation has come.
type Progress struct {
	Phase     string // what we are doing, or else waiting for, in words
	Give      uint64 // objects that the peer gets, once known
	Given     uint64 // how many of them it has stored
	Want      uint64 // objects that we get, once known
	Got       uint64 // how many of them we have stored
	BytesOut  uint64 // of packs
	BytesIn   uint64
	Exchanges bool // Give and Want are known
}

// Status holds the Progress of a conversation, for other goroutines to look at. The zero value is ready to use.
type Status struct {
	// Tell, if not nil, is called with each phase as it begins.
	Tell func(phase string)

	mu    sync.Mutex
	p     Progress
	doing []string // our own work under way
}

// Progress returns the current progress.
func (s *Status) Progress() Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.p
	if n := len(s.doing); n > 0 {
		p.Phase = s.doing[n-1]
	}
	return p
}

// Phase names what we do or wait for from now on.
func (s *Status) Phase(name string) {
	begun := false
	s.update(func(p *Progress) { begun, p.Phase = p.Phase != name, name })
	if begun && s.Tell != nil {
		s.Tell(name)
	}
}

// do names some work of ours until done is called. It takes precedence over the phase: while we work, we don't wait.
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
