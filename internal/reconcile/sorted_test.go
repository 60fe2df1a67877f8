package reconcile

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// shortsOf returns n made-up short names, ascending.
func shortsOf(n int) []uint64 {
	var names []uint64
	for i := range n {
		names = append(names, mix64(uint64(i)+1))
	}
	slices.Sort(names)
	return names
}

// A sorted list comes back as it was, in batches that fit, and costs at most so many bytes a name.
func TestSortedLists(t *testing.T) {
	for _, c := range []struct {
		n    int
		most float64
	}{{1, 11}, {2, 10}, {3, 10}, {1000, 7.1}, {1 << 16, 6.25}, {1_000_000, 5.75}} {
		names := shortsOf(c.n)
		var got []uint64
		size := 0
		for sent := 0; sent < c.n; {
			n := min(3639, c.n-sent)
			batch := appendSorted(nil, c.n, names[sent:sent+n])
			part, err := parseSorted(nil, batch)
			if err != nil || len(part) != n || len(batch) > n*CountedSize {
				t.Fatalf("%d names: %d of %d in %d bytes, %v", c.n, len(part), n, len(batch), err)
			}
			got, sent, size = append(got, part...), sent+n, size+len(batch)
		}
		if !slices.Equal(got, names) {
			t.Errorf("%d names came back changed", c.n)
		}
		if per := float64(size) / float64(c.n); per > c.most {
			t.Errorf("%d names: %.2f bytes each, want %.2f at most", c.n, per, c.most)
		}
	}
}

// The batch in docs/protocol.md is the one that we send.
func TestSortedListOfTheProtocol(t *testing.T) {
	doc, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	names := []uint64{0x1111111111111111, 0x37be3d1a5b13bcf6, 0xfedcba9876543210}
	batch := appendSorted(nil, 3, names)
	var words []string
	for _, b := range batch {
		words = append(words, hex.EncodeToString([]byte{b}))
	}
	if want := strings.Join(words, " "); !strings.Contains(string(doc), want) {
		t.Errorf("docs/protocol.md does not hold %s", want)
	}
}

// Anything but a sorted list is an error.
func TestMalformedSortedLists(t *testing.T) {
	names := shortsOf(3)
	good := appendSorted(nil, 3, names)
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for name, batch := range map[string][]byte{
		"empty": nil, "no names": change(2, 0), "64 low bits": change(0, 64), "a byte less": good[:len(good)-1],
		"a byte more": append(bytes.Clone(good), 0), "many names": change(1, 255), "one more": change(2, 4),
		"a bit more":  {0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1},
		"an overflow": {0, 0, 2, 255, 255, 255, 255, 255, 255, 255, 255, 0},
	} {
		if got, err := parseSorted(nil, batch); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// Two sides find the difference by sorted lists, or one by a sorted list and the other by a plain one.
func TestExchangeOfSortedLists(t *testing.T) {
	for _, sorted := range [][2]bool{{true, true}, {true, false}, {false, false}} {
		var namesA, namesB []byte
		for i := range 300_000 {
			name := []byte{byte(i), byte(i >> 8), byte(i >> 16), 7}
			if i%2 == 0 {
				namesA = append(namesA, name...)
			}
			if i%3 == 0 {
				namesB = append(namesB, name...)
			}
		}
		a, b := NewSet(Key{1}, 4, namesA), NewSet(Key{1}, 4, namesB)
		var x [2]*Exchange
		for i, sets := range [][2]*Set{{a, b}, {b, a}} {
			x[i] = NewExchange(sets[0], sets[1].Len(), sorted[i])
		}
		size := 0
		for !x[0].Finished() || !x[1].Finished() {
			for i := range x {
				batch, mode, n := x[i].Next(nil, 3639)
				if size += len(batch); n == 0 || x[1-i].Done() {
					continue
				}
				if err := x[1-i].Receive(mode, batch); err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(x[0].Mine()) != 100_000 || len(x[1].Mine()) != 50_000 || len(x[0].Theirs()) != 50_000 || len(x[1].Theirs()) != 100_000 {
			t.Errorf("%v: %d, %d, %d, %d", sorted, len(x[0].Mine()), len(x[1].Mine()), len(x[0].Theirs()), len(x[1].Theirs()))
		}
		t.Logf("%v: %d bytes", sorted, size)
	}
}

// FuzzSorted checks that only what appendSorted can make is accepted, for any number of low bits, and that names come back ascending.
func FuzzSorted(f *testing.F) {
	names := shortsOf(5)
	batch := appendSorted(nil, 5, names)
	f.Add(batch)
	f.Add([]byte{0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0xfe})
	f.Fuzz(func(t *testing.T, batch []byte) {
		names, err := parseSorted(nil, batch)
		if err != nil {
			return
		}
		if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
			t.Errorf("names %x", names)
		}
		again := appendSorted(nil, 1<<(64-max(int(batch[0]), 1))-1, names)
		if batch[0] > 1 && !bytes.Equal(again, batch) {
			t.Errorf("%x became %x", batch, again)
		}
	})
}
