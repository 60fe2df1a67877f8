package reconcile

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Blocks follow one another without gaps, and blockOf finds them.
func TestBlocks(t *testing.T) {
	var next uint64
	for k := 0; next < maxSymbols; k++ {
		b := blockAt(k)
		if b.number != k || b.low != next || b.high <= b.low {
			t.Fatalf("block %d is %+v, and the one before ends at %d", k, b, next)
		}
		for _, i := range []uint64{b.low, (b.low + b.high) / 2, b.high - 1} {
			if blockOf(i) != k {
				t.Fatalf("symbol %d of block %d: blockOf says %d", i, k, blockOf(i))
			}
		}
		next = b.high
	}
	if next >= 1<<32-1 {
		t.Fatalf("the last block ends at %d, where walk.next would overflow", next)
	}
}

// An element belongs to symbol i with probability 2/(i+2), at block boundaries too, and independently of the other symbols.
func TestWalkProbabilities(t *testing.T) {
	const elements = 200_000
	r := rand.New(rand.NewPCG(1, 1))
	const top = 4000
	var hits [top]int
	both := map[[2]uint64]int{{1, 2}: 0, {2, 5}: 0, {10, 11}: 0, {110, 111}: 0, {111, 112}: 0, {5, 120}: 0, {113, 114}: 0}
	for range elements {
		short := r.Uint64()
		member := map[uint64]bool{}
		for k := range blockOf(top-1) + 1 {
			last := blockAt(k).high
			w := startWalk(short, blockAt(k))
			for i, ok := w.next(); ok; i, ok = w.next() {
				if i >= last || i < blockAt(k).low {
					t.Fatalf("index %d after %d in block %+v", i, last, blockAt(k))
				}
				last = i
				if i < top {
					hits[i]++
				}
				if i < 128 {
					member[i] = true
				}
			}
		}
		for pair := range both {
			if member[pair[0]] && member[pair[1]] {
				both[pair]++
			}
		}
	}
	within := func(what any, got int, p float64) {
		mean := p * elements
		if sigma := math.Sqrt(mean * (1 - p)); math.Abs(float64(got)-mean) > 5*sigma {
			t.Errorf("%v: %d of %d elements, want %.0f +- %.0f", what, got, elements, mean, sigma)
		}
	}
	rho := func(i uint64) float64 { return 2 / float64(i+2) }
	for i := range uint64(top) {
		within(i, hits[i], rho(i))
	}
	for pair, n := range both {
		within(pair, n, rho(pair[0])*rho(pair[1]))
	}
}
