package git

import "encoding/binary"

// PackHeader is the first twelve bytes of a pack (gitformat-pack(5)): "PACK", the version, the number of objects.
type PackHeader struct {
	B [12]byte
	n int
}

// See takes what the header still lacks from the beginning of p, and returns how many bytes that is.
func (h *PackHeader) See(p []byte) int {
	n := copy(h.B[h.n:], p)
	h.n += n
	return n
}

// Whole reports whether the header is complete.
func (h *PackHeader) Whole() bool { return h.n == len(h.B) }

// Objects returns the number of objects; ok is false if the header is incomplete, not that of a pack, or not of version 2, the only
// one that git writes.
func (h *PackHeader) Objects() (n uint32, ok bool) {
	if !h.Whole() || string(h.B[:4]) != "PACK" {
		return 0, false
	}
	return binary.BigEndian.Uint32(h.B[8:]), binary.BigEndian.Uint32(h.B[4:]) == 2
}
