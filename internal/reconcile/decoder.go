package reconcile

import (
	"errors"
	"fmt"
	"slices"
)

// ErrContradiction says that the peer's symbols or list can't come from a set of the size that it announced.
var ErrContradiction = errors.New("the peer's set contradicts itself")

// A decoder finds the difference between the own set and the peer's.
//
// It holds, for each symbol made so far, what remains to be explained: the own symbol, XOR the peer's once that has come,
// XOR every element recovered so far that belongs to it. Common elements have cancelled out where the peer's symbol has
// come. Where one differing element is left, the check hash of the sum is the check sum: the element is recovered, and taken
// out of all symbols that it belongs to, which may leave one element in others. This is called peeling. It ends with every
// received symbol zero, or waits for more.
//
// What remains is the same on both sides after the same number of symbols, as XOR knows no sign. So both sides need the same
// number of symbols, and recover the same elements; only whose they are is seen from the other side.
type decoder struct {
	set     *Set
	peerLen int

	blocks   [][]cell // what remains, block by block
	received uint64   // symbols that have come from the peer
	nonzero  int      // of these, how many are not zero
	needed   uint64   // symbols it took, 0 until the difference is known

	mine   []uint32 // indices of recovered elements that only this side has
	theirs []uint64 // short names of those that only the peer has
	todo   []uint64 // indices of received symbols with perhaps one element left

	lowChanged bool // symbols that complements are made of, since single looked
}

// extend takes in the own symbols of the next block, and takes what has been recovered out of them. The decoder keeps the
// slice.
func (d *decoder) extend(cells []cell) {
	b := blockAt(len(d.blocks))
	for _, i := range d.mine {
		encodeInto(cells, &d.set.key, b, d.set.short[i])
	}
	for _, short := range d.theirs {
		encodeInto(cells, &d.set.key, b, short)
	}
	d.blocks = append(d.blocks, cells)
}

// cell returns what remains of symbol i, which must have been made.
func (d *decoder) cell(i uint64) *cell {
	k := blockOf(i)
	return &d.blocks[k][i-blockAt(k).low]
}

// receive takes in the peer's next symbol; its own counterpart must have been made, and the difference must not be known
// yet.
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
		return d.finish()
	}
	// Every element belongs to symbol 0.
	if d.blocks[0][0].isZero() {
		return fmt.Errorf("%w: symbol 0 is explained, %d others are not", ErrContradiction, d.nonzero)
	}
	return nil
}

// peel recovers elements until there is nothing left to begin with.
//
// No more elements come out of honest symbols than symbols have come in, as there are no more unknowns than equations. This
// bounds the work on symbols that contradict each other, from which peeling could draw an element, put it back and draw it
// again.
func (d *decoder) peel() error {
	for {
		c, ok := d.single()
		if !ok {
			return nil
		}
		if uint64(len(d.mine)+len(d.theirs)) >= d.received {
			return fmt.Errorf("%w: more elements than symbols", ErrContradiction)
		}
		index, ok, err := d.set.Index(c.sum)
		switch {
		case err != nil:
			return err
		case ok:
			d.mine = append(d.mine, index)
		default:
			d.theirs = append(d.theirs, c.sum)
		}
		d.remove(c)
	}
}

// complements is the number of symbols, from 0 on, whose complements are used.
const complements = 16

// single finds an element that stands alone.
//
// It does so in a symbol, or in what symbol 0, which holds all elements, has more than one of the low symbols, which hold
// about half of them. This second rule is not in the paper. With a handful of differences it saves one symbol in six; with
// more of them it is of no use, and hardly any work. The order in which elements are found doesn't matter: one that stands
// alone goes on doing so until it is taken out.
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

// isSingle tells whether a sum is that of one element.
func (d *decoder) isSingle(c cell) bool {
	return !c.isZero() && d.set.key.check(c.sum) == c.check
}

// remove takes an element out of all symbols that it belongs to, also those that the peer has still to send.
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

// finish checks the difference against the sizes of the sets and sorts it. A hostile peer can say what it likes about its own
// set, but whatever is believed is a difference that a set of the announced size can have.
func (d *decoder) finish() error {
	d.blocks, d.todo = nil, nil
	if !sortDistinct(d.mine) || !sortDistinct(d.theirs) {
		return fmt.Errorf("%w: an element twice", ErrContradiction)
	}
	if own := d.set.Len(); own-len(d.mine) != d.peerLen-len(d.theirs) || len(d.theirs) > d.peerLen {
		return fmt.Errorf("%w: of %d names, %d of them ours only, and %d, %d of them theirs only, not as many are left",
			ErrContradiction, own, len(d.mine), d.peerLen, len(d.theirs))
	}
	return nil
}

// sortDistinct sorts a slice and tells whether no value is in it twice.
func sortDistinct[T uint32 | uint64](s []T) bool {
	slices.Sort(s)
	for i := 1; i < len(s); i++ {
		if s[i-1] == s[i] {
			return false
		}
	}
	return true
}
