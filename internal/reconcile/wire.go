package reconcile

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Sizes on the wire, in bytes. All numbers are big-endian.
const (
	// FirstBlock is the number of symbols that carry a count and may be sent before anything has come from the peer: 2,016
	// bytes.
	FirstBlock = 112

	// SymbolSize is the size of a symbol: the sum and the check sum, 8 bytes each.
	SymbolSize = 16

	// CountedSize is the size of each of the first FirstBlock symbols: a symbol, then the number of its elements modulo 2^16.
	CountedSize = SymbolSize + 2

	// ShortSize is the size of an entry of a list: a short name.
	ShortSize = 8
)

// ErrMalformed says that a batch from the peer does not consist of whole entries.
var ErrMalformed = errors.New("malformed batch from the peer")

// A symbol is a cell as sent on the wire; count is 0 after the first block.
type symbol struct {
	cell
	count uint16
}

// sizeAt returns the size of symbol i on the wire.
func sizeAt(i uint64) int {
	if i < FirstBlock {
		return CountedSize
	}
	return SymbolSize
}

// symbolBytes returns the size of symbols 0 to n-1 on the wire.
func symbolBytes(n uint64) uint64 {
	return n*SymbolSize + min(n, FirstBlock)*(CountedSize-SymbolSize)
}

// appendSymbol appends symbol i to a batch.
func appendSymbol(dst []byte, i uint64, s symbol) []byte {
	dst = binary.BigEndian.AppendUint64(dst, s.sum)
	dst = binary.BigEndian.AppendUint64(dst, s.check)
	if i < FirstBlock {
		dst = binary.BigEndian.AppendUint16(dst, s.count)
	}
	return dst
}

// parseSymbols parses a batch that begins with symbol from. A batch doesn't say where it begins: symbols come in order, without
// gaps.
func parseSymbols(from uint64, p []byte) ([]symbol, error) {
	if len(p) == 0 {
		return nil, fmt.Errorf("%w: no symbol", ErrMalformed)
	}
	symbols := make([]symbol, 0, len(p)/SymbolSize)
	for i := from; len(p) > 0; i++ {
		size := sizeAt(i)
		if len(p) < size {
			return nil, fmt.Errorf("%w: %d bytes of symbol %d, which has %d", ErrMalformed, len(p), i, size)
		}
		s := symbol{cell: cell{binary.BigEndian.Uint64(p), binary.BigEndian.Uint64(p[8:])}}
		if size == CountedSize {
			s.count = binary.BigEndian.Uint16(p[SymbolSize:])
		}
		symbols = append(symbols, s)
		p = p[size:]
	}
	return symbols, nil
}

// parseShorts appends the names of a batch to a list.
func parseShorts(list []uint64, p []byte) ([]uint64, error) {
	if len(p) == 0 || len(p)%ShortSize != 0 {
		return nil, fmt.Errorf("%w: %d bytes of list, entries have %d", ErrMalformed, len(p), ShortSize)
	}
	for ; len(p) > 0; p = p[ShortSize:] {
		list = append(list, binary.BigEndian.Uint64(p))
	}
	return list, nil
}
