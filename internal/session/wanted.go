package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/dchest/siphash"
)

// shortKey makes short names: SipHash-2-4 of a binary object name, 64 bits, under a key of this conversation.
type shortKey [16]byte

func (k shortKey) short(name []byte) uint64 {
	return siphash.Hash(binary.LittleEndian.Uint64(k[:8]), binary.LittleEndian.Uint64(k[8:]), name)
}

// wanted is what the peer has announced: the short names of the objects that we lack and that it gives. Eight bytes an
// object is all that is kept of the peer's list. Since the key is fresh, two names with one short name are as good as
// impossible, and a peer that makes some only makes its own objects be refused.
type wanted struct {
	key   shortKey
	short []uint64 // ascending once sealed
	got   []bool
	left  int
}

func newWanted(key shortKey) *wanted { return &wanted{key: key} }

func (w *wanted) add(name []byte) { w.short = append(w.short, w.key.short(name)) }

// seal ends the announcement.
func (w *wanted) seal() error {
	slices.Sort(w.short)
	for i := 1; i < len(w.short); i++ {
		if w.short[i-1] == w.short[i] {
			return errors.New("two of the peer's objects have the same short name: run the same command again")
		}
	}
	w.got = make([]bool, len(w.short))
	w.left = len(w.short)
	return nil
}

// find is where an announced object stands that has not come yet; err says that this one must not come.
func (w *wanted) find(name []byte) (int, error) {
	i, ok := slices.BinarySearch(w.short, w.key.short(name))
	switch {
	case !ok:
		return 0, fmt.Errorf("object %x was not announced", name)
	case w.got[i]:
		return 0, fmt.Errorf("object %x came before", name)
	}
	return i, nil
}

// mark notes that the objects at these places have come, or will not.
func (w *wanted) mark(places []int) {
	for _, i := range places {
		w.got[i] = true
	}
	w.left -= len(places)
}
