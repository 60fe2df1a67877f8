package session

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"aig/internal/intake"
	"aig/internal/wire"
)

// phase is a point of the conversation, and how a peer gets there honestly.
type phase struct {
	name  string
	reach func(l *liar)
	waits string // what we wait for there
	lie   tale   // with the options of our side
}

// phases returns the points at which we wait for a peer.
func (v *victims) phases(announced string) []phase {
	holds := func(context.Context, Offer) (*intake.Store, error) { return v.store, nil }
	return []phase{
		{"hello", func(l *liar) {}, "the peer's hello", tale{}},
		{"references", func(l *liar) {
			l.hello(5, "agent", "refs 100000\nagent")
		}, "the peer's references", tale{}},
		{"references, to a side that holds", func(l *liar) {
			l.hello(5, "agent", "refs 100000\nagent")
		}, "the peer's references", tale{hold: holds, direction: wire.Pull}},
		{"look", func(l *liar) {
			l.hello(0, "agent", "hold 1\nagent", "both", "pull", "sha1", "any")
		}, "the peer to look at our references", tale{}},
		{"leave", func(l *liar) {
			l.hello(0, "agent", "hold 1\nagent", "both", "pull", "sha1", "any")
			l.say(wire.TypeLeave)
		}, "the peer's goodbye", tale{}},
		{"negotiation", func(l *liar) { l.hello(1000) }, "the peer's part of the negotiation", tale{}},
		{"packs", func(l *liar) { l.give(announced) }, "the peer's packs", tale{}},
		{"verdict", func(l *liar) {
			l.common()
			l.until(wire.TypePackEnd)
		}, "the peer to store what it was sent", tale{}},
		{"goodbye", func(l *liar) {
			l.common(v.names()...)
			l.say(wire.TypeDone, count(0))
			for !l.done && l.next().Type != 0 {
			}
		}, "the peer's goodbye", tale{}},
	}
}

// at returns the lie of doing something at a point of the conversation.
func (p phase) at(what string, do func(l *liar), want string) tale {
	lie := p.lie
	lie.name = p.name + ": " + what
	lie.tell = func(l *liar) {
		p.reach(l)
		do(l)
	}
	lie.want = want
	return lie
}

// In every phase: something that is no message, a message that isn't due, one that is cut short, an end of the pipe, and a peer
// that gives up with a text that must not be shown raw.
func TestTortureLiarsOrder(t *testing.T) {
	v := newVictims(t, 20)
	due := map[string]string{ // the messages that are due there, apart from A and X; other tests send malformed ones
		"hello": "H", "references": "F", "references, to a side that holds": "F", "look": "GQ", "leave": "B", "negotiation": "YLM",
		"packs": "YCUNPpdOSRDB", "verdict": "YCUNPpdOSRDB", "goodbye": "YCUNPpdOSRDB",
	}
	filled := map[string]string{"look": "Q", "leave": "B", "packs": "dB", "goodbye": "dB"} // messages that must not have a body
	var lies []tale
	for _, p := range v.phases(newStock(t).names[0]) {
		raw := func(what, s, want string) {
			lies = append(lies, p.at(what, func(l *liar) {
				l.raw(s)
				l.conn.CloseWrite()
			}, want))
		}
		raw("the end", "", "the pipe ended while waiting for "+p.waits)
		raw("a cut length", "00", "the pipe ended while waiting for "+p.waits)
		raw("a cut message", "fff0P", "the pipe ended while waiting for "+p.waits)
		raw("a flush", "0000", `something that is not a frame: "0000"`)
		raw("a length of 2^16-1", "ffffP", `something that is not a frame: "ffff"`)
		raw("an escape", esc, `something that is not a frame: "\x1b[2J"`)
		raw("an error of git's", "0010ERR "+esc[:8], "of type 'E' where")
		raw("a sign of life that says more", "0006A\x01", "1 bytes of body in a message that has none")
		raw("giving up with an escape", "000fX"+esc[:10], `the peer gave up: "\x1b[2J\r\n\x00`)
		raw("giving up with 1,024 bytes", "0405X"+strings.Repeat("\x1b", 1024), `the peer gave up: "\x1b`)
		raw("giving up with 1,025 bytes", "0406X"+strings.Repeat("\x1b", 1025), "a text of 1025 bytes")
		for _, typ := range []byte("HFGQYLMCUNPpdOSRDBE\x00\n\x1b\x7f\x80\xff") {
			if strings.IndexByte(due[p.name], typ) >= 0 {
				continue
			}
			body := []byte("x")
			if strings.IndexByte("QBd", typ) >= 0 { // which have none
				body = nil
			}
			// In one lie, only the first of them would be tested.
			lies = append(lies, p.at("a message of type "+strconv.QuoteRune(rune(typ)), func(l *liar) {
				l.say(wire.Type(typ), body)
				l.conn.CloseWrite()
			}, "the peer sent a message of type"))
		}
		if p.name == "packs" {
			raw("an empty part of a pack", "0005P", "sent an empty part of a pack")
		}
		for _, typ := range filled[p.name] {
			raw(fmt.Sprintf("a message of type %c with a body", typ), fmt.Sprintf("0006%cx", typ), "1 bytes of body in a message that has none")
		}
	}
	v.tellAll(t, "no message, no message of the phase, an end, a text", lies)
}
