package reconcile

import (
	"encoding/binary"

	"github.com/dchest/siphash"
)

// Key keys the short names of one exchange. Both sides must use the same one, and nobody may have known it when the names
// were chosen: derive it from fresh randomness of both sides.
type Key [16]byte

// halves returns the key as SipHash takes it: two little-endian words.
func (k *Key) halves() (k0, k1 uint64) {
	return binary.LittleEndian.Uint64(k[:8]), binary.LittleEndian.Uint64(k[8:])
}

// Hash returns the two halves of a name's 128-bit SipHash-2-4 (Aumasson, Bernstein 2012; the 128-bit variant of their reference
// code), each read as a little-endian number. The first is the short name, which stands for the name in symbols and lists. The
// second is the name's part in the digest of a set.
func (k *Key) Hash(name []byte) (short, digest uint64) {
	k0, k1 := k.halves()
	return siphash.Hash128(k0, k1, name)
}

// Short returns the short name of a name: the first half of Hash.
func (k *Key) Short(name []byte) uint64 {
	short, _ := k.Hash(name)
	return short
}

// Seal returns what a side says of the objects that it takes for common, given their number and digest: a keyed hash of these
// and of which side says it. So the other side's can't be derived from it, and an echo is no agreement.
func (k *Key) Seal(server bool, objects, digest uint64) uint64 {
	b := make([]byte, 1, 17) // names have other lengths
	if server {
		b[0] = 1
	}
	b = binary.BigEndian.AppendUint64(b, objects)
	b = binary.BigEndian.AppendUint64(b, digest)
	k0, k1 := k.halves()
	return siphash.Hash(k0, k1, b)
}

// check returns the check hash of a short name: the 64-bit SipHash-2-4 of its eight big-endian bytes on the wire. Names have
// other lengths, which SipHash tells apart, so one key serves both purposes.
func (k *Key) check(short uint64) uint64 {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], short)
	k0, k1 := k.halves()
	return siphash.Hash(k0, k1, b[:])
}
