package links

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"aig/internal/git"
	"aig/internal/oid"
)

// Packed calls visit with each object of a pack, in the order in which they lie there. path is that of the pack, without extension.
// The name is valid until visit returns. The kind is 0 where that can't be read.
//
// A delta has the type of its base. git would walk through all of a delta chain for each object of it, and somebody may have made one
// of any length; so the types come from the pack itself, each step of a chain once.
func Packed(ctx context.Context, repo *git.Repo, path string, visit func(name []byte, kind Kind) error) error {
	p := pack{names: oid.NewList(repo.Format)}
	if err := p.readIndex(ctx, repo, path+".idx"); err != nil {
		return err
	}
	file, err := os.Open(path + ".pack")
	if err != nil {
		return err
	}
	defer file.Close()
	kinds, bases := make([]Kind, p.names.Len()), make([]uint32, p.names.Len())
	for i := range bases {
		if kinds[i], bases[i], err = p.read(file, i); err != nil {
			return err
		}
	}
	findHeads(bases)
	for _, i := range p.order {
		if err := visit(p.names.At(int(i)), kinds[bases[i]]); err != nil {
			return err
		}
	}
	return nil
}

// pack is what the index of a pack says.
type pack struct {
	names   *oid.List // ascending
	offsets []int64   // of each, in the pack
	order   []uint32  // positions in names, by offset
}

func (p *pack) readIndex(ctx context.Context, repo *git.Repo, path string) error {
	idx, err := os.Open(path)
	if err != nil {
		return err
	}
	defer idx.Close()
	c := repo.Command(ctx, nil, "show-index", "--object-format="+string(repo.Format))
	c.Stdin = idx
	name := make([]byte, repo.Format.Size())
	err = c.Lines(func(line []byte) error {
		offset, rest, _ := bytes.Cut(line, []byte(" "))
		digits, _, _ := bytes.Cut(rest, []byte(" "))
		at, err := strconv.ParseInt(string(offset), 10, 64)
		if err != nil || repo.Format.Parse(name, digits) != nil {
			return fmt.Errorf("git show-index said %q", line)
		}
		p.names.Append(name)
		p.order = append(p.order, uint32(len(p.order)))
		p.offsets = append(p.offsets, at)
		return nil
	})
	slices.SortFunc(p.order, func(a, b uint32) int { return int(p.offsets[a] - p.offsets[b]) })
	return err
}

// read reads the beginning of an object in the pack (gitformat-pack(5), "Pack entry"): its type, or the base that it is a delta of.
// An object that is no delta is its own base. One that can't be read is of no kind: git has seen all of a pack that comes in, but
// packs that lie in a store go bad.
func (p *pack) read(file io.ReaderAt, i int) (kind Kind, base uint32, err error) {
	var buf [64]byte // more than two numbers, or a number and a name, take
	if _, err := file.ReadAt(buf[:], p.offsets[i]); err != nil && err != io.EOF {
		return 0, 0, err
	}
	in := buf[:]
	next := func() (c byte) {
		if len(in) > 0 {
			c, in = in[0], in[1:]
		}
		return c
	}
	const more = 0x80 // another byte of the number follows
	first := next()
	for c := first; c&more != 0; { // the size
		c = next()
	}
	switch entry := first >> 4 & 7; entry {
	case 1, 2, 3, 4:
		return 1 << (entry - 1), uint32(i), nil
	case 6: // so far before, in bytes
		c := next()
		back := int64(c &^ more)
		for c&more != 0 {
			c = next()
			back = (back+1)<<7 | int64(c&^more)
		}
		at, found := slices.BinarySearchFunc(p.order, p.offsets[i]-back, func(j uint32, offset int64) int {
			return cmp.Compare(p.offsets[j], offset)
		})
		if found {
			return 0, p.order[at], nil
		}
	case 7: // by name
		if at, found := p.names.Search(in[:min(len(in), p.names.Format().Size())]); found {
			return 0, uint32(at), nil
		}
	}
	return 0, uint32(i), nil
}

// findHeads replaces the base of each object by the whole object at the end of its delta chain.
func findHeads(base []uint32) {
	// Two that are deltas against each other, as a pack that has objects twice may have them, are as good as whole.
	seen := make([]uint32, len(base)) // by whom, plus one
	for i := range base {
		end := uint32(i)
		for end != base[end] && seen[end] != uint32(i)+1 {
			end, seen[end] = base[end], uint32(i)+1
		}
		base[end] = end
		for at := uint32(i); at != end; { // whoever comes this way again has one step to go
			at, base[at] = base[at], end
		}
	}
}
