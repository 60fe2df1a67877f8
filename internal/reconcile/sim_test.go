package reconcile

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A pair is two sets with a known difference.
type pair struct {
	a, b             *Set
	onlyA, onlyB     []uint32 // indices
	shortsA, shortsB []uint64 // their short names, ascending
}

// testName returns name n of a series: 20 bytes that look random.
func testName(series, n uint64) []byte {
	var name [20]byte
	binary.BigEndian.PutUint64(name[0:], mix64(mix64(series)+n))
	binary.BigEndian.PutUint64(name[8:], mix64(series^n<<20))
	binary.BigEndian.PutUint32(name[16:], uint32(n))
	return name[:]
}

// newPair returns two sets that have common names in common, and onlyA and onlyB names of their own scattered among them.
func newPair(seed uint64, common, onlyA, onlyB int) *pair {
	r := rand.New(rand.NewPCG(seed, 1))
	var key Key
	binary.BigEndian.PutUint64(key[:], r.Uint64())
	binary.BigEndian.PutUint64(key[8:], r.Uint64())
	p := new(pair)
	namesA, namesB := make([]byte, 0, (common+onlyA)*20), make([]byte, 0, (common+onlyB)*20)
	total := common + onlyA + onlyB
	for n := range total {
		name := testName(seed, uint64(n))
		short := key.Short(name)
		left := total - n
		switch at := r.IntN(left); {
		case at < onlyA:
			onlyA--
			p.onlyA = append(p.onlyA, uint32(len(namesA)/20))
			p.shortsA = append(p.shortsA, short)
			namesA = append(namesA, name...)
		case at < onlyA+onlyB:
			onlyB--
			p.onlyB = append(p.onlyB, uint32(len(namesB)/20))
			p.shortsB = append(p.shortsB, short)
			namesB = append(namesB, name...)
		default:
			namesA = append(namesA, name...)
			namesB = append(namesB, name...)
		}
	}
	p.a, p.b = NewSet(key, 20, namesA), NewSet(key, 20, namesB)
	sortDistinct(p.shortsA)
	sortDistinct(p.shortsB)
	return p
}

// A pipe is a full-duplex pipe in virtual time.
type pipe struct {
	delay     time.Duration // one way
	bandwidth int           // bytes per second and direction, 0 for no limit
	batch     int           // entries sent at a time, 0 for no limit
}

// outcome is the cost of an exchange over a pipe.
type outcome struct {
	bytes [2]int        // sent by each side, without framing
	known time.Duration // when both sides knew the difference
}

// roundTrips returns the time in round trips of the pipe.
func (o *outcome) roundTrips(p pipe) float64 { return float64(o.known) / float64(2*p.delay) }

type message struct {
	at    time.Duration
	mode  Mode
	batch []byte
}

// run plays an exchange over the pipe. It fails the test if an Exchange does, or if both wait for each other.
func (p pipe) run(t testing.TB, a, b *Exchange) outcome {
	t.Helper()
	var o outcome
	var now time.Duration
	sides := [2]*Exchange{a, b}
	var free [2]time.Duration // when each side may send again
	var inFlight [2][]message // to each side
	o.known = -1
	for {
		for s, x := range sides {
			for free[s] <= now && x.Credit() > 0 {
				batch, mode, _ := x.Next(nil, cmp.Or(p.batch, math.MaxInt))
				o.bytes[s] += len(batch)
				free[s] = now
				if p.bandwidth > 0 {
					free[s] += time.Duration(len(batch)) * time.Second / time.Duration(p.bandwidth)
				}
				inFlight[1-s] = append(inFlight[1-s], message{free[s] + p.delay, mode, batch})
			}
		}
		if o.known < 0 && a.Done() && b.Done() {
			o.known = now
		}
		next := time.Duration(-1)
		earliest := func(t time.Duration) {
			if next < 0 || t < next {
				next = t
			}
		}
		for s, x := range sides {
			if x.Credit() > 0 {
				earliest(free[s])
			}
			if len(inFlight[s]) > 0 {
				earliest(inFlight[s][0].at)
			}
		}
		if next < 0 {
			break
		}
		now = next
		for s, x := range sides {
			if len(inFlight[s]) > 0 && inFlight[s][0].at <= now {
				m := inFlight[s][0]
				inFlight[s] = inFlight[s][1:]
				if err := x.Receive(m.mode, m.batch); err != nil {
					t.Fatalf("side %d of sets of %d and %d: %v", s, a.set.Len(), b.set.Len(), err)
				}
			}
		}
	}
	if !a.Finished() || !b.Finished() {
		t.Fatalf("both sides wait: %+v %+v", a.Stats(), b.Stats())
	}
	return o
}

// exchanges begins an exchange between the two sets, on both sides.
func (p *pair) exchanges(t testing.TB) (a, b *Exchange) {
	t.Helper()
	return NewExchange(p.a, p.b.Len(), false), NewExchange(p.b, p.a.Len(), false)
}

// check fails the test unless both sides found the difference of the pair.
func (p *pair) check(t testing.TB, a, b *Exchange) {
	t.Helper()
	if !slices.Equal(a.Mine(), p.onlyA) || !slices.Equal(b.Mine(), p.onlyB) ||
		!slices.Equal(a.Theirs(), p.shortsB) || !slices.Equal(b.Theirs(), p.shortsA) {
		t.Fatalf("wrong difference: %d and %d mine, %d and %d theirs; %d and %d are right",
			len(a.Mine()), len(b.Mine()), len(a.Theirs()), len(b.Theirs()), len(p.onlyA), len(p.onlyB))
	}
}

// needed returns how many symbols it takes to find d differences. Common elements cancel out, so it uses none; nor does it matter
// which of the differing elements are ours.
func needed(r *rand.Rand, d int) uint64 {
	s := &Set{short: make([]uint64, d)}
	for i := range d {
		s.short[i] = r.Uint64() // a short name is as good as random
		encodeInto(s.first.cells[:], &s.key, blockAt(0), s.short[i])
	}
	dec := &decoder{key: &s.key}
	for dec.needed == 0 {
		if dec.received == 0 || blockAt(len(dec.blocks)-1).high == dec.received {
			dec.extend(s.encode(blockAt(len(dec.blocks))))
		}
		if err := dec.receive(cell{}); err != nil {
			panic(err)
		}
	}
	return dec.needed
}

// testNames returns n names of 20 bytes each, concatenated.
func testNames(series uint64, from, n int) []byte {
	names := make([]byte, 0, 20*n)
	for i := range n {
		names = append(names, testName(series, uint64(from+i))...)
	}
	return names
}

// Stats is the cost of an exchange.
type Stats struct {
	Sent, Received int // symbols
	Needed         int // symbols after which the difference was known, 0 if it isn't
	Estimate       int // of the difference, 0 before the end of the first block
	ListSent       int // entries
}

// Stats returns the cost of the exchange so far.
func (x *Exchange) Stats() Stats {
	return Stats{
		Sent:     int(x.sent),
		Received: int(x.received),
		Needed:   int(x.decoder.needed),
		Estimate: int(x.estimate),
		ListSent: x.listSent,
	}
}
