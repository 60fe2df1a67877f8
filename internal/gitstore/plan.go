package gitstore

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"

	"aig/internal/oid"
)

// limits bound pieces and the work on them.
type limits struct {
	bytes   int64 // of a piece, as the objects lie on the disk
	objects int   // of a piece
	walk    int   // given commits, beyond which no trees are gone through
}

var defaultLimits = limits{bytes: 32 << 20, objects: 1 << 16, walk: 1 << 14}

// Piece is what goes into one pack: complete in itself, or thin only against objects that the peer has.
type Piece struct {
	list  *oid.List
	index []uint32
	hints *hints
	bases []uint32 // positions in list of commits that the peer has whole
}

// NewPiece is a piece of the given positions in list, without hints and bases.
func NewPiece(list *oid.List, index []uint32) Piece { return Piece{list: list, index: index} }

// Len is the number of objects.
func (p Piece) Len() int { return len(p.index) }

// Index is the objects' positions in the list, in the order in which git gets them; to be read only.
func (p Piece) Index() []uint32 { return p.index }

// Thin tells whether the pack may hold deltas against objects that are not in it, but with the peer.
func (p Piece) Thin() bool { return len(p.bases) > 0 }

// WithoutBases is the same objects for a peer that lacks the bases after all: a pack that is complete in itself.
func (p Piece) WithoutBases() Piece {
	p.bases = nil
	return p
}

// Plan cuts what a peer lacks into pieces. list is all of our objects, ascending; give is the positions, ascending too,
// of those that the peer lacks, so that the rest of list is what it has of ours. Every position is in exactly one piece.
//
// It costs 8 bytes of memory for each object given, a bit for each of the list, and at most maxPathBytes for paths. An
// object that cannot be read is no failure here: the piece that it is in fails when it is packed.
func (s *Store) Plan(ctx context.Context, list *oid.List, give []uint32) ([]Piece, error) {
	return s.plan(ctx, list, give, defaultLimits)
}

func (s *Store) plan(ctx context.Context, list *oid.List, give []uint32, max limits) ([]Piece, error) {
	if len(give) == 0 {
		return nil, nil
	}
	p := &planner{store: s, max: max, list: list, give: give, given: newBitmap(list.Len(), give)}
	if err := p.cut(ctx); err != nil {
		return nil, err
	}
	// With nothing in common there are no bases, and the deltas of a packed store are reused as they are.
	if len(give) < list.Len() && len(p.commits) > 0 && len(p.commits) <= max.walk {
		p.walk(ctx)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	pieces := make([]Piece, 0, len(p.ends))
	begin := 0
	for _, end := range p.ends {
		pieces = append(pieces, Piece{list: list, index: p.order[begin:end:end], hints: p.hints, bases: p.bases})
		begin = end
	}
	return pieces, nil
}

// planner is the state of one Plan.
type planner struct {
	store   *Store
	max     limits
	list    *oid.List
	give    []uint32
	given   bitmap   // give, as a set
	order   []uint32 // give, in the order of the pieces
	ends    []int    // where in order each piece ends
	size    int64    // bytes of the piece under way
	commits []uint32 // those of give, ascending; more than max.walk of them are not all here
	hints   *hints
	bases   []uint32
}

// cut puts give into the order of the store's packs, where what leans on each other lies together, and cuts it there.
func (p *planner) cut(ctx context.Context) error {
	if len(p.give) <= p.max.objects {
		// A few objects are looked up by name: that costs nothing for the rest of a large store.
		err := p.measure(ctx, &nameLines{names: oid.Selection{List: p.list, Index: p.give}})
		if err != nil || len(p.ends) == 1 {
			return err
		}
	}
	return p.measure(ctx, nil)
}

// measure fills order, ends and commits from git's answers for the given names, or from its listing of the whole store,
// in pack order, where there are none.
func (p *planner) measure(ctx context.Context, names *nameLines) error {
	args := []string{"cat-file", "--buffer", "--batch-check=%(objectname) %(objecttype) %(objectsize:disk)"}
	if names == nil {
		args = append(args, "--batch-all-objects", "--unordered")
	}
	c := p.store.git.command(ctx, nil, args...)
	if names != nil {
		c.Stdin = names
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return c.explain(err)
	}
	p.order, p.ends, p.size, p.commits = make([]uint32, 0, len(p.give)), nil, 0, nil
	left := slices.Clone(p.given)
	lines := bufio.NewReaderSize(out, 1<<16)
	name := make([]byte, p.list.Format().Size())
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			break
		}
		commit, size, err := parseMeasure(p.list.Format(), name, line)
		if err != nil {
			continue // "missing", for one
		}
		i, found := p.list.Search(name)
		if at := uint32(i); found && left.has(at) {
			left.remove(at)
			p.add(at, size)
			if commit && len(p.commits) <= p.max.walk {
				p.commits = append(p.commits, at)
			}
		}
	}
	out.Close()
	c.Wait() // Its status is no matter: what it has not listed, for whatever reason, is given all the same.
	for _, at := range p.give {
		if left.has(at) {
			p.add(at, 0)
		}
	}
	p.ends = append(p.ends, len(p.order))
	slices.Sort(p.commits)
	return ctx.Err()
}

// add puts an object into the piece under way, or begins the next one with it.
func (p *planner) add(at uint32, size int64) {
	n := len(p.order)
	if len(p.ends) > 0 {
		n -= p.ends[len(p.ends)-1]
	}
	if n > 0 && (n >= p.max.objects || p.size+size > p.max.bytes) {
		p.ends = append(p.ends, len(p.order))
		p.size = 0
	}
	p.order = append(p.order, at)
	p.size += size
}

// parseMeasure reads a line "<name> <type> <size>".
func parseMeasure(format oid.Format, name, line []byte) (commit bool, size int64, err error) {
	fields := bytes.Fields(line)
	if len(fields) != 3 {
		return false, 0, fmt.Errorf("git cat-file said %q", line)
	}
	if err := format.Parse(name, fields[0]); err != nil {
		return false, 0, err
	}
	size, err = strconv.ParseInt(string(fields[2]), 10, 64)
	return string(fields[1]) == "commit", size, err
}

// bitmap is a set of positions.
type bitmap []uint64

func newBitmap(n int, of []uint32) bitmap {
	b := make(bitmap, (n+63)/64)
	for _, i := range of {
		b[i/64] |= 1 << (i % 64)
	}
	return b
}

func (b bitmap) has(i uint32) bool { return b[i/64]&(1<<(i%64)) != 0 }
func (b bitmap) remove(i uint32)   { b[i/64] &^= 1 << (i % 64) }
