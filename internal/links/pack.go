package links

import (
	"cmp"
	"context"
	"io"
	"os"
	"slices"

	"aig/internal/git"
	"aig/internal/oid"
)

// Pack is what a pack's index says.
type Pack struct {
	Path    string // without extension
	Names   *oid.List
	Offsets []int64 // of each, in the pack
}

// OpenPack reads the index of a pack. path has no extension.
func OpenPack(ctx context.Context, repo *git.Repo, path string) (*Pack, error) {
	p := &Pack{Path: path, Names: oid.NewList(repo.Format)}
	err := repo.ShowIndex(ctx, path+".idx", func(offset int64, name []byte) error {
		p.Names.Append(name)
		p.Offsets = append(p.Offsets, offset)
		return nil
	})
	return p, err
}

// Kinds calls visit with each object of the pack, in pack order. The kind is 0 if it can't be read.
//
// A delta has the type of its base. git would walk a whole delta chain for each of its objects, and a peer can make one of any length;
// so the types are read from the pack itself, each step of a chain once.
func (p *Pack) Kinds(visit func(name []byte, kind Kind) error) error {
	file, err := os.Open(p.Path + ".pack")
	if err != nil {
		return err
	}
	defer file.Close()
	r := &packReader{Pack: p, file: file, order: make([]packed, len(p.Offsets))}
	for i, offset := range p.Offsets {
		r.order[i] = packed{offset, uint32(i)}
	}
	slices.SortFunc(r.order, func(a, b packed) int { return cmp.Compare(a.offset, b.offset) })
	kinds, bases := make([]Kind, len(r.order)), make([]uint32, len(r.order))
	for _, o := range r.order {
		if kinds[o.at], bases[o.at], err = r.read(o); err != nil {
			return err
		}
	}
	findHeads(bases)
	for _, o := range r.order {
		if err := visit(p.Names.At(int(o.at)), kinds[bases[o.at]]); err != nil {
			return err
		}
	}
	return nil
}

// packed is an object of a pack.
type packed struct {
	offset int64
	at     uint32 // its position in the names
}

// packReader reads the headers of a pack's entries.
type packReader struct {
	*Pack
	file   *os.File
	order  []packed // ascending by offset
	start  int64    // where in the pack the window starts
	window []byte
}

// windowSize is how many bytes of a pack are read at a time. maxSize is how many git reads of a size of 64 bits; maxHeader is more than
// a size and an offset, or a size and a name, take.
const (
	windowSize = 1 << 16
	maxSize    = 9
	maxHeader  = 64
)

// header returns the maxHeader bytes at an offset, fewer if the pack ends before. Offsets ascend from call to call.
func (r *packReader) header(offset int64) ([]byte, error) {
	if r.window == nil || offset > r.start+int64(len(r.window))-maxHeader {
		r.window = slices.Grow(r.window[:0], windowSize)[:windowSize]
		n, err := r.file.ReadAt(r.window, offset)
		if err != nil && err != io.EOF {
			return nil, err
		}
		r.start, r.window = offset, r.window[:n]
	}
	rest := r.window[offset-r.start:]
	return rest[:min(len(rest), maxHeader)], nil
}

// read reads the header of an entry (gitformat-pack(5), "Pack entry"): its type, or the base that it is a delta against. An object that
// is no delta is its own base. The kind is 0 if the header can't be read: git index-pack has read all of a pack that we receive, but
// accepts more than git reads afterwards, and packs in a store go bad.
func (r *packReader) read(o packed) (kind Kind, base uint32, err error) {
	in, err := r.header(o.offset)
	if err != nil {
		return 0, 0, err
	}
	next := func() (c byte) {
		if len(in) > 0 {
			c, in = in[0], in[1:]
		}
		return c
	}
	const more = 0x80 // another byte of the number follows
	first := next()
	for c, n := first, 1; c&more != 0; n++ { // the size: git index-pack accepts any length of it, git's other readers maxSize bytes
		if len(in) == 0 || n == maxSize {
			return 0, o.at, nil
		}
		c = next()
	}
	switch entry := first >> 4 & 7; entry {
	case 1, 2, 3, 4:
		return 1 << (entry - 1), o.at, nil
	case 6: // OBJ_OFS_DELTA: the distance to the base
		c := next()
		back := int64(c &^ more)
		for c&more != 0 {
			c = next()
			back = (back+1)<<7 | int64(c&^more)
		}
		at, found := slices.BinarySearchFunc(r.order, o.offset-back, func(o packed, offset int64) int { return cmp.Compare(o.offset, offset) })
		if found {
			return 0, r.order[at].at, nil
		}
	case 7: // OBJ_REF_DELTA: the name of the base
		if size := r.Names.Format().Size(); len(in) >= size {
			if at, found := r.Names.Search(in[:size]); found {
				return 0, uint32(at), nil
			}
		}
	}
	return 0, o.at, nil
}

// findHeads replaces the base of each object by the object at the end of its delta chain.
func findHeads(base []uint32) {
	// A pack that has objects twice may have two as deltas against each other. Then the chain ends at one of them.
	seen := make([]uint32, len(base)) // 1 + the object from which the last walk came past
	for i := range base {
		end := uint32(i)
		for end != base[end] && seen[end] != uint32(i)+1 {
			end, seen[end] = base[end], uint32(i)+1
		}
		base[end] = end
		for at := uint32(i); at != end; { // the next walk from here takes one step
			at, base[at] = base[at], end
		}
	}
}
