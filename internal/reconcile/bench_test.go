package reconcile

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"
)

// perElement reports the time per element on one core.
func perElement(b *testing.B, n, cores int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())*float64(cores)/float64(b.N)/float64(n), "ns/element/core")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkEncode measures the cost of making the symbols for up to a thousand differences (1,792 symbols), including hashing
// the names. Goal: 150 ns.
func BenchmarkEncode(b *testing.B) {
	const n = 1 << 20
	names := slices.Collect(slices.Chunk(testNames(7, 0, n), 1<<20))
	b.Run("packed", func(b *testing.B) {
		for b.Loop() {
			s := NewSet(Key{1}, 20, names...)
			s.encode(blockAt(1))
		}
		perElement(b, n, runtime.GOMAXPROCS(0))
	})
	// The first block alone, which is made while the names are listed.
	b.Run("listing", func(b *testing.B) {
		for b.Loop() {
			NewSet(Key{1}, 20, names...)
		}
		perElement(b, n, runtime.GOMAXPROCS(0))
	})
	// All blocks that a hundred thousand differences take.
	b.Run("100k-differences", func(b *testing.B) {
		s := NewSet(Key{1}, 20, names...)
		for b.Loop() {
			for k := range blockOf(136_000) + 1 {
				s.encode(blockAt(k))
			}
		}
		perElement(b, n, runtime.GOMAXPROCS(0))
	})
}

// BenchmarkDecode measures decoding alone, on one core, with the symbols of both sides made before. Goal: 100,000 differences
// in less than a second.
func BenchmarkDecode(b *testing.B) {
	for _, d := range []int{100, 1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(d), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			p := newPair(uint64(d), 1_000_000, d/2, d-d/2)
			var own [][]cell
			var remote []cell
			for k := range blockOf(uint64(2*d)) + 1 {
				own = append(own, p.a.encode(blockAt(k)))
				remote = append(remote, p.b.encode(blockAt(k))...)
			}
			for b.Loop() {
				dec := &decoder{key: &p.a.key}
				for _, cells := range own {
					dec.extend(slices.Clone(cells))
				}
				for i := 0; dec.needed == 0; i++ {
					if err := dec.receive(remote[i]); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkBytes counts bytes per difference and direction on a pipe without delay, into which both sides send all they may,
// less the 2 KiB that any difference costs, for stores of ten thousand to ten million objects. Goal: 24.
func BenchmarkBytes(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000, 10_000_000} {
		for _, d := range []int{0, 18, 1_000, 100_000} {
			if d > n/10 {
				continue
			}
			b.Run(fmt.Sprintf("%s/%d", thousands(n), d), func(b *testing.B) {
				var total, runs float64
				for b.Loop() {
					p := newPair(uint64(n+d)+uint64(runs), n, d/3, d-d/3)
					x, y := p.exchanges(b)
					o := pipe{}.run(b, x, y)
					total += float64(max(o.bytes[0], o.bytes[1]))
					runs++
				}
				b.ReportMetric(total/runs, "bytes/direction")
				b.ReportMetric(max(0, total/runs-2048)/float64(max(d, 1)), "bytes/difference")
			})
		}
	}
}

func thousands(n int) string {
	if n >= 1_000_000 {
		return fmt.Sprintf("%dM", n/1_000_000)
	}
	return fmt.Sprintf("%dk", n/1_000)
}

// BenchmarkRoundTrips counts round trips until both sides know the difference, on a pipe of a second's delay and unlimited
// bandwidth. Goal: 2 for up to a thousand differences, 4 for a hundred thousand. The minimum is one half.
func BenchmarkRoundTrips(b *testing.B) {
	for _, d := range []int{1, 18, 100, 300, 1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(d), func(b *testing.B) {
			var sum, worst, runs float64
			for b.Loop() {
				p := newPair(uint64(d)+uint64(runs), 5*d+1000, d/2, d-d/2)
				x, y := p.exchanges(b)
				far := pipe{delay: time.Second, batch: 512}
				o := far.run(b, x, y)
				sum += o.roundTrips(far)
				worst = max(worst, o.roundTrips(far))
				runs++
			}
			b.ReportMetric(sum/runs, "round-trips")
			b.ReportMetric(worst, "worst")
		})
	}
}

// BenchmarkSymbols counts symbols per difference. In the paper the mean is 1.72 at worst (4 differences), less than 1.40 from
// 128 on, and 1.35 in the limit.
func BenchmarkSymbols(b *testing.B) {
	for _, d := range []int{1, 2, 3, 4, 5, 6, 8, 10, 20, 50, 100, 200, 500, 1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(d), func(b *testing.B) {
			r := rand.New(rand.NewPCG(uint64(d), 2))
			var sum, runs float64
			for b.Loop() {
				sum += float64(needed(r, d))
				runs++
			}
			b.ReportMetric(sum/runs/float64(d), "symbols/difference")
		})
	}
}
