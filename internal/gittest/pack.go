package gittest

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"
)

// The types of a pack's entries (gitformat-pack(5)).
const (
	PackCommit, PackTree, PackBlob, PackTag = 1, 2, 3, 4
	PackOfsDelta, PackRefDelta              = 6, 7
)

// Pack is a pack made by hand (gitformat-pack(5)), as right or as wrong as the test wants it. The zero value is an empty
// one in the object format SHA-1.
type Pack struct {
	SHA256  bool
	Pad     int    // zeros behind the size of each entry that is made from now on
	Version uint32 // 0 is 2
	Count   uint32 // what the header says; 0 is as many as there are
	entries bytes.Buffer
	n       uint32
	z       *zlib.Writer
}

const packHeaderSize = 12

// Offset returns where the next entry begins.
func (p *Pack) Offset() int { return packHeaderSize + p.entries.Len() }

// Object adds an object and returns its name.
func (p *Pack) Object(kind byte, content []byte) []byte {
	p.Entry(kind, uint64(len(content)), nil, p.deflate(content))
	return p.Name(kind, content)
}

// RefDelta adds a delta against the object of that name.
func (p *Pack) RefDelta(base, delta []byte) {
	p.Entry(PackRefDelta, uint64(len(delta)), base, p.deflate(delta))
}

// OfsDelta adds a delta against the entry that begins distance bytes before this one.
func (p *Pack) OfsDelta(distance uint64, delta []byte) {
	// Seven bits a byte, the highest ones first, and one less for each byte that follows.
	b := []byte{byte(distance & 0x7f)}
	for distance >>= 7; distance > 0; distance >>= 7 {
		distance--
		b = append([]byte{0x80 | byte(distance&0x7f)}, b...)
	}
	p.Entry(PackOfsDelta, uint64(len(delta)), b, p.deflate(delta))
}

// Entry adds an entry of any type, with any size in its header; base is a delta's reference to its base.
func (p *Pack) Entry(kind byte, size uint64, base, deflated []byte) {
	b := kind<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		p.entries.WriteByte(b | 0x80)
		b = byte(size & 0x7f)
	}
	for range p.Pad {
		p.entries.WriteByte(b | 0x80)
		b = 0
	}
	p.entries.WriteByte(b)
	p.entries.Write(base)
	p.entries.Write(deflated)
	p.n++
}

// Bytes returns the pack, with a header and a checksum.
func (p *Pack) Bytes() []byte {
	version, count := p.Version, p.Count
	if version == 0 {
		version = 2
	}
	if count == 0 {
		count = p.n
	}
	b := []byte("PACK")
	b = binary.BigEndian.AppendUint32(b, version)
	b = binary.BigEndian.AppendUint32(b, count)
	b = append(b, p.entries.Bytes()...)
	return p.Sum(b)
}

// Sum appends to b its checksum.
func (p *Pack) Sum(b []byte) []byte {
	h := p.hash()
	h.Write(b)
	return h.Sum(slices.Clip(b))
}

// Name returns an object's name.
func (p *Pack) Name(kind byte, content []byte) []byte {
	h := p.hash()
	fmt.Fprintf(h, "%s %d\x00", [...]string{PackCommit: "commit", PackTree: "tree", PackBlob: "blob", PackTag: "tag"}[kind], len(content))
	h.Write(content)
	return h.Sum(nil)
}

func (p *Pack) hash() hash.Hash {
	if p.SHA256 {
		return sha256.New()
	}
	return sha1.New()
}

// deflate is Deflate with a writer that is made once: making one costs more than most objects.
func (p *Pack) deflate(content []byte) []byte {
	var b bytes.Buffer
	if p.z == nil {
		p.z = zlib.NewWriter(&b)
	}
	p.z.Reset(&b)
	p.z.Write(content)
	p.z.Close()
	return b.Bytes()
}

// Deflate returns content as a zlib stream.
func Deflate(content []byte) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write(content)
	z.Close()
	return b.Bytes()
}

// Delta returns a delta that makes an object of size bytes from a base of baseSize bytes by the given instructions.
func Delta(baseSize, size uint64, instructions ...[]byte) []byte {
	b := binary.AppendUvarint(nil, baseSize)
	b = binary.AppendUvarint(b, size)
	return append(b, bytes.Join(instructions, nil)...)
}

// Copy returns the instruction to copy from the base; size is less than 2^24.
func Copy(offset, size uint32) []byte {
	b := []byte{0x80}
	for i := range 4 {
		if part := byte(offset >> (8 * i)); part != 0 {
			b[0] |= 1 << i
			b = append(b, part)
		}
	}
	for i := range 3 {
		if part := byte(size >> (8 * i)); part != 0 {
			b[0] |= 0x10 << i
			b = append(b, part)
		}
	}
	return b
}

// Insert returns the instruction to insert 1 to 127 bytes.
func Insert(text string) []byte { return append([]byte{byte(len(text))}, text...) }

// TreeEntry returns one entry of a tree.
func TreeEntry(mode, name string, object []byte) []byte {
	return append([]byte(mode+" "+name+"\x00"), object...)
}
