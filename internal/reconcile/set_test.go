package reconcile

import (
	"errors"
	"runtime"
	"slices"
	"testing"
)

// However names are split into chunks and however many cores work, the set, its symbols and its digest are the same.
func TestSetIsTheSameHoweverMade(t *testing.T) {
	const n = 1<<17 + 777
	names := testNames(1, 0, n)
	one := NewSet(Key{9}, 20, names)
	for _, cores := range []int{1, 3} {
		func() {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
			many := NewSet(Key{9}, 20, names[:20], names[20:20<<16], nil, names[20<<16:])
			if !slices.Equal(one.short, many.short) || many.first != one.first {
				t.Fatalf("%d cores: other short names, or another first block", cores)
			}
			for _, k := range []int{0, 1, 2, 9} {
				if !slices.Equal(one.encode(blockAt(k)), many.encode(blockAt(k))) {
					t.Fatalf("%d cores: other symbols in block %d", cores, k)
				}
			}
		}()
	}
}

// The first block that NewSet makes is what encodeInto makes of the short names.
func TestFirstBlockIsABlock(t *testing.T) {
	p := newPair(3, 1000, 0, 0)
	cells := make([]cell, FirstBlock)
	var counts [FirstBlock]uint16
	for i := range p.a.Len() {
		encodeInto(cells, &p.a.key, blockAt(0), p.a.short[i])
		w := startWalk(p.a.short[i], blockAt(0))
		for j, ok := w.next(); ok; j, ok = w.next() {
			counts[j]++
		}
	}
	if !slices.Equal(cells, p.a.first.cells[:]) || counts != p.a.first.counts {
		t.Error("the first block differs")
	}
}

// Each side of a difference is told apart, whichever names are given and however many.
func TestSplit(t *testing.T) {
	for _, n := range []int{0, 1, 2, 1000, 1<<16 + 3} {
		s := NewSet(Key{1}, 20, testNames(2, 0, n))
		for _, given := range []int{0, 1, n / 2, n} { // of the set, and as many others
			var names, others []uint64
			isGiven := make(map[uint64]bool)
			for i := range min(given, n) {
				short := s.short[(7*i)%n]
				isGiven[short] = true
				names = append(names, short)
			}
			for i := range given {
				others = append(others, s.key.Short(testName(3, uint64(i))))
			}
			names = slices.Compact(slices.Sorted(slices.Values(slices.Concat(names, others))))
			slices.Sort(others)
			for _, among := range []bool{true, false} {
				var want []uint32
				for i, short := range s.short {
					if isGiven[short] == among {
						want = append(want, uint32(i))
					}
				}
				mine, theirs, err := s.split(slices.Clone(names), among)
				if err != nil || !slices.Equal(mine, want) || !slices.Equal(theirs, others) {
					t.Fatalf("%d of %d, %v: %d, %d, %v", given, n, among, len(mine), len(theirs), err)
				}
			}
		}
	}
}

// A name given twice is an error as soon as it matters, and the other side, which can't know, finds that the sizes contradict
// the symbols.
func TestNameTwice(t *testing.T) {
	names, twice := testNames(5, 0, 2007), testName(77, 0)
	p := &pair{a: NewSet(Key{1}, 20, names[:20*2003], twice, twice), b: NewSet(Key{1}, 20, names[20*3:], twice)} // a part of the difference
	if _, _, err := p.a.split([]uint64{p.a.key.Short(twice)}, true); !errors.Is(err, ErrCollision) {
		t.Errorf("split at a name that is there twice: %v", err)
	}
	a, b := p.exchanges(t)
	var errA, errB error
	for errA == nil && errB == nil && (a.Credit() > 0 || b.Credit() > 0) {
		if batch, mode, n := a.Next(nil, 10); n > 0 {
			errB = b.Receive(mode, batch)
		}
		if batch, mode, n := b.Next(nil, 10); n > 0 {
			errA = a.Receive(mode, batch)
		}
	}
	if !errors.Is(errA, ErrCollision) && !errors.Is(errB, ErrContradiction) {
		t.Errorf("errors %v and %v", errA, errB)
	}
}

// Both sides compute the same digest of what they have in common, and different ones if a name that counts as common differs.
func TestCommonDigest(t *testing.T) {
	p := newPair(6, 500, 20, 30)
	a, b := p.exchanges(t)
	pipe{}.run(t, a, b)
	// newPair adds names in the order of their numbers, common ones to both.
	names := func(s *Set) func(uint32) []byte {
		byShort := map[uint64][]byte{}
		for i := range 550 {
			name := testName(6, uint64(i))
			byShort[s.key.Short(name)] = name
		}
		return func(i uint32) []byte { return byShort[s.short[i]] }
	}
	ofA, ofB := p.a.CommonDigest(a.Mine(), names(p.a)), p.b.CommonDigest(b.Mine(), names(p.b))
	if ofA != ofB || ofA == 0 {
		t.Errorf("digests of the same names: %x and %x", ofA, ofB)
	}
	// We have no two names with the same short name, but can mimic their effect: the digests of two names that count as one
	// differ.
	_, part := p.b.key.Hash([]byte("some other name"))
	p.b.first.digest ^= part
	if p.b.CommonDigest(b.Mine(), names(p.b)) == ofA {
		t.Error("a set with another name has the same digest")
	}
}
