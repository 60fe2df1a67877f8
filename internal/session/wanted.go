package session

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"sync"

	"aig/internal/links"
	"aig/internal/oid"
	"aig/internal/reconcile"
)

// wanted is what the peer has announced: the objects that we lack and that it gives. Until they arrive, we know nothing of
// them but their short names. Since the key is fresh, two names with one short name are as good as impossible, and a peer that
// forges such names only has its own objects refused.
type wanted struct {
	key    reconcile.Key
	format oid.Format
	short  []uint64     // ascending, each once, as reconcile.Exchange.Theirs gives them
	is     []links.Kind // what each is; 0 while it is missing
	names  []byte       // of those that came, in the order of short
	left   int          // how many are missing
}

// leftOut stands for the kind of an object that won't come, since the peer omits it or keeps it.
const leftOut links.Kind = 1 << 7

// bytesPerWanted is the memory that all of this, and linkCheck, takes for each object beside its name.
const bytesPerWanted = 8 + 1 + 4 + 1

func newWanted(key reconcile.Key, format oid.Format, short []uint64) *wanted {
	n := len(short)
	return &wanted{key: key, format: format, short: short, is: make([]links.Kind, n), names: make([]byte, n*format.Size()), left: n}
}

// mark notes what a missing object is, or that it won't come, and returns its place. It fails if the object must not come.
func (w *wanted) mark(short uint64, is links.Kind) (place uint32, err error) {
	i, announced := w.search(short)
	switch {
	case !announced:
		return 0, errors.New("was not announced")
	case w.is[i] != 0:
		return 0, errors.New("has already come or been left out")
	}
	w.is[i] = is
	w.left--
	return uint32(i), nil
}

// take notes that an object has come. No other pack may bring it again. What it is follows from its name, so that may be relied on
// before its pack has passed the checks.
func (w *wanted) take(name []byte, kind links.Kind) (place uint32, err error) {
	if place, err = w.mark(w.key.Short(name), kind); err == nil {
		copy(w.name(place), name)
	}
	return place, err
}

// lose notes that what came in a bad pack is missing again.
func (w *wanted) lose(places []uint32) {
	for _, i := range places {
		w.is[i] = 0
	}
	w.left += len(places)
}

// search returns the place of an announced object, whether it has come or not.
func (w *wanted) search(short uint64) (int, bool) {
	return oid.Find(len(w.short), short, func(i int) int { return cmp.Compare(short, w.short[i]) })
}

func (w *wanted) name(place uint32) []byte {
	size := w.format.Size()
	at := int(place) * size
	return w.names[at : at+size : at+size]
}

// received holds the names of what has come, ascending. At sorts them when it is first called: a summary only counts them.
type received struct {
	*wanted
	places []uint32
	sort   func()
}

func (w *wanted) received() received {
	r := received{wanted: w}
	for i, kind := range w.is {
		if kind != 0 && kind != leftOut {
			r.places = append(r.places, uint32(i))
		}
	}
	r.sort = sync.OnceFunc(func() {
		slices.SortFunc(r.places, func(i, j uint32) int { return bytes.Compare(w.name(i), w.name(j)) })
	})
	return r
}

// Format, Len and At implement oid.Names.
func (r received) Format() oid.Format { return r.format }
func (r received) Len() int           { return len(r.places) }
func (r received) At(i int) []byte    { r.sort(); return r.name(r.places[i]) }
