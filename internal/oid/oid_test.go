package oid

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// Names come back as they went in, across the edge of a chunk, for both sizes; Search finds each and no other.
func TestListKeepsAndFindsNames(t *testing.T) {
	for _, f := range []Format{SHA1, SHA256} {
		l := NewList(f)
		name := make([]byte, f.Size())
		const n = chunkNames + 3
		for i := range n {
			binary.BigEndian.PutUint32(name, uint32(2*i))
			l.Append(name)
		}
		if l.Len() != n {
			t.Fatalf("%s: %d names, want %d", f, l.Len(), n)
		}
		for _, i := range []int{0, 1, chunkNames - 1, chunkNames, n - 1} {
			binary.BigEndian.PutUint32(name, uint32(2*i))
			if !bytes.Equal(l.At(i), name) {
				t.Errorf("%s: name %d is %x, want %x", f, i, l.At(i), name)
			}
			if at, ok := l.Search(name); !ok || at != i {
				t.Errorf("%s: Search(%x) = %d, %v, want %d", f, name, at, ok, i)
			}
			name[f.Size()-1] = 1
			if at, ok := l.Search(name); ok {
				t.Errorf("%s: Search found absent %x at %d", f, name, at)
			}
			name[f.Size()-1] = 0
		}
	}
}

// An abbreviated, an over-long and a non-hexadecimal name are errors, and a good one of each format is not.
func TestParseName(t *testing.T) {
	for _, c := range []struct {
		f    Format
		s    string
		good bool
	}{
		{SHA1, "4b825dc642cb6eb9a060e54bf8d69288fbee4904", true},
		{SHA1, "4b825dc642cb6eb9a060e54bf8d69288fbee490", false},
		{SHA1, "4b825dc642cb6eb9a060e54bf8d69288fbee49040", false},
		{SHA1, "4b825dc642cb6eb9a060e54bf8d69288fbee490g", false},
		{SHA256, "4b825dc642cb6eb9a060e54bf8d69288fbee4904", false},
		{SHA256, "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321", true},
	} {
		err := c.f.Parse(make([]byte, c.f.Size()), []byte(c.s))
		if (err == nil) != c.good {
			t.Errorf("%s %s: %v", c.f, c.s, err)
		}
	}
	if _, err := ParseFormat("md5"); err == nil {
		t.Error("md5 passed as an object format")
	}
}
