package session

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"aig/internal/oid"
	"aig/internal/reconcile"
)

// wanted is what the peer has announced: the objects that we lack and that it gives. Their short names are all that is known
// of them until they come. Since the key is fresh, two names with one short name are as good as impossible, and a peer that
// makes some only makes its own objects be refused.
type wanted struct {
	key    reconcile.Key
	format oid.Format
	short  []uint64 // ascending
	state  []state  // of each
	names  []byte   // of those that came, where they stand in short
	left   int      // are missing
}

type state byte

const (
	missing state = iota
	came
	leftOut // omitted, or kept
)

// bytesPerWanted is what all of this takes of memory for an object, beside its name, with what is known of its links.
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

// find returns where an announced object stands that is missing; err says that this one must not come.
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
		return 0, errors.New("came before")
	}
	return i, nil
}

// place is where an announced object stands, whether it has come or not.
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

// take notes that the missing object at this place has come.
func (w *wanted) take(i int, name []byte) {
	copy(w.name(i), name)
	w.state[i] = came
	w.left--
}

// leaveOut notes that the missing object at this place will not come.
func (w *wanted) leaveOut(i int) {
	w.state[i] = leftOut
	w.left--
}

// lose notes that the object at this place was in a pack that was no good: it is missing again.
func (w *wanted) lose(i uint32) {
	w.state[i] = missing
	w.left++
}

// received is the names of what has come, ascending.
type received struct {
	*wanted
	places []uint32
}

func (w *wanted) received() received {
	r := received{wanted: w}
	for i, s := range w.state {
		if s == came {
			r.places = append(r.places, uint32(i))
		}
	}
	slices.SortFunc(r.places, func(i, j uint32) int { return bytes.Compare(w.name(int(i)), w.name(int(j))) })
	return r
}

// Format, Len and At make it oid.Names.
func (r received) Format() oid.Format { return r.format }
func (r received) Len() int           { return len(r.places) }
func (r received) At(i int) []byte    { return r.name(int(r.places[i])) }
