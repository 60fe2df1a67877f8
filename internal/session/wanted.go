package session

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"

	"aig/internal/oid"
	"aig/internal/reconcile"
)

// wanted is what the peer has announced: the objects that we lack and that it gives. Until they arrive, we know nothing of
// them but their short names. Since the key is fresh, two names with one short name are as good as impossible, and a peer that
// forges such names only has its own objects refused.
type wanted struct {
	key    reconcile.Key
	format oid.Format
	short  []uint64 // ascending
	state  []state  // of each
	names  []byte   // of those that came, in the order of short
	left   int      // how many are missing
}

type state byte

const (
	missing state = iota
	came
	leftOut // omitted, or kept
)

// bytesPerWanted is the memory that all of this, and linkCheck, takes for each object beside its name.
const bytesPerWanted = 8 + 1 + 4 + 2

func newWanted(key reconcile.Key, format oid.Format, short []uint64) (*wanted, error) {
	for i := 1; i < len(short); i++ {
		if short[i-1] >= short[i] {
			return nil, errors.New("two of the peer's objects have the same short name: run the same command again")
		}
	}
	n := len(short)
	return &wanted{key: key, format: format, short: short, state: make([]state, n), names: make([]byte, n*format.Size()), left: n}, nil
}

// find returns the place of an announced object that is still missing. It fails if this object must not come.
func (w *wanted) find(name []byte) (int, error) {
	i, err := w.findShort(w.key.Short(name))
	if err != nil {
		err = fmt.Errorf("object %x %w", name, err)
	}
	return i, err
}

func (w *wanted) findShort(short uint64) (int, error) {
	i, ok := w.search(short)
	switch {
	case !ok:
		return 0, errors.New("was not announced")
	case w.state[i] != missing:
		return 0, errors.New("has already come or been left out")
	}
	return i, nil
}

// place returns the place of an announced object, whether it has come or not.
func (w *wanted) place(name []byte) (int, bool) {
	return w.search(w.key.Short(name))
}

func (w *wanted) search(short uint64) (int, bool) {
	return oid.Find(len(w.short), short, func(i int) int { return cmp.Compare(short, w.short[i]) })
}

func (w *wanted) name(i int) []byte {
	size := w.format.Size()
	return w.names[i*size : (i+1)*size : (i+1)*size]
}

// take notes that the missing object at a place has come.
func (w *wanted) take(i int, name []byte) {
	copy(w.name(i), name)
	w.state[i] = came
	w.left--
}

// leaveOut notes that the missing object at a place will not come.
func (w *wanted) leaveOut(i int) {
	w.state[i] = leftOut
	w.left--
}

// lose notes that the object at a place came in a bad pack: it is missing again.
func (w *wanted) lose(i uint32) {
	w.state[i] = missing
	w.left++
}

// received holds the names of what has come, ascending. At sorts them when it is first called: a summary only counts them.
type received struct {
	*wanted
	places []uint32
	sort   func()
}

func (w *wanted) received() received {
	r := received{wanted: w}
	for i, s := range w.state {
		if s == came {
			r.places = append(r.places, uint32(i))
		}
	}
	r.sort = sync.OnceFunc(func() {
		slices.SortFunc(r.places, func(i, j uint32) int { return bytes.Compare(w.name(int(i)), w.name(int(j))) })
	})
	return r
}

// Format, Len and At implement oid.Names.
func (r received) Format() oid.Format { return r.format }
func (r received) Len() int           { return len(r.places) }
func (r received) At(i int) []byte    { r.sort(); return r.name(int(r.places[i])) }
