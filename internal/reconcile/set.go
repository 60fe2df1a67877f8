package reconcile

import (
	"errors"
	"fmt"
	"math/bits"
)

// MaxLen is the largest number of names in a set: indices have 32 bits.
const MaxLen = 1<<31 - 1

// Set is a set of names under a key, in the order in which they were given. It keeps the short names only, in 8 bytes each and 5
// more once the index is built.
//
// Index and sort build the index. Until then only one goroutine may call Index, afterwards any number.
type Set struct {
	key   Key
	short []uint64 // of each name
	first firstBlock

	// The index: order[starts[b]:starts[b+1]] holds the indices of the names whose short names fall into bucket b.
	starts, order []uint32
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

// bucket maps a short name to one of n buckets, by its leading bits. Short names are uniform, so buckets fill evenly.
func bucket(short uint64, n int) int {
	b, _ := bits.Mul64(short, uint64(n))
	return int(b)
}

// buildIndex builds the index, if there is none. It takes some tens of nanoseconds a name, so it waits until the index is needed:
// for lists.
func (s *Set) buildIndex() {
	if s.starts != nil {
		return
	}
	// A counting sort by bucket, four names to a bucket. After the second pass, starts[b+1] has moved from the start of
	// bucket b to its end.
	n := len(s.short)/4 + 1
	s.starts = make([]uint32, n+2)
	s.order = make([]uint32, len(s.short))
	for _, short := range s.short {
		s.starts[bucket(short, n)+2]++
	}
	for b := 2; b < len(s.starts); b++ {
		s.starts[b] += s.starts[b-1]
	}
	for i, short := range s.short {
		next := &s.starts[bucket(short, n)+1]
		s.order[*next] = uint32(i)
		*next++
	}
}

// Index returns the index of the name with this short name. Its error is ErrCollision, if there are two.
func (s *Set) Index(short uint64) (index uint32, ok bool, err error) {
	s.buildIndex()
	b := bucket(short, len(s.short)/4+1)
	for _, i := range s.order[s.starts[b]:s.starts[b+1]] {
		if s.short[i] != short {
			continue
		}
		if ok {
			return 0, false, fmt.Errorf("%w: names %d and %d", ErrCollision, index, i)
		}
		index, ok = i, true
	}
	return index, ok, nil
}

// split divides ascending short names between the sides: mine is the indices of those that are in the set, theirs is the others, both
// ascending. It takes a few nanoseconds for each name of the set, and no index. Its error is ErrCollision, if the set has one twice.
func (s *Set) split(found []uint64) (mine []uint32, theirs []uint64, err error) {
	n := 4*len(found) + 1
	starts := make([]uint32, n+1) // found[starts[b]:starts[b+1]] fall into bucket b
	for _, short := range found {
		starts[bucket(short, n)+1]++
	}
	for b := range n {
		starts[b+1] += starts[b]
	}
	ours := make([]bool, len(found))
	for i, short := range s.short {
		b := bucket(short, n)
		for at := starts[b]; at < starts[b+1]; at++ {
			if found[at] != short {
				continue
			}
			if ours[at] {
				return nil, nil, fmt.Errorf("%w: name %d and one before it", ErrCollision, i)
			}
			ours[at] = true
			mine = append(mine, uint32(i))
		}
	}
	for at, short := range found {
		if !ours[at] {
			theirs = append(theirs, short)
		}
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
