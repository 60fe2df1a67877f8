package reconcile

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// The square root is right, at the edges too.
func TestSqrt(t *testing.T) {
	for _, n := range []uint64{0, 1, 2, 3, 4, 8, 9, 15, 16, 17, 99, 100, 1<<32 - 1, 1 << 32, 1<<62 - 1} {
		if x := sqrt(n); x*x > n || (x+1)*(x+1) <= n {
			t.Errorf("sqrt(%d) = %d", n, x)
		}
	}
}

// The estimate's mean is the size of the difference, and its deviation 13 per cent, however the difference is distributed. Both
// sides get the same estimate.
func TestEstimate(t *testing.T) {
	for _, c := range []struct{ onlyA, onlyB int }{{300, 300}, {600, 0}, {0, 5000}, {70_000, 0}, {25_000, 40_000}} {
		d := float64(c.onlyA + c.onlyB)
		trials := int(min(60, 1+500_000/d))
		var sum, squares float64
		for n := range trials {
			a, b := NewSet(Key{byte(n)}, 20, testNames(1, 0, c.onlyA)), NewSet(Key{byte(n)}, 20, testNames(2, 0, c.onlyB))
			var e, f estimator
			e.delta, f.delta = int64(c.onlyA-c.onlyB), int64(c.onlyB-c.onlyA)
			for i := range uint64(FirstBlock) {
				if i > 0 {
					e.add(i, a.first.counts[i], b.first.counts[i])
					f.add(i, b.first.counts[i], a.first.counts[i])
				}
			}
			x, y := e.estimate(c.onlyA, c.onlyB), f.estimate(c.onlyB, c.onlyA)
			if x != y {
				t.Fatalf("estimates %d and %d of the same difference", x, y)
			}
			sum += float64(e.sum/(FirstBlock-1)) / d
			squares += math.Pow(float64(e.sum/(FirstBlock-1))/d-1, 2)
		}
		mean, deviation := sum/float64(trials), math.Sqrt(squares/float64(trials))
		if math.Abs(mean-1) > 5*0.134/math.Sqrt(float64(trials)) || deviation > 0.134*(1+4/math.Sqrt(float64(2*trials))) {
			t.Errorf("%+v: mean %.3f of the truth, deviation %.3f", c, mean, deviation)
		}
	}
}

// Lists are chosen when they are shorter, and both sides agree on it.
func TestListDecisions(t *testing.T) {
	for _, c := range []struct {
		own, peer    int
		estimate     uint64
		first, after bool
	}{
		{0, 0, 0, true, false},
		{252, 252, 0, true, false},
		{253, 253, 100, false, false},
		{1000, 1000, 500, false, true},
		{400_000, 400_000, 18, false, false},
		{400_000, 400_000, 140_000, false, false},
		{400_000, 400_000, 160_000, false, true},
	} {
		for range 2 {
			if got := listFirst(c.own, c.peer); got != c.first {
				t.Errorf("listFirst(%d, %d) = %v", c.own, c.peer, got)
			}
			if got := listAfter(c.own, c.peer, c.estimate); got != c.after {
				t.Errorf("listAfter(%d, %d, %d) = %v", c.own, c.peer, c.estimate, got)
			}
			c.own, c.peer = c.peer, c.own
		}
	}
}

// The window is always larger than what was received, so that nobody gets stuck, and never absurdly large.
func TestWindow(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for range 200_000 {
		received := 1 + r.Uint64N(1<<r.IntN(31))
		estimate := r.Uint64N(1 << r.IntN(32))
		w := window(received, estimate)
		if w <= received && received >= FirstBlock || w < FirstBlock {
			t.Fatalf("window(%d, %d) = %d", received, estimate, w)
		}
		if w > max(2*received+80, FirstBlock, symbolsFor(estimate)+2*sqrt(estimate)) {
			t.Fatalf("window(%d, %d) = %d", received, estimate, w)
		}
	}
}

// trials plays n exchanges of d differences over a pipe and passes each to check.
func trials(t *testing.T, seed uint64, n, d int, over pipe, check func(o outcome, a, b Stats)) {
	t.Helper()
	for i := range n {
		onlyA := []int{d / 2, d, d / 5}[i%3]
		p := newPair(seed+uint64(d*1000+i), 4*d+400, onlyA, d-onlyA)
		a, b := p.exchanges(t)
		o := over.run(t, a, b)
		p.check(t, a, b)
		if a.mode != Symbols {
			t.Fatalf("%d differences: a list", d)
		}
		check(o, a.Stats(), b.Stats())
	}
}

// Up to a thousand differences take at most two round trips, and many thousands four (BenchmarkRoundTrips has a hundred
// thousand). A round trip is twice the delay of the pipe; the time counted is that until both sides know the difference.
func TestRoundTrips(t *testing.T) {
	far := pipe{delay: time.Second, batch: 512}
	for _, c := range []struct {
		d, trials int
		limit     float64
	}{{0, 3, 0.5}, {1, 10, 0.5}, {18, 20, 0.5}, {60, 20, 1}, {100, 20, 2}, {300, 20, 2}, {1000, 10, 2}, {20_000, 1, 4}} {
		trials(t, 1, c.trials, c.d, far, func(o outcome, a, b Stats) {
			if r := o.roundTrips(far); r > c.limit {
				t.Errorf("%d differences: %.1f round trips, at most %.1f allowed: %+v %+v", c.d, r, c.limit, a, b)
			}
		})
	}
}

// On a pipe without delay, each direction takes at most 28 bytes per difference and 2 KiB, even if both sides send all they may
// as soon as they may.
func TestBytes(t *testing.T) {
	for _, c := range []struct{ d, trials int }{{0, 3}, {1, 10}, {18, 20}, {60, 20}, {100, 20}, {300, 20}, {1000, 10}, {20_000, 1}} {
		trials(t, 2, c.trials, c.d, pipe{}, func(o outcome, a, b Stats) {
			if n, limit := max(o.bytes[0], o.bytes[1]), 28*c.d+2048; n > limit {
				t.Errorf("%d differences: %d bytes, at most %d allowed: %+v %+v", c.d, n, limit, a, b)
			}
		})
	}
}

// On a slow pipe with a long delay, no side sends more symbols than twice those needed and the first block.
func TestSurplusOnLongPipe(t *testing.T) {
	for _, bandwidth := range []int{4 << 10, 64 << 10, 0} {
		slow := pipe{delay: 400 * time.Millisecond, bandwidth: bandwidth, batch: 64}
		for _, d := range []int{0, 18, 100, 1000} {
			trials(t, 3, 5, d, slow, func(_ outcome, a, b Stats) {
				if n := max(a.Sent, b.Sent); n > 2*a.Needed+FirstBlock {
					t.Errorf("%d differences, %d bytes/s: %d symbols sent where %d were needed", d, bandwidth, n, a.Needed)
				}
			})
		}
	}
}

// A difference takes no more symbols than in the paper, where the mean is at most 1.72 (at 4 differences), less than 1.40 from
// 128 on, and 1.35 in the limit. The test allows 5 per cent more for the latter two, and none for the first.
func TestSymbolsPerDifference(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	t.Logf("%11s %8s %9s", "differences", "measured", "paper")
	for _, c := range []struct {
		d, trials int
		paper     string
		limit     float64
	}{
		{1, 100, "<= 1.72", 1},
		{2, 1000, "<= 1.72", 1.72},
		{3, 1000, "<= 1.72", 1.72},
		{4, 1000, "1.72", 1.72},
		{5, 1000, "<= 1.72", 1.72},
		{6, 1000, "<= 1.72", 1.72},
		{8, 1000, "<= 1.72", 1.72},
		{10, 1000, "<= 1.72", 1.72},
		{20, 500, "<= 1.72", 1.72},
		{50, 200, "<= 1.72", 1.72},
		{100, 200, "<= 1.72", 1.72},
		{200, 100, "< 1.40", 1.40 * 1.05},
		{1000, 100, "< 1.40", 1.40 * 1.05},
		{10_000, 2, "1.35", 1.35 * 1.05},
	} {
		var sum float64
		for range c.trials {
			sum += float64(needed(r, c.d))
		}
		mean := sum / float64(c.trials) / float64(c.d)
		t.Logf("%11d %8.3f %9s", c.d, mean, c.paper)
		if mean > c.limit {
			t.Errorf("%.3f symbols for each of %d differences", mean, c.d)
		}
	}
}
