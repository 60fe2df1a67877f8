package reconcile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

// Both sides find the difference, whatever its size and distribution, in the mode that the sizes imply, and need the same number
// of symbols.
func TestExchange(t *testing.T) {
	for _, c := range []struct {
		common, onlyA, onlyB int
		mode                 Mode
	}{
		{0, 0, 0, List},
		{0, 1, 0, List},
		{0, 0, 5000, List}, // one side empty
		{100, 20, 30, List},
		{100, 5000, 0, List}, // one side nearly empty
		{0, 3000, 3000, List},
		{1000, 0, 0, Symbols},
		{1000, 1, 0, Symbols},
		{1000, 0, 1, Symbols},
		{1000, 1, 1, Symbols},
		{1000, 7, 11, Symbols},
		{1000, 60, 60, Symbols},
		{3000, 300, 0, Symbols},
		{3000, 0, 300, Symbols},
		{5000, 200, 700, Symbols},
		{2000, 1500, 1500, List}, // decided by the estimate
		{30_000, 2000, 2500, Symbols},
		{1<<16 + 5000, 1, 2, Symbols},
	} {
		t.Run(fmt.Sprint(c.common, c.onlyA, c.onlyB), func(t *testing.T) {
			p := newPair(uint64(c.common+c.onlyA), c.common, c.onlyA, c.onlyB)
			a, b := p.exchanges(t)
			pipe{batch: 100, delay: time.Second, bandwidth: 16 << 10}.run(t, a, b)
			p.check(t, a, b)
			if a.mode != c.mode || b.mode != c.mode {
				t.Errorf("modes %v and %v, want %v", a.mode, b.mode, c.mode)
			}
			if a.Stats().Needed != b.Stats().Needed || a.Stats().Estimate != b.Stats().Estimate {
				t.Errorf("different views: %+v and %+v", a.Stats(), b.Stats())
			}
		})
	}
}

// The order of events doesn't matter: each side sends, and receives what is in flight, in batches of any size at any time, and
// nothing ever gets stuck.
func TestAnySchedule(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 1))
	for n := range 120 {
		common := 700 + r.IntN(3000)
		p := newPair(uint64(1000+n), common, r.IntN(common/2), r.IntN(1+r.IntN(common/2)))
		a, b := p.exchanges(t)
		sides := [2]*Exchange{a, b}
		var inFlight [2][]message
		idle := 0
		for idle < 100 {
			idle++
			s := r.IntN(2)
			if r.IntN(2) == 0 {
				batch, mode, k := sides[s].Next(nil, 1+r.IntN(1<<r.IntN(12)))
				if k > 0 {
					inFlight[1-s] = append(inFlight[1-s], message{mode: mode, batch: batch})
					idle = 0
				}
			} else if len(inFlight[s]) > 0 {
				m := inFlight[s][0]
				inFlight[s] = inFlight[s][1:]
				if err := sides[s].Receive(m.mode, m.batch); err != nil {
					t.Fatal(err)
				}
				idle = 0
			}
		}
		if !a.Finished() || !b.Finished() {
			t.Fatalf("stuck: %+v %+v", a.Stats(), b.Stats())
		}
		p.check(t, a, b)
	}
}

// What an honest peer has sent ahead is dropped once the difference is known; a peer that goes on for ever is an error.
func TestSurplus(t *testing.T) {
	for _, d := range []int{0, 2, 500} {
		p := newPair(1, 3000, d, 0)
		a, b := p.exchanges(t)
		pipe{}.run(t, a, b)
		if a.Stats().Received <= a.Stats().Needed {
			t.Fatalf("%d differences: nothing was sent ahead: %+v", d, a.Stats())
		}
		n := 0
		var err error
		for ; err == nil && n < 10_000; n++ {
			err = a.Receive(Symbols, appendSymbol(nil, a.received, symbol{}))
		}
		if !errors.Is(err, ErrUndecodable) {
			t.Errorf("%d differences: %v after %d symbols too many", d, err, n)
		}
	}
}

// A list takes 8 bytes of memory for each of the peer's names, little more to compare them, and makes no garbage.
func TestListMemory(t *testing.T) {
	const n = 1 << 20
	x := NewExchange(NewSet(Key{}, 20), n, false)
	if x.mode != List {
		t.Fatal(x.mode)
	}
	batch := make([]byte, 4096*ShortSize)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	x.list = make([]uint64, 0, n)
	for i := range n {
		at := i % 4096
		binary.BigEndian.PutUint64(batch[at*ShortSize:], uint64(i)*0x9e3779b97f4a7c15)
		if at == 4095 {
			if err := x.Receive(List, batch); err != nil {
				t.Fatal(err)
			}
		}
	}
	runtime.ReadMemStats(&after)
	if got := float64(after.TotalAlloc-before.TotalAlloc) / n; got > 8.6 {
		t.Errorf("%.1f bytes a name", got)
	}
	if len(x.Theirs()) != n {
		t.Errorf("%d names", len(x.Theirs()))
	}
}
