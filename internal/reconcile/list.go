package reconcile

import (
	"fmt"

	"aig/internal/oid"
)

// maxRoom bounds the capacity, in entries, allocated in advance.
const maxRoom = 1 << 25

// A listReader finds the difference from the list of all short names of the peer. It takes a bit of memory for each of our
// names, and 8 bytes for each that only the peer has.
type listReader struct {
	set      *Set
	peerLen  int
	received int
	seen     oid.Bitmap // which of our names have come
	mine     []uint32
	theirs   []uint64
}

func newListReader(set *Set, peerLen int) *listReader {
	// Growing would leave two or three times the size as garbage. Unused capacity costs nothing: the system backs memory on first use.
	return &listReader{set: set, peerLen: peerLen, seen: oid.NewBitmap(set.Len(), nil), theirs: make([]uint64, 0, min(peerLen, maxRoom))}
}

// receive takes the next entries of the peer's list.
func (l *listReader) receive(n int, at func(i int) uint64) error {
	if n > l.peerLen-l.received {
		return fmt.Errorf("%w: a list longer than the %d names announced", ErrContradiction, l.peerLen)
	}
	for i := range n {
		short := at(i)
		index, ok, err := l.set.Index(short)
		if err != nil {
			return err
		}
		if !ok {
			l.theirs = append(l.theirs, short)
			continue
		}
		if l.seen.Has(index) {
			return fmt.Errorf("%w: a name twice in the list", ErrContradiction)
		}
		l.seen.Add(index)
	}
	l.received += n
	if l.received == l.peerLen {
		return l.finish()
	}
	return nil
}

// finish finds which of our names were not in the list.
func (l *listReader) finish() error {
	known := l.peerLen - len(l.theirs)
	l.mine = make([]uint32, 0, l.set.Len()-known)
	for i := range uint32(l.set.Len()) {
		if !l.seen.Has(i) {
			l.mine = append(l.mine, i)
		}
	}
	l.seen = nil
	if !sortDistinct(l.theirs) {
		return fmt.Errorf("%w: a name twice in the list", ErrContradiction)
	}
	return nil
}
