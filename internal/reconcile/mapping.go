package reconcile

import "math/bits"

// golden is 2^64 divided by the golden ratio, rounded to odd: the step of the counter that splitmix64 (Steele, Lea, Flood,
// OOPSLA 2014) scrambles.
const golden = 0x9e3779b97f4a7c15

// mix64 is the output function of splitmix64: a bijection of 64-bit words in which every input bit reaches every output bit.
func mix64(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// A block is a range of symbol indices in which an element chooses its symbols independently of all other blocks. So a block
// can be made without the ones before it, by one pass over the set that keeps no state between passes.
type block struct {
	number    int
	low, high uint64 // the symbols low <= i < high
}

// blockAt returns block k: [0,112), [112,1792), and from there on each range from 1792 2^q to its double in four equal
// parts: [1792,2240), [2240,2688), [2688,3136), [3136,3584), [3584,4480), ...
//
// The second is long, since one pass should serve every small difference. Later passes touch few symbols for each element and
// are cheap, whereas a block that is only used in part wastes memory.
func blockAt(k int) block {
	switch k {
	case 0:
		return block{0, 0, FirstBlock}
	case 1:
		return block{1, FirstBlock, 16 * FirstBlock}
	}
	unit := uint64(4*FirstBlock) << ((k - 2) / 4) // a quarter of 16 FirstBlock 2^q
	quarter := uint64((k - 2) % 4)
	return block{k, unit * (4 + quarter), unit * (5 + quarter)}
}

// blockOf returns the number of the block that holds symbol i.
func blockOf(i uint64) int {
	switch {
	case i < FirstBlock:
		return 0
	case i < 16*FirstBlock:
		return 1
	}
	units := i / (4 * FirstBlock) // 4 or more
	octave := bits.Len64(units) - 3
	return 2 + 4*octave + int(units>>octave) - 4
}

// A walk lists the symbols of one block that an element belongs to, from the highest index down.
//
// The rule (the paper's, with its parameter alpha = 0.5) is that an element belongs to symbol i with probability 1/(1+i/2) =
// 2/(i+2), independently for each i. Hence the chance that it belongs to none of j, ..., m-1 telescopes:
//
//	j/(j+2) * (j+1)/(j+3) * ... * (m-1)/(m+1)  =  j/m * (j+1)/(m+1)
//
// This is also the chance that two independent uniform numbers u and v from [0,1) obey u < j/m and v < (j+1)/(m+1). So the
// highest index below m is
//
//	max(floor(u*m), floor(v*(m+1)) - 1)
//
// and has exactly the right distribution. Walking down takes two integer multiplications, whereas walking up takes a square
// root or a division. u and v are the high and the low half of one pseudo-random word, in units of 2^-32. The walk always
// reaches index 0, as it should.
type walk struct {
	state uint64 // the counter of splitmix64
	bound uint64 // m: only indices below it are left
	low   uint64 // the lowest index of the block
}

// startWalk begins the walk through a block. Draw t = 1, 2, ... in block k uses the word mix64(short + (k*2^32 + t)*golden),
// modulo 2^64. The short name is a keyed hash already, so it serves as the seed.
func startWalk(short uint64, b block) walk {
	return walk{short + uint64(b.number)<<32*golden, b.high, b.low}
}

// next returns the next lower index, or false at the end of the block.
func (w *walk) next() (uint64, bool) {
	if w.bound == w.low {
		return 0, false
	}
	w.state += golden
	if w.bound = below(w.bound, mix64(w.state)); w.bound < w.low {
		w.bound = w.low
		return 0, false
	}
	return w.bound, true
}

// below returns max(floor(u*m), floor(v*(m+1)) - 1) without a branch, which would be mispredicted half of the time. Both are
// below 2^32, so the difference doesn't overflow.
func below(m, word uint64) uint64 {
	a := int64(word >> 32 * m >> 32)
	more := int64(uint64(uint32(word))*(m+1)>>32) - 1 - a
	return uint64(a + more&^(more>>63))
}
