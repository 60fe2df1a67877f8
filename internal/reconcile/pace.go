package reconcile

import "math/big"

// symbolsFor returns how many symbols d differences take on average: 1.35 d + sqrt(d), which is right to 2 per cent from 20
// differences on. The standard deviation is about sqrt(d).
func symbolsFor(d uint64) uint64 { return 27*d/20 + sqrt(d) }

// sqrt returns the integer part of the square root: a floating-point one could differ between two machines.
func sqrt(n uint64) uint64 {
	x := new(big.Int).SetUint64(n)
	return x.Sqrt(x).Uint64()
}

// An estimator estimates the size of the difference from the counts of the first block. Let D be our size less the peer's,
// and c our count of symbol i less the peer's. The common elements cancel out in c, and each of the d that differ adds or
// subtracts 1 with probability r = 2/(i+2): the mean of c is r D, and its variance d r (1-r). So
//
//	(c - r D)^2 / (r (1-r))  =  ((i+2) c - 2 D)^2 / (2 i)
//
// has mean d for every i > 0, and the average over the first block deviates from d by sqrt(2/111), 13 per cent.
//
// Counts travel modulo 2^16. Since c is within a few times sqrt(d)/2 of r D, that loses nothing.
type estimator struct {
	delta int64  // D
	sum   uint64 // of 111 terms
}

// add adds the counts of symbol i > 0. On the two sides D and c have opposite signs, but since division truncates towards zero
// and the deviation is squared, both get the same result.
func (e *estimator) add(i uint64, own, peer uint16) {
	width := int64(i) + 2
	mean := 2 * e.delta / width
	c := mean + int64(int16(own-peer-uint16(mean)))
	deviation := width*c - 2*e.delta
	e.sum += uint64(deviation*deviation) / (2 * i)
}

// estimate returns the estimate, clamped to what sets of these sizes allow.
func (e *estimator) estimate(own, peer int) uint64 {
	least := uint64(max(own-peer, peer-own))
	return min(max(e.sum/(FirstBlock-1), least), uint64(own)+uint64(peer))
}

// listFirst reports whether both sides send lists of their names and no symbols at all: if the longer list is no longer than the
// first block, or than the symbols for the smallest difference that sets of these sizes can have.
func listFirst(own, peer int) bool {
	symbols := symbolsFor(uint64(max(own-peer, peer-own)))
	return listBytes(own, peer) <= symbolBytes(max(symbols, FirstBlock))
}

// listAfter reports whether both sides change to lists after the complete first block: if the longer list is shorter than the
// symbols that the estimate says are still missing.
func listAfter(own, peer int, estimate uint64) bool {
	symbols := symbolsFor(estimate)
	return symbols > FirstBlock && listBytes(own, peer) < (symbols-FirstBlock)*SymbolSize
}

func listBytes(own, peer int) uint64 { return uint64(max(own, peer)) * ShortSize }

// maxSymbols bounds how many symbols we take from any peer.
const maxSymbols = 1 << 31

// symbolLimit returns how many symbols a peer may send before it is clear that they will never decode: twice as many as
// there could be differences, and no more than three times as many as the estimate suggests. The estimate is less than half of
// the truth once in 400,000 times, less than a third once in 10^11. The constant allows for bad luck with small differences.
func symbolLimit(own, peer int, estimate uint64) uint64 {
	return min(2*(uint64(own)+uint64(peer)), 4*estimate+estimate/16, maxSymbols-1024) + 1024
}

// window returns how many symbols a side that doesn't know the difference yet may have sent in all, having received that many.
// It decides how many round trips the exchange takes on a long pipe, and how many surplus symbols are sent on any.
//
// Nothing can get stuck. Assume that everything sent has been received, and that neither side has credit. An undecided
// side's window is larger than what it has received, so it has sent more than it received. If both are undecided, each has
// sent more than the other: impossible. If one has decided, it has sent as many symbols as it needed itself. The other needs
// just as many, since the remaining symbols are the same on both sides, so it has decided too.
//
// The window is first the whole first block, then as much as the estimate suggests, but always a small step more than was
// received. Stopping short costs half a round trip, and going too far sends symbols that nobody needs: the estimate is 13 per cent
// off on average. On a long pipe, an exchange takes 1.0 to 1.4 round trips on average, and three at worst.
func window(received, estimate uint64) uint64 {
	if received < FirstBlock {
		return FirstBlock
	}
	step := received + max(80, received/16+40)
	return max(step, symbolsFor(estimate)+2*sqrt(estimate))
}
