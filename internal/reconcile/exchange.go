package reconcile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Mode says what a batch consists of.
type Mode uint8

const (
	// Symbols are coded symbols, in order.
	Symbols Mode = iota
	// List is the short names of the whole set, in any order.
	List
	// Sorted is the same in ascending order, coded by differences. A list may come in batches of either kind.
	Sorted
)

// ErrUndecodable says that the peer has sent as many symbols as it may, and that they don't decode.
var ErrUndecodable = errors.New("the peer's symbols don't decode")

// Exchange finds the difference between a set and that of a peer, which runs an Exchange too. It does no input or output: the
// caller sends what Next returns as long as there is Credit, and passes what the peer sends to Receive. Sending and receiving may
// interleave in any way. An Exchange is not safe for concurrent use.
//
//	for !x.Finished() {
//		for x.Credit() > 0 { batch, mode, n := x.Next(nil, 512); send(mode, batch) }
//		if !x.Done() { mode, batch := read(); err := x.Receive(mode, batch) }
//	}
//
// What a peer sends after this side has Finished are symbols sent ahead; Receive checks and drops them.
type Exchange struct {
	set     *Set
	peerLen int
	sorted  bool // our list is sent as Sorted
	mode    Mode // Symbols or List: what the peer must send, and we do; it may change to List after the first block
	err     error

	decoder   decoder
	estimator estimator
	estimate  uint64   // set at the end of the first block
	limit     uint64   // of received; above FirstBlock if that block was not enough
	received  uint64   // symbols, including those that came too late to matter
	sent      uint64   // symbols
	window    uint64   // how many symbols may have been sent in all
	own       [][]cell // our symbols by block, nil once the block is sent

	list     []uint64 // the short names that have come of the peer's list
	ordered  []uint64 // our own short names in the order in which they are sent as a list, once Mode is List
	listSent int

	done   bool // the difference is known
	mine   []uint32
	theirs []uint64
}

// maxRoom bounds the room for the peer's list that is made before any of it has come, in names.
const maxRoom = 1 << 25

// NewExchange begins an exchange between a set and that of a peer that has announced peerLen names; each has at most MaxLen. The
// two sizes decide whether it begins with symbols or lists. sorted says that the peer knows sorted lists.
func NewExchange(set *Set, peerLen int, sorted bool) *Exchange {
	x := &Exchange{
		set:       set,
		peerLen:   peerLen,
		sorted:    sorted,
		decoder:   decoder{key: &set.key},
		estimator: estimator{delta: int64(set.Len()) - int64(peerLen)},
		limit:     FirstBlock,
		window:    FirstBlock,
	}
	if listFirst(set.Len(), peerLen) {
		x.window = 0
		x.err = x.changeToList()
	}
	return x
}

// changeToList changes from symbols to lists.
func (x *Exchange) changeToList() error {
	x.mode = List
	x.decoder = decoder{}
	if x.ordered = x.set.short; x.sorted {
		x.ordered = slices.Clone(x.ordered)
		slices.Sort(x.ordered)
	}
	// Growing would leave two or three times the size as garbage. Unused room costs nothing: the system backs memory on first use.
	x.list = make([]uint64, 0, min(x.peerLen, maxRoom))
	return x.receiveList(x.list) // an empty list is complete already
}

// receiveList takes the peer's list with what has come last, and finds the difference once it is complete.
func (x *Exchange) receiveList(list []uint64) error {
	if x.list = list; x.done || len(list) > x.peerLen {
		return fmt.Errorf("%w: a list longer than the %d names announced", ErrContradiction, x.peerLen)
	}
	if len(list) < x.peerLen {
		return nil
	}
	if !sortDistinct(x.list) {
		return fmt.Errorf("%w: a name twice in the list", ErrContradiction)
	}
	var err error
	x.mine, x.theirs, err = x.set.split(x.list, false)
	x.done, x.list = err == nil, nil
	return err
}

// Done reports whether the difference is known.
func (x *Exchange) Done() bool { return x.done && x.err == nil }

// Finished reports whether the difference is known, and the peer has been sent all that it needs to know it too.
func (x *Exchange) Finished() bool { return x.Done() && x.Credit() == 0 }

// Credit returns how many symbols or list entries may be sent now, 0 after an error. Two sides that don't know the difference
// yet never wait for each other; see window.
func (x *Exchange) Credit() int {
	if x.err != nil {
		return 0
	}
	if n := x.symbolCredit(); n > 0 || x.mode == Symbols {
		return n
	}
	return x.set.Len() - x.listSent
}

func (x *Exchange) symbolCredit() int {
	window := x.window
	if x.decoder.needed > 0 {
		// The remaining difference is the same on both sides, so the peer needs as many symbols as this side did.
		window = x.decoder.needed
	}
	return int(max(window, x.sent) - x.sent)
}

// Next appends a batch of the next entries to dst, as many as limit and Credit allow, and returns it with its mode and the
// number of entries. An entry has at most CountedSize bytes. limit must be below 1<<16, what a sorted batch can hold.
func (x *Exchange) Next(dst []byte, limit int) ([]byte, Mode, int) {
	n := min(limit, x.Credit())
	if n <= 0 {
		return dst, x.mode, 0
	}
	if x.symbolCredit() == 0 {
		mode, next := List, x.ordered[x.listSent:]
		if x.sorted {
			mode = Sorted
			dst = appendSorted(dst, x.set.Len(), next[:n])
		} else {
			for _, short := range next[:n] {
				dst = binary.BigEndian.AppendUint64(dst, short)
			}
		}
		if x.listSent += n; x.listSent == x.set.Len() {
			x.ordered = nil
		}
		return dst, mode, n
	}
	for range n {
		x.make(x.sent)
		k := blockOf(x.sent)
		b := blockAt(k)
		s := symbol{cell: x.own[k][x.sent-b.low]}
		if x.sent < FirstBlock {
			s.count = x.set.first.counts[x.sent]
		}
		dst = appendSymbol(dst, x.sent, s)
		x.sent++
		if x.sent == b.high {
			x.own[k] = nil
		}
	}
	return dst, Symbols, n
}

// make makes our symbols up to i, in whole blocks.
func (x *Exchange) make(i uint64) {
	for k := len(x.own); k <= blockOf(i); k++ {
		cells := x.set.encode(blockAt(k))
		if x.mode == Symbols && x.decoder.needed == 0 {
			x.decoder.extend(slices.Clone(cells))
		}
		x.own = append(x.own, cells)
	}
}

// Receive takes a batch from the peer. An error is final: the exchange has failed. The caller must bound the size of a batch.
func (x *Exchange) Receive(mode Mode, batch []byte) error {
	if x.err == nil {
		x.err = x.receive(mode, batch)
	}
	return x.err
}

func (x *Exchange) receive(mode Mode, batch []byte) error {
	if mode != Symbols {
		if x.mode == Symbols {
			return fmt.Errorf("%w: a list where symbols are due", ErrContradiction)
		}
		parse := parseShorts
		if mode == Sorted {
			parse = parseSorted
		}
		list, err := parse(x.list, batch)
		if err != nil {
			return err
		}
		return x.receiveList(list)
	}
	symbols, err := parseSymbols(x.received, batch)
	if err != nil {
		return err
	}
	for _, s := range symbols {
		if err := x.receiveSymbol(s); err != nil {
			return err
		}
	}
	return nil
}

func (x *Exchange) receiveSymbol(s symbol) error {
	if x.mode != Symbols {
		return fmt.Errorf("%w: symbols where the list is due", ErrContradiction)
	}
	i := x.received
	if i >= x.limit {
		return x.undecodable()
	}
	x.received++
	if x.Done() {
		return nil
	}
	x.make(i)
	if i < FirstBlock {
		if own := x.set.first.counts[i]; i > 0 {
			x.estimator.add(i, own, s.count)
		} else if s.count != uint16(x.peerLen) {
			return fmt.Errorf("%w: %d names announced, %d (modulo 65536) in symbol 0", ErrContradiction, x.peerLen, s.count)
		}
	}
	if err := x.decoder.receive(s.cell); err != nil {
		return err
	}
	if x.decoder.needed > 0 {
		return x.decoded()
	}
	if x.received == FirstBlock {
		x.estimate = x.estimator.estimate(x.set.Len(), x.peerLen)
		x.limit = symbolLimit(x.set.Len(), x.peerLen, x.estimate)
		if listAfter(x.set.Len(), x.peerLen, x.estimate) {
			return x.changeToList()
		}
	}
	if x.received == x.limit {
		return x.undecodable()
	}
	// The window never shrinks.
	x.window = max(x.window, min(x.limit, window(x.received, x.estimate)))
	return nil
}

// decoded divides the difference between the sides, and checks it against the sizes of the sets. A hostile peer can say what it likes
// about its own set, but we only accept a difference that a set of the announced size can have.
func (x *Exchange) decoded() error {
	found := x.decoder.found
	x.decoder.blocks, x.decoder.todo, x.decoder.found = nil, nil, nil
	if !sortDistinct(found) {
		return fmt.Errorf("%w: an element twice", ErrContradiction)
	}
	var err error
	if x.mine, x.theirs, err = x.set.split(found, true); err != nil {
		return err
	}
	if own := x.set.Len(); own-len(x.mine) != x.peerLen-len(x.theirs) || len(x.theirs) > x.peerLen {
		return fmt.Errorf("%w: of %d names, %d of them ours only, and %d, %d of them theirs only, not as many are left",
			ErrContradiction, own, len(x.mine), x.peerLen, len(x.theirs))
	}
	x.done = true
	return nil
}

func (x *Exchange) undecodable() error {
	return fmt.Errorf("%w: %d of them for about %d differences", ErrUndecodable, x.received, x.estimate)
}

// Mine returns the indices of the names that only this side has, ascending. It is valid when Done.
func (x *Exchange) Mine() []uint32 { return x.mine }

// Theirs returns the short names of the names that only the peer has, ascending, each once. It is valid when Done.
func (x *Exchange) Theirs() []uint64 { return x.theirs }
