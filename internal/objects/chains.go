package objects

import (
	"math"

	"aig/internal/oid"
)

// chains is the delta chains of what is given, each an object and all that is stored as deltas against it, directly or
// not. Objects go by their rank, the place in give.
type chains struct {
	in      oid.Bitmap // the ranks that have come in
	arrival []uint32   // the same, in the order in which they came
	parent  []uint32   // towards the chain's head, which is its own parent
	size    []uint32   // of a chain, at its head
	total   int64
}

func newChains(n int) *chains {
	f := &chains{in: oid.NewBitmap(n, nil), arrival: make([]uint32, 0, n), parent: make([]uint32, n), size: make([]uint32, n)}
	for i := range f.parent {
		f.parent[i] = uint32(i)
	}
	return f
}

// head is the head of an object's chain. It shortens the way there for the next time.
func (f *chains) head(rank uint32) uint32 {
	for f.parent[rank] != rank {
		f.parent[rank] = f.parent[f.parent[rank]]
		rank = f.parent[rank]
	}
	return rank
}

// add takes in an object of the given size: a delta against base, or a whole one, which is its own base. It is false for
// one that is in already. Bases may come later than what leans on them, and a store that has objects twice may even have
// two as deltas against each other.
func (f *chains) add(rank, base uint32, bytes int64) bool {
	if f.in.Has(rank) {
		return false
	}
	f.in.Add(rank)
	f.arrival = append(f.arrival, rank)
	f.total += bytes + objectBytes
	// Nothing but its own coming in gives a rank another parent, so that it is still the head of what leans on it.
	head := f.head(base)
	if head != rank {
		f.parent[rank] = head
		bytes += int64(f.size[rank])
	}
	// 4 GiB is a chain of a piece of its own, and so is more.
	f.size[head] = uint32(min(int64(f.size[head])+bytes+objectBytes, math.MaxUint32))
	return true
}

// pieces cuts what has come in: order is the positions, from give, and ends where in it each piece ends. A piece is as
// large as l allows, or one chain. It is the end of f, whose memory it uses.
func (f *chains) pieces(give []uint32, l limits) (order []uint32, ends []int) {
	most := l.piece(f.total)
	for rank := range f.parent {
		f.parent[rank] = f.head(uint32(rank))
	}
	// The size of a chain makes room for the number of its piece.
	placed := oid.NewBitmap(len(give), nil)
	number, room := uint32(0), most
	for _, rank := range f.arrival {
		head := f.parent[rank]
		if placed.Has(head) {
			continue
		}
		placed.Add(head)
		size := int64(f.size[head])
		if size > room && room < most {
			number++
			room = most
		}
		room -= size
		f.size[head] = number
	}
	ends = make([]int, number+1)
	for rank, head := range f.parent {
		f.parent[rank] = f.size[head]
		ends[f.parent[rank]]++
	}
	begin := 0
	for i, n := range ends {
		ends[i], begin = begin, begin+n
	}
	order = f.size
	for _, rank := range f.arrival {
		end := &ends[f.parent[rank]]
		order[*end] = give[rank]
		*end++
	}
	return order, ends
}
