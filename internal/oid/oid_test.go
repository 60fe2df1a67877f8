package oid

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

// Names come back as they went in, across chunks, for both sizes; Search finds each of them and no other.
func TestListKeepsAndFindsNames(t *testing.T) {
	for _, f := range []Format{SHA1, SHA256} {
		l := NewList(f)
		name := make([]byte, f.Size())
		const n = chunkNames + 3
		for i := range n {
			binary.BigEndian.PutUint32(name, uint32(2*i))
			l.Append(name)
		}
		if l.Len() != n {
			t.Fatalf("%s: %d names, want %d", f, l.Len(), n)
		}
		for _, i := range []int{0, 1, chunkNames - 1, chunkNames, n - 1} {
			binary.BigEndian.PutUint32(name, uint32(2*i))
			if !bytes.Equal(l.At(i), name) {
				t.Errorf("%s: name %d is %x, want %x", f, i, l.At(i), name)
			}
			if at, ok := l.Search(name); !ok || at != i {
				t.Errorf("%s: Search(%x) = %d, %v, want %d", f, name, at, ok, i)
			}
			name[f.Size()-1] = 1
			if at, ok := l.Search(name); ok {
				t.Errorf("%s: Search found absent %x at %d", f, name, at)
			}
			name[f.Size()-1] = 0
		}
	}
}

// Find finds what sort.Find does, however the elements are spread, and the faster the more evenly they are.
func TestFind(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, spread := range map[string]func(i, n int) uint64{
		"random": func(int, int) uint64 { return random.Uint64() },
		"low":    func(i, _ int) uint64 { return uint64(i) * 3 },
		"high":   func(i, _ int) uint64 { return math.MaxUint64 - uint64(i)*3 },
		"halves": func(i, n int) uint64 { return uint64(i%2)<<63 | uint64(i) },
	} {
		for _, n := range []int{0, 1, 2, 3, 100, 10_000} {
			var list []uint64
			for i := range n {
				list = append(list, spread(i, n))
			}
			slices.Sort(list)
			for _, wanted := range append(list, 0, 1, 1<<63-1, 1<<63, math.MaxUint64, random.Uint64()) {
				want, there := slices.BinarySearch(list, wanted)
				steps := 0
				got, found := Find(n, wanted, func(i int) int { steps++; return cmp.Compare(wanted, list[i]) })
				if got != want || found != there {
					t.Fatalf("%d elements, %x: %d, %v; want %d, %v", n, wanted, got, found, want, there)
				}
				if most := 2*bits.Len(uint(n)) + 4; steps > most {
					t.Fatalf("%d elements, %x: %d steps, more than %d", n, wanted, steps, most)
				}
			}
		}
	}
}

// Abbreviated, over-long and non-hexadecimal names are errors, and a full name of either format is not.
func TestParseName(t *testing.T) {
	for _, c := range []struct {
		f    Format
		s    string
		good bool
	}{
		{SHA1, "4b825dc642cb6eb9a060e54bf8d69288fbee4904", true},
		{SHA1, "4b825dc642cb6eb9a060e54bf8d69288fbee490", false},
		{SHA1, "4b825dc642cb6eb9a060e54bf8d69288fbee49040", false},
		{SHA1, "4b825dc642cb6eb9a060e54bf8d69288fbee490g", false},
		{SHA256, "4b825dc642cb6eb9a060e54bf8d69288fbee4904", false},
		{SHA256, "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321", true},
	} {
		err := c.f.Parse(make([]byte, c.f.Size()), []byte(c.s))
		if (err == nil) != c.good {
			t.Errorf("%s %s: %v", c.f, c.s, err)
		}
	}
	if _, err := ParseFormat("md5"); err == nil {
		t.Error("md5 passed as an object format")
	}
}
