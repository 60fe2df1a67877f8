package reconcile

import (
	"errors"
	"fmt"
	"slices"
)

// ErrContradiction says that the peer's symbols or list can't be those of a set of the size that it announced.
var ErrContradiction = errors.New("the peer's set contradicts itself")

// A decoder finds the difference between our set and the peer's.
//
// It holds, for each symbol made so far, what remains to be explained: our symbol, XOR the peer's once that has come, XOR
// every element recovered so far that belongs to it. Once the peer's symbol has come, common elements have cancelled out. If
// one differing element is left, the check hash of the sum equals the check sum: the element is recovered, and removed from
// all symbols that it belongs to, which may leave one element in others. This is called peeling. It ends when every received
// symbol is zero, or waits for more.
//
// What remains is the same on both sides after the same number of symbols, since XOR has no sign. So both sides need the same
// number of symbols, and recover the same elements; only "ours" and "theirs" are swapped.
type decoder struct {
	key *Key

	blocks   [][]cell // what remains, block by block
	received uint64   // symbols that have come from the peer
	nonzero  int      // how many of these are not zero
	needed   uint64   // symbols it took, 0 until the difference is known

	found []uint64 // short names of recovered elements, whichever side has them
	todo  []uint64 // indices of received symbols that may have one element left

	lowChanged bool // symbols that make up complements have changed since single looked
}

// extend adds our symbols of the next block, and removes what has been recovered from them. The decoder keeps the slice.
func (d *decoder) extend(cells []cell) {
	b := blockAt(len(d.blocks))
	for _, short := range d.found {
		encodeInto(cells, d.key, b, short)
	}
	d.blocks = append(d.blocks, cells)
}

// cell returns what remains of symbol i, which must have been made.
func (d *decoder) cell(i uint64) *cell {
	k := blockOf(i)
	return &d.blocks[k][i-blockAt(k).low]
}

// receive takes the peer's next symbol. Ours of the same index must have been made, and the difference must not be known yet.
func (d *decoder) receive(remote cell) error {
	c := d.cell(d.received)
	c.xor(remote.sum, remote.check)
	if !c.isZero() {
		d.nonzero++
		d.todo = append(d.todo, d.received)
	}
	d.lowChanged = d.lowChanged || d.received < complements
	d.received++
	if err := d.peel(); err != nil {
		return err
	}
	if d.nonzero == 0 {
		d.needed = d.received
		return nil
	}
	// Every element belongs to symbol 0.
	if d.blocks[0][0].isZero() {
		return fmt.Errorf("%w: symbol 0 is explained, %d others are not", ErrContradiction, d.nonzero)
	}
	return nil
}

// peel recovers elements until no more can be.
//
// Honest symbols never yield more elements than there are symbols: there can't be more unknowns than equations. This bounds
// the work on contradictory symbols, from which peeling could take an element, put it back and take it again for ever.
func (d *decoder) peel() error {
	for {
		c, ok := d.single()
		if !ok {
			return nil
		}
		if uint64(len(d.found)) >= d.received {
			return fmt.Errorf("%w: more elements than symbols", ErrContradiction)
		}
		d.found = append(d.found, c.sum)
		d.remove(c)
	}
}

// complements is the number of symbols, starting with symbol 0, that complements are made from.
const complements = 16

// single finds an element that stands alone.
//
// It looks in a symbol, and in the complement of a low symbol: what symbol 0, which holds all elements, has beyond it. Low
// symbols hold up to two thirds of the elements. Complements are not in the paper. With a handful of differences they save one
// symbol in six; with more they are of no use, but hardly any work. The order in which elements are found doesn't matter: one
// that stands alone stays alone until it is removed.
func (d *decoder) single() (cell, bool) {
	for len(d.todo) > 0 {
		i := d.todo[len(d.todo)-1]
		d.todo = d.todo[:len(d.todo)-1]
		if c := *d.cell(i); d.isSingle(c) {
			return c, true
		}
	}
	if !d.lowChanged {
		return cell{}, false
	}
	low := d.blocks[0][:min(d.received, complements)]
	for _, c := range low[1:] {
		c.xor(low[0].sum, low[0].check)
		if d.isSingle(c) {
			return c, true
		}
	}
	d.lowChanged = false
	return cell{}, false
}

// isSingle reports whether one element is left in a cell.
func (d *decoder) isSingle(c cell) bool {
	return !c.isZero() && d.key.check(c.sum) == c.check
}

// remove removes an element from all symbols that it belongs to, including those that the peer has yet to send.
func (d *decoder) remove(element cell) {
	d.lowChanged = true
	for k, cells := range d.blocks {
		b := blockAt(k)
		w := startWalk(element.sum, b)
		for j, ok := w.next(); ok; j, ok = w.next() {
			c := &cells[j-b.low]
			wasZero := c.isZero()
			c.xor(element.sum, element.check)
			if j >= d.received {
				continue
			}
			if wasZero {
				d.nonzero++
			}
			if c.isZero() {
				d.nonzero--
			} else if d.isSingle(*c) {
				d.todo = append(d.todo, j)
			}
		}
	}
}

// sortDistinct sorts a slice and reports whether its values are distinct. If they aren't, it spoils the slice.
func sortDistinct(s []uint64) bool {
	slices.Sort(s)
	return len(slices.Compact(s)) == len(s)
}
