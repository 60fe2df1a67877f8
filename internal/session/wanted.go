package session

import (
	"errors"
	"fmt"
	"slices"

	"aig/internal/reconcile"
)

// wanted is what the peer has announced: the short names of the objects that we lack and that it gives. Nine bytes an
// object is all that is kept of the peer's list. Since the key is fresh, two names with one short name are as good as
// impossible, and a peer that makes some only makes its own objects be refused.
type wanted struct {
	key   reconcile.Key
	short []uint64 // ascending
	got   []bool
	left  int
}

func newWanted(key reconcile.Key, short []uint64) (*wanted, error) {
	for i := 1; i < len(short); i++ {
		if short[i-1] >= short[i] {
			return nil, errors.New("two of the peer's objects have the same short name: run the same command again")
		}
	}
	return &wanted{key: key, short: short, got: make([]bool, len(short)), left: len(short)}, nil
}

// find is where an announced object stands that has not come yet; err says that this one must not come.
func (w *wanted) find(name []byte) (int, error) {
	i, err := w.findShort(w.key.Short(name))
	if err != nil {
		err = fmt.Errorf("object %x %w", name, err)
	}
	return i, err
}

func (w *wanted) findShort(short uint64) (int, error) {
	i, ok := slices.BinarySearch(w.short, short)
	switch {
	case !ok:
		return 0, errors.New("was not announced")
	case w.got[i]:
		return 0, errors.New("came before")
	}
	return i, nil
}

// place is where an announced object stands, whether it has come or not.
func (w *wanted) place(name []byte) (int, bool) {
	return slices.BinarySearch(w.short, w.key.Short(name))
}

// mark notes that the objects at these places have come, or will not.
func (w *wanted) mark(places []int) {
	for _, i := range places {
		w.got[i] = true
	}
	w.left -= len(places)
}
