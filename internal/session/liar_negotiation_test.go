package session

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"aig/internal/intake"
	"aig/internal/reconcile"
	"aig/internal/wire"
)

// symbols says hello with that many objects and returns as much of our first block of symbols as comes in one frame.
func (l *liar) symbols(objects int) []byte {
	l.hello(objects)
	f, _ := l.until(wire.TypeSymbols)
	return f.Body
}

// Sizes of symbols in bytes, with and without a count.
const counted, plain = 18, 16

// A peer lies in a negotiation by lists: both sides have few objects.
func TestTortureLiarsLists(t *testing.T) {
	v := newVictims(t, 20)
	v.repo.Git("config", "aig.maxMemory", "1g")
	v.open(v.repo)
	shorts := func(l *liar, n int) []byte {
		f, _ := l.until(wire.TypeList)
		return f.Body[:min(len(f.Body), 8*n)]
	}
	entry := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	v.tellAll(t, "lies about lists", []tale{
		{name: "symbols where the list is due", tell: func(l *liar) {
			l.hello(3)
			l.say(wire.TypeSymbols, make([]byte, counted))
		}, want: "symbols where the list is due"},
		{name: "an empty list", tell: func(l *liar) {
			l.hello(3)
			l.say(wire.TypeList)
		}, want: "malformed batch"},
		{name: "a list of nine bytes", tell: func(l *liar) {
			l.hello(3)
			l.say(wire.TypeList, make([]byte, 9))
		}, want: "malformed batch"},
		{name: "more names than announced", tell: func(l *liar) {
			l.hello(3)
			l.say(wire.TypeList, entry(1), entry(2), entry(3), entry(4))
		}, want: "longer than the 3 names announced"},
		{name: "a name twice", tell: func(l *liar) {
			l.hello(3)
			l.say(wire.TypeList, entry(1), entry(2), entry(1))
		}, want: "a name twice"},
		{name: "one of ours twice", tell: func(l *liar) {
			l.hello(3)
			s := shorts(l, 1)
			l.say(wire.TypeList, s, entry(1), s)
		}, want: "a name twice"},
		{name: "2^31-1 objects", tell: func(l *liar) { l.hello(1<<31 - 1) },
			want: "the list of the peer's 2147483647 objects may take 40.00 GiB of memory, and aig.maxMemory allows 1.00 GiB"},
		{name: "2^31-1 objects of a side that holds", tell: func(l *liar) {
			l.hello(0, "agent", "hold 1\nagent", "both", "pull", "sha1", "any")
			l.say(wire.TypeGo, count(1<<31-1))
		}, want: "the list of the peer's 2147483647 objects may take"},
		{name: "2^31-1 objects to a side that holds", tell: func(l *liar) { l.hello(1<<31 - 1) },
			want: "the list of the peer's 2147483647 objects may take", direction: wire.Pull,
			hold: func(context.Context, Offer) (*intake.Store, error) { return v.store, nil }},
		{name: "2^63 objects of a side that holds", tell: func(l *liar) {
			l.hello(0, "agent", "hold 1\nagent", "both", "pull", "sha1", "any")
			l.say(wire.TypeGo, count(1<<63))
		}, want: "holds 9223372036854775808 objects, more than"},
		{name: "many objects, and a list that ends early", tell: func(l *liar) {
			l.hello(50_000_000)
			body := make([]byte, 60000)
			for i := range uint64(130) { // a million names
				for j := range uint64(len(body) / 8) {
					binary.BigEndian.PutUint64(body[8*j:], i<<32|j)
				}
				l.say(wire.TypeList, body)
			}
			l.conn.CloseWrite()
		}, want: "the pipe ended"},
		{name: "names of ours that it has not", tell: func(l *liar) {
			l.hello(3)
			l.say(wire.TypeList, shorts(l, 3))
			l.say(wire.TypeCommon, wire.Append(nil, wire.Common{Objects: 3, Digest: 7}))
		}, want: "disagree about which objects both hold (3 here, 3 there)"},
		{name: "a wrong number of common objects", tell: func(l *liar) {
			common := l.negotiate()
			common.Objects = 1 << 32
			l.say(wire.TypeCommon, wire.Append(nil, common))
		}, want: "(0 here, 4294967296 there)"},
		{name: "common of 15 bytes", tell: func(l *liar) {
			l.negotiate()
			l.say(wire.TypeCommon, make([]byte, 15))
		}, want: "a common of 15 bytes"},
		{name: "common twice", tell: func(l *liar) {
			common := wire.Append(nil, l.negotiate())
			l.say(wire.TypeCommon, common)
			l.say(wire.TypeCommon, common)
		}, want: "says twice which objects it believes both hold"},
		{name: "no common", tell: func(l *liar) {
			l.negotiate()
			l.say(wire.TypeDone, count(0))
		}, want: "is done, but not which objects it believes both hold"},
		{name: "a list in the exchange", tell: func(l *liar) {
			l.common()
			l.say(wire.TypeList, entry(1))
		}, want: "of type 'L' where a pack or a verdict was due"},
		{name: "symbols in the exchange", tell: func(l *liar) {
			l.common()
			l.say(wire.TypeSymbols, make([]byte, counted))
		}, want: "symbols where the list is due"},
	})
}

// A peer lies in a negotiation by coded symbols, which takes larger stores.
func TestTortureLiarsSymbols(t *testing.T) {
	const objects = 600
	v := newVictims(t, objects)
	noise := func(l *liar, p []byte) []byte {
		random := rand.NewChaCha8([32]byte{1})
		noisy := bytes.Clone(p)
		for i := 0; i+counted <= len(noisy); i += counted {
			random.Read(noisy[i : i+plain]) // the counts stay, so that the difference looks small
		}
		return noisy
	}
	v.tellAll(t, "lies about symbols", []tale{
		{name: "a list where symbols are due", tell: func(l *liar) {
			l.hello(objects)
			l.say(wire.TypeList, make([]byte, 8))
		}, want: "a list where symbols are due"},
		{name: "no symbol", tell: func(l *liar) {
			l.hello(objects)
			l.say(wire.TypeSymbols)
		}, want: "no symbol"},
		{name: "a symbol of 17 bytes", tell: func(l *liar) {
			l.hello(objects)
			l.say(wire.TypeSymbols, make([]byte, 17))
		}, want: "17 bytes of symbol 0"},
		{name: "another number in symbol 0", tell: func(l *liar) {
			l.say(wire.TypeSymbols, l.symbols(objects+1))
		}, want: "601 names announced, 600 (modulo 65536) in symbol 0"},
		{name: "symbols that never decode", tell: func(l *liar) {
			l.say(wire.TypeSymbols, noise(l, l.symbols(objects)))
			random := rand.NewChaCha8([32]byte{2})
			body := make([]byte, 64*plain)
			l.every(0, func() error {
				random.Read(body)
				return l.out.Write(wire.TypeSymbols, body)
			})
		}, want: "don't decode: 1024 of them for about 0 differences"},
		{name: "symbols that contradict each other", tell: func(l *liar) {
			l.symbols(objects)
			set, _ := l.set(v.names()[1:])
			x := reconcile.NewExchange(set, objects, false)
			s, _, _ := x.Next(nil, reconcile.FirstBlock)
			binary.BigEndian.PutUint16(s[plain:], objects) // it has one less
			l.say(wire.TypeSymbols, s)
		}, want: "the peer's set contradicts itself: of 600 names, 1 of them ours only, and 600, 0 of them theirs only"},
		{name: "symbols without end", tell: func(l *liar) {
			s := l.symbols(objects)
			l.every(0, func() error { return l.out.Write(wire.TypeSymbols, s[:len(s)/counted*counted]) })
		}, want: "don't decode"},
		{name: "a difference that needs lists, and symbols again", tell: func(l *liar) {
			s := bytes.Clone(l.symbols(objects))
			for i := counted; i < len(s); i += counted {
				binary.BigEndian.PutUint16(s[i+plain:], uint16(i*7919))
				s[i] ^= 1
			}
			s[0] ^= 1
			l.say(wire.TypeSymbols, s)
			l.say(wire.TypeSymbols, make([]byte, plain))
		}, want: "symbols where the list is due"},
		{name: "a pack in the negotiation", tell: func(l *liar) {
			l.hello(objects)
			l.say(wire.TypePack, []byte("PACK"))
		}, want: "of type 'P' where its part of the negotiation was due"},
		{name: "common in the negotiation", tell: func(l *liar) {
			l.hello(objects)
			l.say(wire.TypeCommon, make([]byte, 16))
		}, want: "of type 'C' where its part of the negotiation was due"},
		{name: "done in the negotiation", tell: func(l *liar) {
			l.hello(objects)
			l.say(wire.TypeDone, count(0))
		}, want: "of type 'D' where its part of the negotiation was due"},
		{name: "bye in the negotiation", tell: func(l *liar) {
			l.hello(objects)
			l.say(wire.TypeBye)
		}, want: "of type 'B' where its part of the negotiation was due"},
	})
}

// A peer that holds nothing and echoes what we say, our list of names or our symbols and then what we take for common, gets no
// goodbye: an echo is no agreement. Neither is anything that it can derive from that.
func TestTortureLiarsEcho(t *testing.T) {
	for _, objects := range []int{20, 300} {
		v := newVictims(t, objects)
		echo := func(common func(l *liar, ours []byte) []byte) func(l *liar) {
			return func(l *liar) {
				l.hello(objects)
				for f := l.next(); f.Type != 0; f = l.next() {
					switch f.Type {
					case wire.TypeCommon:
						l.say(f.Type, common(l, f.Body))
					case wire.TypeList, wire.TypeSymbols, wire.TypeDone, wire.TypeBye:
						l.say(f.Type, f.Body)
					}
				}
			}
		}
		v.tellAll(t, "echoes", []tale{
			{name: "our own words", tell: echo(func(_ *liar, ours []byte) []byte { return ours }), want: "echoes which objects we believe both hold"},
			{name: "our own words, sealed once more", tell: echo(func(l *liar, ours []byte) []byte {
				digest := l.key.Seal(l.conn.Server, uint64(objects), binary.BigEndian.Uint64(ours[8:]))
				return wire.Append(nil, wire.Common{Objects: uint64(objects), Digest: digest})
			}), want: "disagree about which objects both hold"},
		})
	}
}
