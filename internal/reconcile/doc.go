// Package reconcile finds the difference between two peers' sets of object names, at a cost that depends on the difference
// and hardly on the sets. It does no input or output: see Exchange for how to drive it.
//
// The method is rateless invertible Bloom lookup tables (Yang, Gilad, Alizadeh, "Practical Rateless Set Reconciliation",
// SIGCOMM 2024). Each side describes its set by an endless sequence of coded symbols, which it sends in order. XORing our
// symbols with the peer's leaves the symbols of the difference, since what both have cancels out; and 1.35 symbols for each
// differing name suffice to decode it, whatever its size. No estimate is needed beforehand. Unlike the paper, this package
// uses integers throughout, walks elements through blocks of symbols from above (walk), uses complements (decoder.single),
// paces by counts (window), and sends lists where they are shorter.
//
// Section 5 of docs/protocol.md specifies all of it, and testdata/vectors.json has examples. What that page doesn't argue:
//
// Nobody who chooses names without knowing the key can make short names collide. Among n names two collide with probability
// n^2/2^65, which is an error (ErrCollision, or ErrContradiction on the other side). A name that only one side has collides
// with one that only the other has, or both have, with probability d n/2^64: 1 in 18 million for a hundred thousand
// differences among ten million names. Such a name would be missed, so the sides compare CommonDigest.
//
// When all symbols received are zero, so is symbol 0, to which all elements belong: by chance that happens with probability
// 2^-128. A sum that isn't an element is taken for one with probability 2^-64. Both sides decode the same difference, so they
// know it after the same number of symbols, and a side that knows it can stop there.
package reconcile
