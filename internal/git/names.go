package git

import (
	"encoding/hex"
	"io"

	"aig/internal/oid"
)

// lineReader reads as the lines that next makes.
type lineReader struct {
	next func(line []byte) ([]byte, error)
	buf  []byte
	line []byte // the rest of the current line
}

// LineReader returns a reader of lines. next appends one or more to its argument; io.EOF from it is the end.
func LineReader(next func(line []byte) ([]byte, error)) io.Reader { return &lineReader{next: next} }

func (r *lineReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(r.line) == 0 {
			if r.buf, err = r.next(r.buf[:0]); err != nil {
				break
			}
			r.line = r.buf
		}
		k := copy(p[n:], r.line)
		n, r.line = n+k, r.line[k:]
	}
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// NameLines returns a reader of a line for each name from the given one on, in hexadecimal digits: what many git commands take
// on standard input.
func NameLines(names oid.Names, from int) io.Reader {
	return LineReader(func(line []byte) ([]byte, error) {
		if from == names.Len() {
			return nil, io.EOF
		}
		from++
		return append(hex.AppendEncode(line, names.At(from-1)), '\n'), nil
	})
}
