package session

import (
	"fmt"
	"testing"
	"time"

	"aig/internal/ref"
	"aig/internal/watchdog"
	"aig/internal/wire"
)

const liePatience = watchdog.Patience * lieTimeout

// In every phase: a peer that falls silent, that sends a byte a second inside of a message, that says for ever that it is
// there or busy, or that sends what is due in the smallest steps, is given up after the time that is documented.
func TestTortureLiarsTime(t *testing.T) {
	v := newVictims(t, 300)
	var lies []tale
	for _, p := range v.phases(newStock(t).names[0]) {
		lies = append(lies, p.at("silence", func(l *liar) {}, "nothing came from the peer for 1m0s while waiting for "+p.waits))
		lies = append(lies, p.at("a byte a second", func(l *liar) {
			l.raw("fff0P")
			l.every(time.Second, func() error {
				_, err := l.conn.Write([]byte("x"))
				return err
			})
		}, "bytes came from the peer in 1m0s while waiting for "+p.waits))
		for body, what := range []string{"alive for ever", "busy for ever"} {
			lie := p.at(what, func(l *liar) {
				l.every(10*time.Second, func() error { return l.out.Write(wire.TypeAlive, []byte{1}[:body]) })
			}, "the peer is there but has not got on for 1h0m0s, while waiting for "+p.waits)
			lie.within = liePatience
			lies = append(lies, lie)
		}
	}
	steps := func(p phase, what string, t wire.Type, body func(i int) []byte) {
		i := 0
		lie := p.at(what, func(l *liar) {
			l.every(lieTimeout/2, func() error {
				i++
				return l.out.Write(t, body(i))
			})
		}, "the peer is there but has not got on for 1h0m0s, while waiting for "+p.waits)
		lie.within = liePatience
		lies = append(lies, lie)
	}
	for _, p := range v.phases("") {
		switch p.name {
		case "references", "references, to a side that holds":
			steps(p, "a reference at a time", wire.TypeRefs, func(i int) []byte { return fmt.Appendf(nil, "%040d r%d\n", i, i) })
		case "negotiation":
			p.reach = func(l *liar) { l.hello(1 << 20) }
			steps(p, "a name at a time", wire.TypeList, func(i int) []byte { return count(uint64(i)) })
		}
	}
	v.tellAll(t, "silence, single bytes, busy for ever, small steps", lies)
}

// A peer that never reads is given up when nothing has moved for the timeout, whatever it sends meanwhile; if it says that
// it does read, after sixty times that. So it is with what waits in all of the phases for a peer to read it: our
// references here, since it must be more than SSH's window of two MiB.
func TestTortureLiarsNeverRead(t *testing.T) {
	v := newVictims(t, 20)
	var refs []ref.Ref
	for i := range 40000 {
		refs = append(refs, ref.Ref{OID: fmt.Sprintf("%040d", i), Name: fmt.Sprintf("refs/heads/%0100d", i)})
	}
	taken := "the peer took nothing of what it was sent for 1m0s while waiting for"
	var lies []tale
	add := func(name, want string, within time.Duration, tell func(l *liar)) {
		lies = append(lies, tale{name: name, want: want, within: within, refs: refs, tell: func(l *liar) {
			l.mute = true
			tell(l)
		}})
	}
	forever := func(pause time.Duration, t wire.Type, body []byte) func(*liar) {
		return func(l *liar) {
			l.every(pause, func() error { return l.out.Write(t, body) })
		}
	}
	waiting := "while waiting for the peer's part of the negotiation" // whichever of the two waits ends first
	add("and is silent", waiting, 0, func(l *liar) { l.hello(5) })
	add("and is alive", taken, 0, func(l *liar) {
		l.hello(5)
		forever(time.Second, wire.TypeAlive, nil)(l)
	})
	add("and is busy", waiting, liePatience, func(l *liar) {
		l.hello(5)
		forever(time.Second, wire.TypeAlive, []byte{1})(l)
	})
	add("and sends what is due", taken, 0, func(l *liar) {
		l.hello(1 << 20)
		forever(time.Second, wire.TypeList, count(7777))(l)
	})
	add("and says hello for ever", "of type 'H'", 0, func(l *liar) {
		forever(time.Second, wire.TypeHello, []byte("versions 1 1\nobject-format sha1\ndirection both\nobjects 5\nagent x\n"))(l)
	})
	v.tellAll(t, "never reads", lies)
}
