package switchboard

import "time"

// Observer is told what happens, by several goroutines at once. Nothing of it names a client, a token or a key.
type Observer interface {
	Refused(reason string)                                     // somebody was refused or cut off, for a reason as in the log
	Handshake(took time.Duration)                              // a client's SSH handshake has succeeded
	LookedUp(found bool)                                       // somebody has tried a token
	LinkEnded(how string, there, back int64, at time.Duration) // bytes from the side that waited, and to it
	Evicted(from string, crowd int)                            // one of so many of a network had to go from "connections", "waiting" or "links"
}

// nobody is an Observer that isn't one.
type nobody struct{}

func (nobody) Refused(string)                                {}
func (nobody) Handshake(time.Duration)                       {}
func (nobody) LookedUp(bool)                                 {}
func (nobody) LinkEnded(string, int64, int64, time.Duration) {}
func (nobody) Evicted(string, int)                           {}

// Held is how many there are of what is bounded.
type Held struct{ Connections, Waiting, Links int }

// Held returns how many there are now.
func (s *Server) Held() Held {
	return Held{Connections: s.connections.number(), Waiting: s.waiting.number(), Links: s.links.number()}
}
