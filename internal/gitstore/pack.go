package gitstore

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"

	"aig/internal/oid"
)

// PackPiece writes one pack of exactly the piece's objects to w. A failure of w is returned as it is; any other means
// that an object, or one of a base, is missing or corrupt, or that git could not run, and w has then got a pack that is
// cut short.
func (s *Store) PackPiece(ctx context.Context, p Piece, w io.Writer) error {
	lines := &nameLines{names: oid.Selection{List: p.list, Index: p.index}, bases: oid.Selection{List: p.list, Index: p.bases}}
	if p.hints != nil {
		lines.path = func(i int) (string, bool) { return p.hints.of(p.index[i]) }
	}
	// The names come one a line and nothing is walked, so that shallow and partial stores pack like any other. Not
	// --thin: with it git takes the lines for revisions to walk, and packs something else.
	args := []string{"pack-objects", "--stdout", "--delta-base-offset", "-q"}
	if p.fresh {
		args = append(args, "--no-reuse-object")
	}
	c := s.git.command(ctx, nil, args...)
	c.Stdin = lines
	out := &errorKeeper{w: w}
	c.Stdout = out
	err := c.run()
	if out.err != nil {
		return out.err
	}
	if n, ok := out.header.objects(); err == nil && (!ok || int(n) != p.Len()) {
		return fmt.Errorf("git pack-objects packed %d objects of %d", n, p.Len())
	}
	return err
}

// packHeader keeps the first bytes of a pack (gitformat-pack(5)): "PACK", the version and the number of objects, in
// four bytes each.
type packHeader struct {
	b [12]byte
	n int
}

// see takes what is still missing from p, and returns how much that is.
func (h *packHeader) see(p []byte) int {
	n := copy(h.b[h.n:], p)
	h.n += n
	return n
}

func (h *packHeader) whole() bool { return h.n == len(h.b) }

// objects is the number of objects; ok is false before the header is there, and where it is none.
func (h *packHeader) objects() (n uint32, ok bool) {
	if !h.whole() || string(h.b[:4]) != "PACK" {
		return 0, false
	}
	version := binary.BigEndian.Uint32(h.b[4:])
	return binary.BigEndian.Uint32(h.b[8:]), version == 2 || version == 3
}

// errorKeeper remembers why a write failed: the child that wrote to it only dies of a broken pipe. And it keeps the
// header of the pack that passes through.
type errorKeeper struct {
	w      io.Writer
	err    error
	header packHeader
}

func (k *errorKeeper) Write(p []byte) (int, error) {
	k.header.see(p)
	n, err := k.w.Write(p)
	if err != nil {
		k.err = err
	}
	return n, err
}

// nameLines reads as one line for each object, hexadecimal: what git calls standard input. With bases and paths it is
// the list that git pack-objects reads, which is documented nowhere but in its source: "-<commit>" for each base first,
// then "<name> <path>".
//
// Each line begins with a name of ours, so that a path can at most be a bad hint, provided it has no line feed.
type nameLines struct {
	names oid.Names
	bases oid.Selection
	path  func(i int) (path string, known bool) // nil for none
	base  int                                   // the next one
	next  int
	line  []byte // what is left of the current one
	buf   []byte
}

func (r *nameLines) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(r.line) == 0 && !r.fill() {
			break
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
func (r *nameLines) fill() bool {
	switch {
	case r.base < len(r.bases.Index):
		r.buf = hex.AppendEncode(append(r.buf[:0], '-'), r.bases.At(r.base))
		r.base++
	case r.next < r.names.Len():
		r.buf = hex.AppendEncode(r.buf[:0], r.names.At(r.next))
		if r.path != nil {
			if path, known := r.path(r.next); known {
				r.buf = append(append(r.buf, ' '), path...)
			}
		}
		r.next++
	default:
		return false
	}
	r.buf = append(r.buf, '\n')
	r.line = r.buf
	return true
}
