package reconcile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// Batches that don't consist of whole symbols or entries are rejected.
func TestMalformed(t *testing.T) {
	for _, c := range []struct {
		from   uint64
		size   int
		wanted int // symbols; 0: malformed
	}{
		{0, 0, 0}, {0, 1, 0}, {0, 16, 0}, {0, 18, 1}, {0, 19, 0}, {0, 36, 2}, {0, 112*18 + 16, 113},
		{111, 18, 1}, {111, 34, 2}, {111, 36, 0}, {112, 16, 1}, {112, 18, 0}, {112, 15, 0}, {1 << 30, 32, 2},
	} {
		symbols, err := parseSymbols(c.from, make([]byte, c.size))
		if len(symbols) != c.wanted || errors.Is(err, ErrMalformed) != (c.wanted == 0) {
			t.Errorf("%d bytes from symbol %d: %d symbols, %v", c.size, c.from, len(symbols), err)
		}
	}
	for _, size := range []int{0, 1, 7, 9} {
		if _, err := parseShorts(nil, make([]byte, size)); !errors.Is(err, ErrMalformed) {
			t.Errorf("a list batch of %d bytes: %v", size, err)
		}
	}
}

// The layout: sum, check sum, count, big-endian.
func TestLayout(t *testing.T) {
	s := symbol{cell{0x0102030405060708, 0x1112131415161718}, 0x2122}
	want := []byte{1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x21, 0x22}
	if got := appendSymbol(nil, 111, s); !bytes.Equal(got, want) {
		t.Errorf("symbol 111 is %x", got)
	}
	if got := appendSymbol(nil, 112, s); !bytes.Equal(got, want[:16]) {
		t.Errorf("symbol 112 is %x", got)
	}
}

// FuzzBatch: a batch that can be parsed is the same when it is made again.
func FuzzBatch(f *testing.F) {
	f.Add(uint64(0), make([]byte, 36))
	f.Add(uint64(111), make([]byte, 34))
	f.Add(uint64(112), []byte("0123456789abcdef"))
	f.Fuzz(func(t *testing.T, from uint64, batch []byte) {
		from %= maxSymbols
		if symbols, err := parseSymbols(from, batch); err == nil {
			var again []byte
			for i, s := range symbols {
				again = appendSymbol(again, from+uint64(i), s)
			}
			if !bytes.Equal(again, batch) {
				t.Errorf("symbols: %x became %x", batch, again)
			}
		}
		if shorts, err := parseShorts(nil, batch); err == nil {
			var again []byte
			for _, short := range shorts {
				again = binary.BigEndian.AppendUint64(again, short)
			}
			if !bytes.Equal(again, batch) {
				t.Errorf("list: %x became %x", batch, again)
			}
		}
	})
}
