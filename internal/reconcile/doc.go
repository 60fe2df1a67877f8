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
// Section 5 of docs/protocol.md specifies all of it, and testdata/vectors.json has examples. What the page doesn't argue:
//
// Nobody who chooses names without knowing the key can make short names meet. Among n names two meet with a chance of
// n^2/2^65, which is an error (ErrCollision, or ErrContradiction on the other side). A name that only one side has meets one
// that only the other has, or both have, with a chance of d n/2^64: 1 in 18 million for a hundred thousand differences among ten
// million names. Such a name would be missed, so sides compare CommonDigest.
//
// When nothing remains of all symbols received, nothing remains of symbol 0, to which all elements belong: by chance that happens
// with 2^-128. A sum is taken for an element that is none with 2^-64. Both sides look at the same difference, so they know it
// after the same number of symbols, and a side that knows it can stop there.
package reconcile
