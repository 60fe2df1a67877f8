package session

import (
	"fmt"
	"testing"

	"aig/internal/ref"
)

// In every phase we give up a peer that falls silent at the timeout, within a message too, and the error says what we waited
// for.
func TestTortureLiarsTime(t *testing.T) {
	v := newVictims(t, 300)
	var lies []tale
	for _, p := range v.phases(newStock(t).names[0]) {
		want := "nothing came from the peer for 1m0s while waiting for " + p.waits
		lies = append(lies, p.at("silence", func(l *liar) {}, want), p.at("half a message", func(l *liar) { l.raw("fff0P") }, want))
	}
	v.tellAll(t, "silence", lies)
}

// We also give up a peer that neither reads nor says anything, though more waits for it than SSH's window of two MiB holds.
// If it only doesn't read, we go on reading: what it says is heard.
func TestTortureLiarsNeverRead(t *testing.T) {
	v := newVictims(t, 20)
	var refs []ref.Ref
	for i := range 40000 {
		refs = append(refs, ref.Ref{OID: fmt.Sprintf("%040d", i), Name: fmt.Sprintf("refs/heads/%0100d", i)})
	}
	unread := func(name, want string, tell func(l *liar)) tale {
		return tale{name: name, want: want, refs: refs, tell: func(l *liar) {
			l.mute = true
			tell(l)
		}}
	}
	v.tellAll(t, "never reads", []tale{
		unread("and is silent", "nothing came from the peer for 1m0s while waiting for the peer's part of the negotiation",
			func(l *liar) { l.hello(5) }),
		unread("and says hello again", "of type 'H'", func(l *liar) {
			l.hello(5)
			l.hello(5)
		}),
		unread("and is silent where we hold", "nothing came from the peer for 1m0s while waiting for", func(l *liar) {
			l.hello(0, "object-format sha1", "object-format any", "direction both", "direction pull\nhold 1")
		}),
	})
}
