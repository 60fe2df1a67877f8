package git

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strconv"

	"aig/internal/oid"
)

// lineReader reads the lines that next makes.
type lineReader struct {
	next func(line []byte) ([]byte, error)
	buf  []byte
	line []byte // the rest of the current line
}

// LineReader returns a reader of lines. next appends one or more to its argument, and returns io.EOF at the end.
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

// NameLines returns a reader of the names from position from on, in hexadecimal digits, one a line: what many git commands read on
// standard input.
func NameLines(names oid.Names, from int) io.Reader {
	return LineReader(func(line []byte) ([]byte, error) {
		if from == names.Len() {
			return nil, io.EOF
		}
		from++
		return append(hex.AppendEncode(line, names.At(from-1)), '\n'), nil
	})
}

// ShowIndex calls each with every object in a pack's index: its offset in the pack, and its name, ascending by name. A name is valid
// until each returns.
func (r *Repo) ShowIndex(ctx context.Context, index string, each func(offset int64, name []byte) error) error {
	file, err := os.Open(index)
	if err != nil {
		return err
	}
	defer file.Close()
	c := r.Command(ctx, nil, "show-index", "--object-format="+string(r.Format))
	c.Stdin = file
	name := make([]byte, r.Format.Size())
	return c.Lines(func(line []byte) error {
		number, rest, _ := bytes.Cut(line, []byte(" "))
		digits, _, _ := bytes.Cut(rest, []byte(" ")) // a checksum follows
		offset, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil || r.Format.Parse(name, digits) != nil {
			return fmt.Errorf("git show-index said %q", line)
		}
		return each(offset, name)
	})
}
