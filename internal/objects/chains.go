package objects

import (
	"math"

	"aig/internal/links"
	"aig/internal/oid"
)

// chains groups the objects to be given by delta chain: an object and everything stored as deltas against it, directly or not.
// An object is known by its rank, its place in give.
type chains struct {
	in      oid.Bitmap // the ranks added so far
	arrival []uint32   // the same, in the order of adding
	parent  []uint32   // towards the chain's head, which is its own parent (a union-find)
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

// head returns the head of an object's chain, and shortens the path to it.
func (f *chains) head(rank uint32) uint32 { return links.Head(f.parent, rank) }

// add adds an object of the given size, unless it was added before: a delta against base, or a whole object, which is its own base. A
// base may come after its deltas, and a store that has objects twice may even have two as deltas against each other.
func (f *chains) add(rank, base uint32, bytes int64) {
	if f.in.Has(rank) {
		return
	}
	f.in.Add(rank)
	f.arrival = append(f.arrival, rank)
	f.total += bytes + objectBytes
	// A rank gets another parent only when it is added, so it is still the head of its deltas.
	head := f.head(base)
	if head != rank {
		f.parent[rank] = head
		bytes += int64(f.size[rank])
	}
	// A chain of 4 GiB or more is a piece of its own anyway.
	f.size[head] = uint32(min(int64(f.size[head])+bytes+objectBytes, math.MaxUint32))
}

// pieces cuts what was added into pieces, as large as l allows or one chain each: order is the positions from give, and ends says
// where in it each piece ends; large has the numbers of the pieces that are one chain larger than a piece may be. It overwrites f and
// returns parts of it.
func (f *chains) pieces(give []uint32, l limits) (order []uint32, ends []int, large map[int]bool) {
	most := l.piece(f.total)
	for rank := range f.parent {
		f.parent[rank] = f.head(uint32(rank))
	}
	// From here on, a chain's size is replaced by the number of its piece.
	placed := oid.NewBitmap(len(give), nil)
	number, room := uint32(0), most
	large = make(map[int]bool)
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
		if size > most {
			large[int(number)] = true
		}
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
	return order, ends, large
}
