// Package reconcile finds the difference of two sets of object names that two peers hold, at a cost that depends on the
// difference and hardly on the sets. It does no input or output: see Exchange for how it is driven.
//
// The method is rateless invertible Bloom lookup tables (Yang, Gilad, Alizadeh, "Practical Rateless Set Reconciliation",
// SIGCOMM 2024). Each side describes its set by an endless sequence of coded symbols and sends them one after another.
// XOR-ed with the own symbols, those of the peer describe the difference of the sets, since what both have cancels out; and
// 1.35 symbols for each differing name are enough to read all of it, whatever its size. No estimate is needed beforehand.
// What is done here and not in the paper: integers throughout, elements walked through blocks of symbols from above (walk),
// complements (decoder.single), pacing by counts (window), and lists where they are shorter.
//
// # Names
//
// Both sides know a Key of 16 bytes, made for this exchange, and each other's number of names. All numbers are unsigned
// 64-bit ones, arithmetic is modulo 2^64 where it overflows, and / rounds down, if nothing else is said.
//
//	short(name), digest(name)  the two halves of SipHash-2-4-128(key, name)
//	check(s)                   SipHash-2-4-64(key, s as 8 bytes, big-endian)
//
// where SipHash gives its 16 bytes of output as two little-endian numbers. Nobody who chooses names without knowing the key
// can make short names meet. Among n names two meet with a chance of n^2/2^65, which is an error (ErrCollision, or
// ErrContradiction on the other side). A name that only one side has meets one that only the other has, or both have, with a
// chance of d n/2^64: 1 in 18 million for a hundred thousand differences among ten million names. Such a name would be
// missed, so sides compare CommonDigest.
//
// # Symbols
//
// Symbol i of a set is, over those of its elements that belong to it,
//
//	sum    the XOR of short(name)               8 bytes, big-endian
//	check  the XOR of check(short(name))        8 bytes
//	count  their number modulo 2^16             2 bytes, only if i < 112
//
// so that 112 symbols have 2,016 bytes, and further ones 16 each. A batch is symbols in order, without a gap to the batch
// before and without a header.
//
// An element belongs to symbol i with probability 2/(i+2), always to symbol 0. The indices are divided into blocks:
//
//	block 0      [0, 112)
//	block 1      [112, 1792)
//	block 2+4q+r [448(4+r)2^q, 448(5+r)2^q)     for q >= 0, 0 <= r < 4
//
// In block k = [low, high), the indices of the element with short name s are found from the highest to the lowest:
//
//	m = high
//	for t = 1, 2, 3, ... while m > low:
//		z = mix64(s + (k*2^32 + t) * 0x9e3779b97f4a7c15)
//		u = z / 2^32, v = z mod 2^32
//		i = max(u*m / 2^32, v*(m+1) / 2^32 - 1)     -1 is less than 0 here
//		if i < low: end
//		the element belongs to symbol i
//		m = i
//
//	mix64(z):
//		z = (z XOR z/2^30) * 0xbf58476d1ce4e5b9
//		z = (z XOR z/2^27) * 0x94d049bb133111eb
//		return z XOR z/2^31
//
// # Decoding
//
// What remains of a symbol is the own one XOR the peer's XOR the elements recovered so far that belong to it. After each
// symbol of the peer, elements are recovered until none can be:
//
//   - A symbol of which (sum, check) != (0, 0) remains with check = check(sum) holds one element, whose short name is sum.
//   - So does the XOR of what remains of symbol 0 and of symbol i, for 1 <= i <= 15.
//
// An element that is in the own set is one that the peer lacks, another one is one that the peer has in addition. The
// difference is known as soon as nothing remains of all symbols received; their number N is the same on both sides, and N =
// 1 if the sets are equal. Then nothing remains of symbol 0, to which all elements belong, which happens by chance with
// 2^-128; and a sum is taken for an element that is none with 2^-64. The sizes must agree as well: own names less those that
// the peer lacks = the peer's names less those that it has in addition.
//
// Both rules must be followed by every implementation, since a side that knows the difference stops after sending N symbols.
//
// # Pacing
//
// Both sides send at the same time. A side may have sent, in all,
//
//   - before the difference is known, as many symbols as it likes in the first block, and then more than it has received, so
//     that two waiting sides can't be; the function window says what this implementation sends, and argues for it.
//   - N symbols, or what it had already sent, once the difference is known. Symbols that come after N are dropped.
//
// When 112 symbols have been received and the difference is not known, both sides estimate it. With D = own size - peer's
// size, c(i) = own count - peer's count of symbol i, known modulo 2^16, signed and division towards zero,
//
//	E(i) = 2D / (i+2)
//	C(i) = E(i) + the number in [-2^15, 2^15) that is c(i) - E(i) modulo 2^16
//	S    = sum for i = 1..111 of ((i+2) C(i) - 2D)^2 / (2i)
//	d    = S / 111, raised to |D| or lowered to the sum of the sizes
//
// which is the same on both sides. The number of symbols expected for it is
//
//	symbols(d) = 27d/20 + isqrt(d)
//
// A peer is in error that sends more than
//
//	min(2 * sum of the sizes, 4d + d/16, 2^31 - 1024) + 1024
//
// symbols in all, or more than 112 if the difference was known by then.
//
// # Lists
//
// A list is the 8-byte big-endian short names of the whole set, in any order. Both sides send lists, and end when they have
// received as many entries as the peer has names,
//
//   - instead of symbols, if 8 max(sizes) <= bytes of the first max(112, symbols(|D|)) symbols
//   - after symbols 0 to 111, if symbols(d) > 112 and 8 max(sizes) < 16 (symbols(d) - 112)
//
// Both sides come to the same decision from the same numbers, so that it costs no message and no round trip.
//
// testdata/vectors.json holds examples of all of this.
package reconcile
