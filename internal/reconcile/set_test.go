package reconcile

import (
	"errors"
	"runtime"
	"slices"
	"testing"
)

// However names are added and however many cores work, the set, its symbols and its digest are the same.
func TestSetIsTheSameHoweverMade(t *testing.T) {
	const n = 2*chunkLen + 777
	var names []byte
	one := NewSet(Key{9})
	for i := range n {
		name := testName(1, uint64(i))
		names = append(names, name...)
		one.Add(name)
	}
	for _, cores := range []int{1, 3} {
		func() {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
			many := NewSet(Key{9})
			many.Add(names[:20]) // the first packed name is in the middle of a chunk
			many.AddPacked(names[20:20*chunkLen], 20)
			many.AddPacked(nil, 20)
			many.AddPacked(names[20*chunkLen:], 20)
			if many.Len() != n || many.first != one.first {
				t.Fatalf("%d cores: %d names, or another first block", cores, many.Len())
			}
			for c := range one.parts() {
				if !slices.Equal(one.part(c), many.part(c)) {
					t.Fatalf("%d cores: other short names in chunk %d", cores, c)
				}
			}
			for _, k := range []int{0, 1, 2, 9} {
				if !slices.Equal(one.encode(blockAt(k)), many.encode(blockAt(k))) {
					t.Fatalf("%d cores: other symbols in block %d", cores, k)
				}
			}
		}()
	}
}

// The first block that Add makes is what encodeInto makes of the short names.
func TestFirstBlockIsABlock(t *testing.T) {
	p := newPair(3, 1000, 0, 0)
	cells := make([]cell, FirstBlock)
	var counts [FirstBlock]uint16
	for i := range p.a.Len() {
		encodeInto(cells, &p.a.key, blockAt(0), *p.a.at(i))
		w := startWalk(*p.a.at(i), blockAt(0))
		for j, ok := w.next(); ok; j, ok = w.next() {
			counts[j]++
		}
	}
	if !slices.Equal(cells, p.a.first.cells[:]) || counts != p.a.first.counts {
		t.Error("the first block differs")
	}
}

// Every name is found by its short name, and no other is.
func TestIndex(t *testing.T) {
	for _, n := range []int{0, 1, 2, 5, 1000, chunkLen + 3} {
		s := NewSet(Key{1})
		for i := range n {
			s.Add(testName(2, uint64(i)))
		}
		for i := range n {
			if at, ok, err := s.Index(s.key.Short(testName(2, uint64(i)))); err != nil || !ok || at != uint32(i) {
				t.Fatalf("name %d of %d: found at %d, %v, %v", i, n, at, ok, err)
			}
		}
		for _, short := range []uint64{0, 1<<64 - 1, s.key.Short([]byte("no name"))} {
			if _, ok, err := s.Index(short); ok || err != nil {
				t.Fatalf("%x among %d: %v, %v", short, n, ok, err)
			}
		}
		s.Add([]byte("late"))
		if at, ok, err := s.Index(s.key.Short([]byte("late"))); err != nil || !ok || at != uint32(n) {
			t.Fatalf("a name added after the index was built: %d, %v, %v", at, ok, err)
		}
	}
}

// A name added twice is an error as soon as it matters, and the other side, which cannot know, finds that the sizes
// contradict the symbols.
func TestNameTwice(t *testing.T) {
	p := newPair(5, 2000, 3, 4)
	twice := testName(77, 0)
	p.a.Add(twice)
	p.a.Add(twice)
	if _, _, err := p.a.Index(p.a.key.Short(twice)); !errors.Is(err, ErrCollision) {
		t.Errorf("Index of a name that is there twice: %v", err)
	}
	p.b.Add(twice) // so that it is part of the difference
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

// Both sides compute the same digest of what they have in common, and another one if a name that counts as common is not the
// same.
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
		return func(i uint32) []byte { return byShort[*s.at(int(i))] }
	}
	ofA, ofB := p.a.CommonDigest(a.Mine(), names(p.a)), p.b.CommonDigest(b.Mine(), names(p.b))
	if ofA != ofB || ofA == 0 {
		t.Errorf("digests of the same names: %x and %x", ofA, ofB)
	}
	// Two names with one short name can't be had, but their effect can: the digest parts of two names that count as one
	// differ.
	_, part := p.b.key.Hash([]byte("some other name"))
	p.b.first.digest ^= part
	if p.b.CommonDigest(b.Mine(), names(p.b)) == ofA {
		t.Error("a set with another name has the same digest")
	}
}
