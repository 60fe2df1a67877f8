package reconcile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"
)

// hostileSet returns a set of ours that is large enough for symbols.
func hostileSet() *Set {
	return NewSet(Key{1}, 20, testNames(1, 0, 600))
}

// feed passes a peer's symbols to an exchange until it fails or is done, and returns how many it took.
func feed(x *Exchange, next func(i uint64) symbol) (n uint64, err error) {
	for ; err == nil && !x.Done() && x.mode == Symbols; n++ {
		if n > 1<<20 {
			return n, nil
		}
		err = x.Receive(Symbols, appendSymbol(nil, n, next(n)))
	}
	return n, err
}

// Whatever a hostile peer sends, there is an error, and soon.
func TestHostileSymbols(t *testing.T) {
	own := hostileSet()
	key := own.key
	element := func(short uint64) cell { return cell{short, key.check(short)} }
	ownCells := append(own.encode(blockAt(0)), own.encode(blockAt(1))...)
	r := rand.New(rand.NewPCG(1, 1))
	// plus returns our own symbols with rest XORed in, so that rest remains.
	plus := func(rest func(i uint64) cell) func(uint64) symbol {
		return func(i uint64) symbol {
			s := symbol{cell: ownCells[i%uint64(len(ownCells))], count: own.first.counts[i%FirstBlock]}
			c := rest(i)
			s.xor(c.sum, c.check)
			return s
		}
	}
	for _, c := range []struct {
		name    string
		peerLen int
		next    func(i uint64) symbol
		want    error
	}{
		{"another size than announced", 601, plus(func(uint64) cell { return cell{} }), ErrContradiction},
		{"another size than announced, but for the count of symbol 0", 601, func(i uint64) symbol {
			s := plus(func(uint64) cell { return cell{} })(i)
			if i == 0 {
				s.count++
			}
			return s
		}, ErrContradiction},
		{"one element too many", 600, plus(func(i uint64) cell { return element(12345) }), ErrContradiction},
		{"noise", 600, plus(func(uint64) cell { return cell{r.Uint64(), r.Uint64()} }), ErrUndecodable},
		{"never one alone", 600, plus(func(uint64) cell { return cell{1, 1} }), ErrUndecodable},
		{"a new element in every symbol", 600, plus(func(i uint64) cell { return element(mix64(i)) }), ErrContradiction},
		{"the same element where it does not belong", 600, plus(func(i uint64) cell {
			if i < 3 {
				return cell{1, 1}
			}
			return element(99)
		}), ErrContradiction},
		{"two symbols that complement each other wrongly", 600, plus(func(i uint64) cell {
			if i == 0 {
				return cell{1, 1}
			}
			if i == 5 {
				c := element(7)
				c.xor(1, 1)
				return c
			}
			return cell{}
		}), ErrContradiction},
		{"nothing but zeros, of an announced size", 600, func(i uint64) symbol {
			if i == 0 {
				return symbol{count: 600}
			}
			return symbol{}
		}, nil}, // not an error: a peer can announce what it likes, and this looks like 600 other names, for which lists are due
	} {
		t.Run(c.name, func(t *testing.T) {
			x := NewExchange(own, c.peerLen, false)
			n, err := feed(x, c.next)
			if !errors.Is(err, c.want) {
				t.Errorf("%v after %d symbols, want %v", err, n, c.want)
			}
			// At the limit, not after it: an honest peer sends no more than that, and we would wait for ever.
			if n > 4*600+1024 || errors.Is(err, ErrUndecodable) && n != x.limit {
				t.Errorf("%d symbols taken, the limit was %d", n, x.limit)
			}
			if err != nil && (x.Credit() > 0 || x.Done() || x.Receive(Symbols, make([]byte, 16)) == nil) {
				t.Error("the exchange goes on after an error")
			}
		})
	}
}

// A flipped bit in any of the symbols needed ends in an error, never in a wrong difference. (The pipe is authenticated, so only a
// broken peer can do this.)
func TestFlippedBit(t *testing.T) {
	p := newPair(4, 600, 10, 12)
	_, b := p.exchanges(t)
	honest, _, _ := b.Next(nil, FirstBlock)
	for bit := range 30 * CountedSize * 8 {
		flipped := bytes.Clone(honest)
		flipped[bit/8] ^= 1 << (bit % 8)
		a := NewExchange(p.a, p.b.Len(), false)
		err := a.Receive(Symbols, flipped)
		inCount := bit/8%CountedSize >= SymbolSize
		switch {
		case a.Done() && !inCount && bit/8/CountedSize < a.Stats().Needed:
			t.Errorf("bit %d: done", bit)
		case a.Done() && (len(a.Mine()) != 10 || len(a.Theirs()) != 12):
			t.Errorf("bit %d: a wrong difference", bit)
		case err != nil && !errors.Is(err, ErrContradiction):
			t.Errorf("bit %d: %v", bit, err)
		}
	}
}

// A list that contradicts the announced size or itself is an error.
func TestHostileLists(t *testing.T) {
	own := NewSet(Key{1}, 20, testNames(1, 0, 10))
	ours := func(i int) uint64 { return own.short[i] }
	for _, c := range []struct {
		name    string
		peerLen int
		mode    Mode
		entries []uint64
		want    error
	}{
		{"right", 3, List, []uint64{ours(1), 77, ours(2)}, nil},
		{"too long", 2, List, []uint64{1, 2, 3}, ErrContradiction},
		{"one of ours twice", 3, List, []uint64{ours(1), 5, ours(1)}, ErrContradiction},
		{"one of theirs twice", 3, List, []uint64{5, ours(1), 5}, ErrContradiction},
		{"symbols", 2, Symbols, make([]uint64, 9), ErrContradiction}, // four of them
		{"empty batch", 2, List, nil, ErrMalformed},
	} {
		x := NewExchange(own, c.peerLen, false)
		var batch []byte
		for _, e := range c.entries {
			batch = binary.BigEndian.AppendUint64(batch, e)
		}
		if err := x.Receive(c.mode, batch); !errors.Is(err, c.want) || x.Done() != (c.want == nil) {
			t.Errorf("%s: %v, done %v", c.name, err, x.Done())
		}
	}
}

// FuzzReceive passes an exchange an honest peer's symbols with the input XORed in somewhere: it must not panic, and must end
// within the limit.
func FuzzReceive(f *testing.F) {
	own := hostileSet()
	peer := NewSet(own.key, 20, testNames(1, 15, 630))
	cells := append(peer.encode(blockAt(0)), peer.encode(blockAt(1))...)
	f.Add(uint16(630), uint16(0), []byte{})
	f.Add(uint16(630), uint16(3), []byte{1})
	f.Add(uint16(600), uint16(0), bytes.Repeat([]byte{0xff}, 64))
	f.Add(uint16(900), uint16(40), bytes.Repeat([]byte{7}, 4000))
	f.Fuzz(func(t *testing.T, peerLen, at uint16, noise []byte) {
		x := NewExchange(own, int(peerLen), false)
		var stream []byte
		for i := range uint64(6000) {
			s := symbol{cell: cells[i%uint64(len(cells))]}
			if i < FirstBlock {
				s.count = peer.first.counts[i]
			}
			if i == 0 {
				s.count = peerLen
			}
			stream = appendSymbol(stream, i, s)
		}
		for i, b := range noise {
			if int(at)+i < len(stream) {
				stream[int(at)+i] ^= b
			}
		}
		for i := uint64(0); i < 6000; i++ {
			size := sizeAt(i)
			if x.mode == List {
				return
			}
			if err := x.Receive(Symbols, stream[:size]); err != nil {
				return
			}
			stream = stream[size:]
		}
		t.Fatalf("6000 symbols for %d and %d names, and no end: %+v", own.Len(), peerLen, x.Stats())
	})
}
