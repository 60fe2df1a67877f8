package reconcile

import (
	"errors"
	"fmt"
	"slices"

	"aig/internal/oid"
)

// MaxLen is the largest number of names in a set: indices have 32 bits.
const MaxLen = 1<<31 - 1

// Set is a set of names under a key, in the order in which they were given. It keeps the short names only, in 8 bytes each.
type Set struct {
	key   Key
	short []uint64 // of each name
	first firstBlock
}

// ErrCollision says that two names of one set have the same short name, so that they cancel each other out. Either a name was
// given twice, or another key helps.
var ErrCollision = errors.New("two names of our own set have the same short name")

// NewSet returns the set of the names in chunks, which are concatenations of names of size bytes. It makes the first block of
// symbols in the same pass, on at most as many cores as there are chunks. Names must be distinct, see ErrCollision.
func NewSet(key Key, size int, chunks ...[]byte) *Set {
	s := &Set{key: key}
	begin := make([]int, len(chunks)+1)
	for c, names := range chunks {
		begin[c+1] = begin[c] + len(names)/size
	}
	s.short = make([]uint64, begin[len(chunks)])
	firsts := inParallel(len(chunks), 0, func() *firstBlock { return new(firstBlock) }, func(f *firstBlock, c int) {
		for i := range s.short[begin[c]:begin[c+1]] {
			s.short[begin[c]+i] = f.add(&s.key, chunks[c][i*size:(i+1)*size])
		}
	})
	for _, f := range firsts {
		s.first.merge(f)
	}
	return s
}

// Len returns the number of names.
func (s *Set) Len() int { return len(s.short) }

// split compares the set with ascending, distinct short names, and returns the indices of those of its own that are among them, or
// of those that aren't, ascending, and the names that aren't in the set, in place of names if these are most. Where names are few, it
// takes a few nanoseconds for each name of the set. Its error is ErrCollision, if the set has one of the names twice.
func (s *Set) split(names []uint64, among bool) (mine []uint32, theirs []uint64, err error) {
	// names[starts[b]:starts[b+1]] begin with the 16 bits b.
	starts := make([]uint32, 1<<16+1)
	for _, name := range names {
		starts[name>>48+1]++
	}
	for b := range 1 << 16 {
		starts[b+1] += starts[b]
	}
	room := len(s.short)
	if among {
		room = min(room, len(names))
	}
	mine = make([]uint32, 0, room) // unused room costs nothing
	ours := oid.NewBitmap(len(names), nil)
	for i, short := range s.short {
		first, end := starts[short>>48], starts[short>>48+1]
		within, found := slices.BinarySearch(names[first:end], short)
		if found == among {
			mine = append(mine, uint32(i))
		}
		if !found {
			continue
		}
		at := first + uint32(within)
		if ours.Has(at) {
			return nil, nil, fmt.Errorf("%w: name %d and one before it", ErrCollision, i)
		}
		ours.Add(at)
	}
	theirs = names[:0]
	for at, name := range names {
		if !ours.Has(uint32(at)) {
			theirs = append(theirs, name)
		}
	}
	if len(theirs) < len(names)/2 {
		theirs = slices.Clone(theirs) // or all of names would stay in memory
	}
	return mine, theirs, nil
}

// CommonDigest returns a 64-bit digest of the names that both sets have: the XOR of the digests (see Key.Hash) of all names
// except mine, the indices of those that only this set has. name returns the name of an index. The sides compare it, since the
// symbols can't tell two different names with the same short name apart.
func (s *Set) CommonDigest(mine []uint32, name func(index uint32) []byte) uint64 {
	d := s.first.digest
	for _, i := range mine {
		_, digest := s.key.Hash(name(i))
		d ^= digest
	}
	return d
}
