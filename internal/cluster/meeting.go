package cluster

import (
	"cmp"
	"time"

	"aig/internal/switchboard"
)

// The two sides of a meeting may wait at different nodes. Then b goes to a's node, whichever came first; so both can ask for each
// other at the same moment, and as often as they like.
//
// Sessions with the same letter count turns: a new one takes the turn after the highest that it hears of, and replaces all with a
// lower one. The identifier decides between equal numbers, so that of several that come at once one is left.

const (
	// A subscription takes a while to reach every NATS server, so a meeting asks again every againTime until it is youngTime old.
	againTime = time.Second
	youngTime = 4 * againTime
)

// turn orders the sessions of one side of a meeting.
type turn struct {
	number uint64
	id     string
}

func (t turn) compare(other turn) int {
	return cmp.Or(cmp.Compare(t.number, other.number), cmp.Compare(t.id, other.id))
}

// Meet implements [switchboard.Rendezvous].
func (c *Cluster) Meet(key switchboard.Key, side switchboard.Side) (other, own *switchboard.Wait) {
	if other, own = c.memory.Meet(key, side); own != nil {
		c.askFor(c.hold(own))
	}
	return other, own
}

// askFor asks the other nodes for a meeting's other side, and tells older sessions of its own side that it has come.
func (c *Cluster) askFor(h *held) {
	c.mu.Lock()
	m := message{Address: c.address, Letter: h.wait.Key.Letter, Turn: h.turn.number, ID: h.turn.id}
	c.mu.Unlock()
	reply := c.inbox + h.subject
	c.publish(h.subject, reply, m)
	c.publish(c.seal.of(h.wait.Key.Other()), reply, m)
}

// met answers another node's askFor on behalf of h, which waits here.
func (c *Cluster) met(h *held, m message, reply string) {
	key := h.wait.Key
	c.mu.Lock()
	own := h.turn
	older := own.compare(turn{m.Turn, m.ID}) < 0
	if m.Letter == key.Letter && older {
		h.over = true
	}
	c.mu.Unlock()
	switch {
	case m.Letter == key.Letter && older:
		c.memory.Replace(h.wait)
	case m.Letter == key.Letter:
		c.publish(reply, "", message{Turn: own.number, ID: own.id})
	case key.Letter == "b":
		h.moveTo(m.Address)
	default:
		c.publish(reply, "", message{Address: c.address})
	}
}

// answered handles an answer to askFor.
func (c *Cluster) answered(subject string, m message) {
	c.mu.Lock()
	h := c.held[subject]
	newer := h != nil && m.Turn > 0 && !h.over && time.Since(h.wait.Since) < youngTime && h.turn.compare(turn{m.Turn, m.ID}) < 0
	if newer {
		h.turn.number = m.Turn + 1
	}
	c.mu.Unlock()
	switch {
	case newer:
		c.askFor(h)
	case h != nil && m.Address != "" && h.wait.Key.Letter == "b":
		h.moveTo(m.Address)
	}
}

// moveTo tells h at which node the other side waits.
func (h *held) moveTo(address string) {
	select {
	case h.wait.Elsewhere <- address:
	default: // it is on its way already
	}
}

// askAgain asks again for every meeting that has waited for less than younger.
func (c *Cluster) askAgain(younger time.Duration) {
	c.mu.Lock()
	var asking []*held
	for _, h := range c.held {
		if h.wait.Key.Letter != "" && time.Since(h.wait.Since) < younger {
			asking = append(asking, h)
		}
	}
	c.mu.Unlock()
	for _, h := range asking {
		c.askFor(h)
	}
}
