package session

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"aig/internal/gittest"
	"aig/internal/wire"
)

// stock is what the liar really has: three objects, from which it makes packs.
type stock struct {
	repo  *gittest.Repo
	names []string // ascending
}

func newStock(t *testing.T) stock {
	s := stock{repo: gittest.New(t)}
	s.names = s.repo.Blobs("theirs", 3)
	slices.Sort(s.names)
	return s
}

func (s stock) pack(names ...string) []byte {
	return []byte(s.repo.GitIn(strings.Join(names, "\n")+"\n", "pack-objects", "--stdout", "-q"))
}

// twice returns a pack with the first object in it twice.
func (s stock) twice() []byte {
	one := s.pack(s.names[0])
	object := one[12 : len(one)-sha1.Size]
	pack := append(bytes.Clone(one[:12]), object...)
	pack = append(pack, object...)
	binary.BigEndian.PutUint32(pack[8:], 2)
	sum := sha1.Sum(pack)
	return append(pack, sum[:]...)
}

func binaryName(name string) []byte {
	b, err := hex.DecodeString(name)
	if err != nil {
		panic(err)
	}
	return b
}

// A peer gives other objects than it has announced: none of them gets in, and we don't take the peer's word that it is done.
func TestTortureLiarsPacks(t *testing.T) {
	v := newVictims(t, 20)
	s := newStock(t)
	a, b := s.names[0], s.names[1]
	packA, packB, packAB, packOurs := s.pack(a), s.pack(b), s.pack(a, b), []byte(nil)
	ours := v.names()[0]
	packOurs = []byte(v.repo.GitIn(ours+"\n", "pack-objects", "--stdout", "-q"))
	twice := s.twice()
	// After a refusal the liar leaves without a goodbye.
	leaves := func(l *liar) {
		l.judged()
		l.conn.CloseWrite()
	}
	v.tellAll(t, "lies about packs", []tale{
		{name: "objects nobody announced", tell: func(l *liar) {
			l.give(b)
			l.pack(0, 1, packA)
			leaves(l)
		}, refused: "object " + a + " was not announced", want: "the pipe ended"},
		{name: "an object too many", tell: func(l *liar) {
			l.give(a)
			l.pack(0, 2, packAB)
			leaves(l)
		}, refused: "object", want: "the pipe ended"},
		{name: "an object of ours", tell: func(l *liar) {
			l.give(a)
			l.pack(0, 1, packOurs)
			leaves(l)
		}, refused: "holds 1 objects, of which 0 were announced", want: "the pipe ended"},
		{name: "an object less than the pack's end says", tell: func(l *liar) {
			l.give(a, b)
			l.pack(0, 2, packA)
			leaves(l)
		}, refused: "holds 1 objects, of which 1 were announced, and should hold 2", want: "the pipe ended"},
		{name: "2^32-1 objects in the pack's end", tell: func(l *liar) {
			l.give(a, b)
			l.pack(0, 1<<32-1, packA)
			leaves(l)
		}, refused: "and should hold 4294967295", want: "the pipe ended"},
		{name: "an object twice in a pack", tell: func(l *liar) {
			l.give(a, b)
			l.pack(0, 2, twice)
			leaves(l)
		}, refused: "holds 2 objects, of which 1 were announced", want: "the pipe ended"},
		{name: "data after the end of a pack", tell: func(l *liar) {
			l.give(a)
			l.pack(0, 1, append(bytes.Clone(packA), make([]byte, 100_000)...))
			leaves(l)
		}, refused: "there is data after the end of the pack", want: "the pipe ended"},
		{name: "2^32-1 objects in the pack's header", tell: func(l *liar) {
			l.give(a)
			header := bytes.Clone(packA)
			binary.BigEndian.PutUint32(header[8:], 1<<32-1)
			l.pack(0, 1, header)
			leaves(l)
		}, refused: "announces 4294967295 objects, but 1 to 1 are expected", want: "the pipe ended"},
		{name: "a pack where none is due", tell: func(l *liar) {
			l.give()
			l.pack(0, 1, packA)
		}, want: "sends a pack, though it has given everything it announced"},
		{name: "a pack to a side that only gives", direction: wire.Push, tell: func(l *liar) {
			l.common(a)
			l.pack(0, 1, packA)
		}, want: "sends a pack, though it has given everything it announced"},
		{name: "a pack of a side that only receives", tell: func(l *liar) {
			l.greeting = []string{"both", "pull"}
			l.common(a)
			l.pack(0, 1, packA)
		}, want: "sends a pack, though it has given everything it announced"},
		{name: "the end of no pack", tell: func(l *liar) {
			l.give(a)
			l.say(wire.TypePackEnd, wire.Append(nil, wire.PackEnd{Number: 0, Objects: 1}))
		}, want: "ends pack 0, but none is under way"},
		{name: "pack 2^32-1 first", tell: func(l *liar) {
			l.give(a)
			l.pack(1<<32-1, 1, packA)
		}, want: "ends pack 4294967295 where pack 0 is due"},
		{name: "an end of seven bytes", tell: func(l *liar) {
			l.give(a)
			l.say(wire.TypePack, packA)
			l.say(wire.TypePackEnd, make([]byte, 7))
		}, want: "a pack end of 7 bytes"},
		{name: "a drop of no pack", tell: func(l *liar) {
			l.give(a)
			l.say(wire.TypePackDrop)
		}, want: "withdraws a pack, but none is under way"},
		{name: "omitting what nobody announced", tell: func(l *liar) {
			l.give(a)
			l.say(wire.TypeOmitted, binaryName(b))
		}, want: "the peer leaves out object " + b + ", which was not announced"},
		{name: "omitting an object twice", tell: func(l *liar) {
			l.give(a, b)
			l.say(wire.TypeOmitted, binaryName(a), binaryName(a))
		}, want: "the peer leaves out object " + a + ", which has already come or been left out"},
		{name: "omitting 21 bytes", tell: func(l *liar) {
			l.give(a)
			l.say(wire.TypeOmitted, make([]byte, 21))
		}, want: "a list of names of 21 bytes"},
		{name: "omitting nothing", tell: func(l *liar) {
			l.give(a)
			l.say(wire.TypeOmitted)
		}, want: "a list of names of 0 bytes"},
		{name: "giving what it has omitted", tell: func(l *liar) {
			l.give(a, b)
			l.say(wire.TypeOmitted, binaryName(a))
			l.pack(0, 1, packA)
			leaves(l)
		}, refused: "object " + a + " has already come or been left out", want: "the pipe ended"},
		{name: "omitting everything", tell: func(l *liar) {
			l.give(a, b)
			l.say(wire.TypeOmitted, binaryName(a), binaryName(b))
			l.part(0)
		}, want: "2 of the peer's objects can't be read there"},
		{name: "keeping what nobody announced", tell: func(l *liar) {
			l.give(a)
			l.say(wire.TypeKept, make([]byte, 8))
		}, want: "the peer leaves out object 0000000000000000, which was not announced"},
		{name: "keeping an object after another's pack", tell: func(l *liar) {
			l.give(a, b)
			l.say(wire.TypePack, packA[:20])
			l.say(wire.TypePackDrop)
			l.say(wire.TypeKept, wire.Append(nil, l.key.Short(binaryName(b))))
			l.pack(0, 1, packA)
			l.judged()
			l.part(0)
		}, want: "keeps objects back after it has begun to send packs"},
		{name: "keeping nine bytes", tell: func(l *liar) {
			l.give(a)
			l.say(wire.TypeKept, make([]byte, 9))
		}, want: "a list of names of 9 bytes"},
		{name: "a goodbye without the objects", tell: func(l *liar) {
			l.give(a, b)
			l.say(wire.TypeDone, count(0))
			l.say(wire.TypeBye)
		}, want: "says goodbye with 2 objects still to come"},
		{name: "a goodbye without the objects, and the end", tell: func(l *liar) {
			l.give(a, b)
			l.say(wire.TypeDone, count(0))
			l.conn.CloseWrite()
		}, want: "the pipe ended while waiting for the peer's packs"},

		// From here on the store gets the first of the two objects, in a whole pack.
		{name: "one announced object missing", tell: func(l *liar) {
			l.give(a, b)
			l.pack(0, 1, packA)
			l.judged()
			l.say(wire.TypeDone, count(0))
			l.say(wire.TypeBye)
		}, want: "says goodbye with 1 objects still to come", stores: true},
		{name: "having what we have", tell: func(l *liar) { // it announces what it gave us before, and gives it again
			l.give(a, b)
			l.pack(0, 1, packA)
			leaves(l)
		}, refused: "holds 1 objects, of which 0 were announced", want: "the pipe ended"},
		{name: "an object of an earlier pack", tell: func(l *liar) {
			c := s.names[2]
			l.give(a, b, c)
			l.pack(0, 1, packB)
			l.judged()
			l.pack(1, 1, packB)
			leaves(l)
		}, refused: "object " + b + " has already come or been left out", want: "the pipe ended", stores: true},
	})
	if want := 20 + 2; strings.Count(v.repo.Objects()+"\n", "\n") != want {
		t.Errorf("the store holds\n%s\nwant %d objects", v.repo.Objects(), want)
	}
}

// A peer lies about what we give it. The one lie that can't be noticed is that it has stored something: that is about its own
// store, and changes nothing in ours.
func TestTortureLiarsVerdicts(t *testing.T) {
	v := newVictims(t, 20)
	both := func(l *liar) { l.common() }
	// given is an honest conversation up to the end of our only pack.
	given := func(l *liar) {
		both(l)
		l.until(wire.TypePackEnd)
	}
	v.tellAll(t, "lies about what it was given", []tale{
		{name: "a verdict on pack 2^32-1", tell: func(l *liar) {
			given(l)
			l.say(wire.TypeStored, number(1<<32-1))
		}, want: "sent a verdict on pack 4294967295, for which none is due"},
		{name: "stored twice", tell: func(l *liar) {
			given(l)
			l.say(wire.TypeStored, number(0))
			l.say(wire.TypeStored, number(0))
		}, want: "sent a verdict on pack 0, for which none is due"},
		{name: "stored and refused", tell: func(l *liar) {
			given(l)
			l.say(wire.TypeStored, number(0))
			l.say(wire.TypeRefused, wire.Refused{Number: 0, Object: make([]byte, 20), Reason: "no"}.Append(nil))
		}, want: "sent a verdict on pack 0, for which none is due"},
		{name: "stored without a number", tell: func(l *liar) {
			given(l)
			l.say(wire.TypeStored)
		}, want: "a number of 0 bytes"},
		{name: "refused with an escape", tell: func(l *liar) {
			given(l)
			l.say(wire.TypeRefused, wire.Refused{Number: 0, Object: make([]byte, 20), Reason: esc}.Append(nil))
			l.until(wire.TypePackEnd) // the same, packed again
			l.say(wire.TypeRefused, wire.Refused{Number: 1, Object: make([]byte, 20), Reason: esc}.Append(nil))
			l.conn.CloseWrite()
		}, want: "the pipe ended"},
		{name: "refused with 1,024 bytes of it", tell: func(l *liar) {
			given(l)
			l.say(wire.TypeRefused, wire.Refused{Number: 0, Object: make([]byte, 20), Reason: strings.Repeat("\x1b", 1024)}.Append(nil))
			l.until(wire.TypePackEnd)
			l.say(wire.TypeRefused, wire.Refused{Number: 1, Object: make([]byte, 20), Reason: strings.Repeat("\x1b", 1024)}.Append(nil))
			l.conn.CloseWrite()
		}, want: "the pipe ended"},
		{name: "refused with 60 KB", tell: func(l *liar) {
			given(l)
			l.say(wire.TypeRefused, number(0), make([]byte, 20), []byte(strings.Repeat("\x1b", 60000)))
		}, want: "a text of 60000 bytes"},
		{name: "refused in three bytes", tell: func(l *liar) {
			given(l)
			l.say(wire.TypeRefused, make([]byte, 3))
		}, want: "a refusal of 3 bytes"},
		{name: "done without having stored", tell: func(l *liar) {
			given(l)
			l.say(wire.TypeDone, count(20))
		}, want: "is done with 20 objects, but has confirmed 0 of the 20 we give"},
		{name: "wanting what was not offered", direction: wire.Pull, tell: func(l *liar) {
			l.common()
			l.say(wire.TypeStored, number(0))
		}, want: "sent a verdict on pack 0, for which none is due"},
		{name: "done with what was not offered", direction: wire.Pull, tell: func(l *liar) {
			l.common()
			l.say(wire.TypeDone, count(20))
		}, want: "is done with 20 objects, but has confirmed 0 of the 0 we give"},
		{name: "done with 2^64-1", tell: func(l *liar) {
			given(l)
			l.say(wire.TypeStored, number(0))
			l.say(wire.TypeDone, count(1<<64-1))
		}, want: "is done with 18446744073709551615 objects"},
		{name: "done with 2^32+20", tell: func(l *liar) {
			given(l)
			l.say(wire.TypeStored, number(0))
			l.say(wire.TypeDone, count(1<<32+20))
		}, want: "is done with 4294967316 objects"},
		{name: "done in seven bytes", tell: func(l *liar) {
			given(l)
			l.say(wire.TypeDone, make([]byte, 7))
		}, want: "a count of 7 bytes"},
		{name: "done twice", tell: func(l *liar) {
			given(l)
			l.say(wire.TypeStored, number(0))
			l.say(wire.TypeDone, count(20))
			l.say(wire.TypeDone, count(20))
		}, want: "says twice that it is done"},
		{name: "a goodbye without a verdict", tell: func(l *liar) {
			given(l)
			l.say(wire.TypeBye)
		}, want: "says goodbye with 0 objects still to come"},
		{name: "the end without a verdict", tell: func(l *liar) {
			given(l)
			l.conn.CloseWrite()
		}, want: "the pipe ended while waiting for the peer to store what it was sent"},
		{name: "the end without a goodbye", tell: func(l *liar) {
			given(l)
			l.say(wire.TypeStored, number(0))
			l.say(wire.TypeDone, count(20))
			l.conn.CloseWrite()
		}, want: "the pipe ended while waiting for the peer's goodbye"},
		{name: "stored what it has not: cannot be noticed", tell: func(l *liar) {
			given(l)
			l.say(wire.TypeStored, number(0))
			l.part(20)
		}, want: ""},
		{name: "to hold what it does not: cannot be noticed", tell: func(l *liar) {
			l.common(v.names()...)
			l.part(0)
		}, want: ""},
		{name: "a goodbye, and then more of everything", tell: func(l *liar) {
			l.common(v.names()...)
			l.part(0)
			l.every(0, func() error { return l.out.Write(wire.TypePack, make([]byte, 60000)) })
		}, want: ""},
	})
}

// A verdict on a pack that is still under way is not accepted.
func TestTortureLiarsEarlyVerdict(t *testing.T) {
	v := newVictims(t, 0)
	v.large(8 << 20) // more than SSH's window and all buffers: the pack's end can't have been sent
	early := func(verdict wire.Type, reason []byte) func(*liar) {
		return func(l *liar) {
			l.common()
			l.until(wire.TypePack)
			l.say(verdict, number(0), reason)
		}
	}
	v.tellAll(t, "verdicts on a pack under way", []tale{
		{name: "stored", tell: early(wire.TypeStored, nil), want: "sent a verdict on pack 0, for which none is due"},
		{name: "refused", tell: early(wire.TypeRefused, make([]byte, 20)), want: "sent a verdict on pack 0, for which none is due"},
	})
}
