package reconcile

import (
	"errors"
	"fmt"
	"math/bits"
)

// MaxLen is the largest number of names in a set: indices have 32 bits.
const MaxLen = 1<<31 - 1

// chunkLen is how many short names are stored together and given to a core at a time. A set grows by chunks of half a MiB:
// nothing is copied when it grows, and no memory stands by for more than a chunk.
const chunkLen = 1 << 16

// Set is a set of names under a key, in the order in which they were added. It keeps no names: 8 bytes for each short name,
// and 5 more once the index is built. The first block of symbols is made on the way, so it is ready as soon as the last name
// is added.
//
// One goroutine at a time may add. Index and a list build the index, before which only one may ask.
type Set struct {
	key    Key
	len    int
	chunks [][]uint64
	first  firstBlock

	// The index: names whose short name falls into bucket b stand, by their indices, in order[starts[b]:starts[b+1]].
	starts, order []uint32
}

// ErrCollision says that two names of one set have the same short name, so that one XOR-ed with the other is nothing. Either
// a name was added twice, or another key puts it right.
var ErrCollision = errors.New("two names of our own set have the same short name")

// NewSet returns an empty set.
func NewSet(key Key) *Set { return &Set{key: key} }

// Len returns the number of names added.
func (s *Set) Len() int { return s.len }

// AddPacked adds names of size bytes each that follow one another in names, on all cores; the index of each is the number of
// names added before. Names have to be distinct, see ErrCollision.
func (s *Set) AddPacked(names []byte, size int) {
	from, to := s.len, s.len+len(names)/size
	s.grow(to - from)
	// Each task fills the new part of one chunk, so that no two tasks write to the same.
	part := from / chunkLen
	firsts := inParallel((to+chunkLen-1)/chunkLen-part, 0, func() *firstBlock { return new(firstBlock) },
		func(f *firstBlock, task int) {
			low, high := max(from, (part+task)*chunkLen), min(to, (part+task+1)*chunkLen)
			for i := low; i < high; i++ {
				*s.at(i) = f.add(&s.key, names[(i-from)*size:(i-from+1)*size])
			}
		})
	for _, f := range firsts {
		s.first.merge(f)
	}
	s.len = to
	s.starts, s.order = nil, nil
}

// grow makes room for n more short names.
func (s *Set) grow(n int) {
	for len(s.chunks)*chunkLen < s.len+n {
		s.chunks = append(s.chunks, make([]uint64, chunkLen))
	}
}

func (s *Set) at(i int) *uint64 { return &s.chunks[i/chunkLen][i%chunkLen] }

// part returns the short names in chunk c.
func (s *Set) part(c int) []uint64 {
	return s.chunks[c][:min(chunkLen, s.len-c*chunkLen)]
}

// parts returns the number of chunks in use.
func (s *Set) parts() int { return (s.len + chunkLen - 1) / chunkLen }

// bucket maps a short name to one of n buckets, by its leading bits. Short names are uniform, so buckets are about equally
// full.
func bucket(short uint64, n int) int {
	b, _ := bits.Mul64(short, uint64(n))
	return int(b)
}

// buildIndex prepares for Index. It takes some tens of nanoseconds a name, and is done when it is first needed: where nothing is to do
// it never is.
func (s *Set) buildIndex() {
	if s.starts != nil {
		return
	}
	// A counting sort by bucket, four names to a bucket. After the second pass, starts[b+1] has moved from the start of
	// bucket b to its end.
	n := s.len/4 + 1
	s.starts = make([]uint32, n+2)
	s.order = make([]uint32, s.len)
	for c := range s.parts() {
		for _, short := range s.part(c) {
			s.starts[bucket(short, n)+2]++
		}
	}
	for b := 2; b < len(s.starts); b++ {
		s.starts[b] += s.starts[b-1]
	}
	for c := range s.parts() {
		for i, short := range s.part(c) {
			next := &s.starts[bucket(short, n)+1]
			s.order[*next] = uint32(c*chunkLen + i)
			*next++
		}
	}
}

// Index returns the index of the name with this short name. Its error is ErrCollision: there are two.
func (s *Set) Index(short uint64) (index uint32, ok bool, err error) {
	s.buildIndex()
	b := bucket(short, s.len/4+1)
	for _, i := range s.order[s.starts[b]:s.starts[b+1]] {
		if *s.at(int(i)) != short {
			continue
		}
		if ok {
			return 0, false, fmt.Errorf("%w: names %d and %d", ErrCollision, index, i)
		}
		index, ok = i, true
	}
	return index, ok, nil
}

// CommonDigest returns a 64-bit digest of the names that both sets have: the XOR of the digests (see Key.Hash) of all names
// but those of the given indices, the ones that only this set has. name returns the name of an index. Sides compare it, since
// the sums know nothing of two different names with one short name.
func (s *Set) CommonDigest(mine []uint32, name func(index uint32) []byte) uint64 {
	d := s.first.digest
	for _, i := range mine {
		_, digest := s.key.Hash(name(i))
		d ^= digest
	}
	return d
}
