package session

import (
	"fmt"
	"time"

	"aig/internal/watchdog"
	"aig/internal/wire"
)

// stepBytes is how many bytes of small messages together are a step of the conversation.
const stepBytes = 16 << 10

// steps notices a peer that keeps a conversation going and never gets on with it: that says for ever that it is busy, or
// sends what is due by single bytes. Only the time counts in which the peer is waited for.
type steps struct {
	limit  time.Duration
	what   string // is waited for
	waited time.Duration
	bytes  int // of messages meanwhile
}

// waitFor says what is waited for now; something new means that there was a step.
func (p *steps) waitFor(what string) {
	if p.what != what {
		p.what = what
		p.reset()
	}
}

func (p *steps) reset() { p.waited, p.bytes = 0, 0 }

// saw takes note of a message that came after some time, and fails when the time is over.
func (p *steps) saw(f wire.Frame, waited time.Duration) error {
	p.waited += waited
	switch f.Type {
	case wire.TypeAlive:
	case wire.TypeHello, wire.TypeGo, wire.TypeLeave, wire.TypeCommon, wire.TypePackEnd, wire.TypeStored, wire.TypeRefused,
		wire.TypeDone, wire.TypeBye:
		p.reset()
	default:
		if p.bytes += len(f.Body) + 1; p.bytes >= stepBytes {
			p.reset()
		}
	}
	if p.waited >= p.limit {
		return fmt.Errorf("the peer is there but has not got on for %s, while waiting for %s: its side may be stuck",
			p.limit, p.what)
	}
	return nil
}

// patience is how long there may be no step.
func (o Options) patience() time.Duration {
	if o.Patience > 0 {
		return o.Patience
	}
	return watchdog.Patience * o.Timeout
}
