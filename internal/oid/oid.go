// Package oid keeps object names of either object format in memory, in order.
//
// go-git's plumbing.Hash is fixed at 20 bytes; here the size is a property of the Format, so that a SHA-256 repository
// is never a special case.
package oid

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"math/bits"
	"sort"
	"strings"
)

// Format is an object format as `git rev-parse --show-object-format` prints it.
type Format string

// The object formats that git knows (gitglossary, "object format"; hash-function-transition).
const (
	SHA1   Format = "sha1"
	SHA256 Format = "sha256"
)

// ParseFormat returns the format of that name, or an error if this program does not know it.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case SHA1, SHA256:
		return f, nil
	}
	return "", fmt.Errorf("unknown object format %q", s)
}

// Size returns the length of a binary object name in bytes: 20 or 32.
func (f Format) Size() int {
	if f == SHA256 {
		return 32
	}
	return 20
}

// Hash returns a new hash of the format; an object's name is its sum.
func (f Format) Hash() hash.Hash {
	if f == SHA256 {
		return sha256.New()
	}
	return sha1.New()
}

// Parse decodes a full hexadecimal object name into dst, which is f.Size() bytes long.
func (f Format) Parse(dst, src []byte) error {
	if len(src) != hex.EncodedLen(f.Size()) {
		return fmt.Errorf("object name %.80q is not %d digits long", src, hex.EncodedLen(f.Size()))
	}
	if _, err := hex.Decode(dst, src); err != nil {
		return fmt.Errorf("object name %.80q is not hexadecimal", src)
	}
	return nil
}

// IsName reports whether name is a full object name in lower-case hexadecimal, which git can't take for anything else.
func (f Format) IsName(name string) bool {
	return name == strings.ToLower(name) && f.Parse(make([]byte, f.Size()), []byte(name)) == nil
}

// chunkNames is how many names one allocation of a List holds. Growing by chunks never copies, and never takes twice the
// memory of the list, which matters with ten million objects.
const chunkNames = 1 << 15

// List is an append-only list of binary object names. Searching needs it ascending and without duplicates, as git lists a store.
type List struct {
	format Format
	size   int
	chunks [][]byte
	n      int
}

// NewList returns an empty list of names of format f.
func NewList(f Format) *List {
	return &List{format: f, size: f.Size()}
}

// Format returns the object format of the names.
func (l *List) Format() Format { return l.format }

// Len returns the number of names.
func (l *List) Len() int { return l.n }

// Append copies name, of the format's size, to the end of the list.
func (l *List) Append(name []byte) {
	if l.n%chunkNames == 0 {
		l.chunks = append(l.chunks, make([]byte, 0, chunkNames*l.size))
	}
	last := len(l.chunks) - 1
	l.chunks[last] = append(l.chunks[last], name[:l.size]...)
	l.n++
}

// Chunks returns the names in order, many to a slice and without separators. The caller must not change them.
func (l *List) Chunks() [][]byte { return l.chunks }

// At returns the i-th name, valid as long as the list. The caller must not change it.
func (l *List) At(i int) []byte {
	off := i % chunkNames * l.size
	return l.chunks[i/chunkNames][off : off+l.size : off+l.size]
}

// Search finds name in an ascending list.
func (l *List) Search(name []byte) (index int, found bool) {
	return Find(l.n, binary.BigEndian.Uint64(name), func(i int) int { return bytes.Compare(name, l.At(i)) })
}

// Find is like [sort.Find], for n elements that are hashes and a target whose first 64 bits are hash. It starts where the target
// would be if the elements were evenly spread. If they are not, because somebody has made them up, it takes twice as many steps as
// sort.Find.
func Find(n int, hash uint64, cmp func(int) int) (index int, found bool) {
	guess, _ := bits.Mul64(hash, uint64(n))
	low, high := int(guess), int(guess)
	for step := 8; low > 0 && cmp(low-1) <= 0; step *= 2 {
		high = low - 1
		low = max(0, high-step)
	}
	for step := 8; high < n && cmp(high) > 0; step *= 2 {
		low = high + 1
		high = min(n, high+step)
	}
	// The elements below low are less than the target; the one at high, if any, is not.
	index = low + sort.Search(high-low, func(i int) bool { return cmp(low+i) <= 0 })
	return index, index < n && cmp(index) == 0
}

// Names is a sequence of names with random access.
type Names interface {
	Format() Format
	Len() int
	At(i int) []byte
}

// Selection is a selection of other names.
type Selection struct {
	List  Names
	Index []uint32 // positions in List
}

// Format returns the object format of the names.
func (s Selection) Format() Format { return s.List.Format() }

// Len returns the number of names selected.
func (s Selection) Len() int { return len(s.Index) }

// At returns the i-th name selected.
func (s Selection) At(i int) []byte { return s.List.At(int(s.Index[i])) }

// Bitmap is a set of positions.
type Bitmap []uint64

// NewBitmap returns a set with room for n positions that holds the given ones.
func NewBitmap(n int, given []uint32) Bitmap {
	b := make(Bitmap, (n+63)/64)
	for _, i := range given {
		b.Add(i)
	}
	return b
}

// Has, Add and Remove test, add and remove one position.
func (b Bitmap) Has(i uint32) bool { return b[i/64]&(1<<(i%64)) != 0 }
func (b Bitmap) Add(i uint32)      { b[i/64] |= 1 << (i % 64) }
func (b Bitmap) Remove(i uint32)   { b[i/64] &^= 1 << (i % 64) }
