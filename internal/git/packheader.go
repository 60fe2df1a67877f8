package git

import (
	"encoding/binary"
)

// PackHeader keeps the first bytes of a pack (gitformat-pack(5)): "PACK", the version and the number of objects, in
// four bytes each.
type PackHeader struct {
	B [12]byte
	n int
}

// See takes what is still missing from p, and returns how much that is.
func (h *PackHeader) See(p []byte) int {
	n := copy(h.B[h.n:], p)
	h.n += n
	return n
}

// Whole tells whether all of it is there.
func (h *PackHeader) Whole() bool { return h.n == len(h.B) }

// Objects is the number of objects; ok is false before the header is there, and where it is none.
func (h *PackHeader) Objects() (n uint32, ok bool) {
	if !h.Whole() || string(h.B[:4]) != "PACK" {
		return 0, false
	}
	version := binary.BigEndian.Uint32(h.B[4:])
	return binary.BigEndian.Uint32(h.B[8:]), version == 2 || version == 3
}
