package git

import (
	"encoding/hex"
	"io"

	"aig/internal/oid"
)

// NameLines reads as one line for each object, its name in hexadecimal digits: what many git commands take on standard input.
type NameLines struct {
	Names  oid.Names
	Prefix string                                // of each line
	Path   func(i int) (path string, known bool) // follows the name and a space; nil for no path
	Next   int                                   // the next name
	line   []byte                                // the rest of the current line
	buf    []byte
}

func (r *NameLines) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(r.line) == 0 {
			if r.Next == r.Names.Len() {
				break
			}
			r.fill()
		}
		k := copy(p[n:], r.line)
		r.line = r.line[k:]
		n += k
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// fill makes the next line.
func (r *NameLines) fill() {
	r.buf = hex.AppendEncode(append(r.buf[:0], r.Prefix...), r.Names.At(r.Next))
	if r.Path != nil {
		if path, known := r.Path(r.Next); known {
			r.buf = append(append(r.buf, ' '), path...)
		}
	}
	r.Next++
	r.buf = append(r.buf, '\n')
	r.line = r.buf
}
