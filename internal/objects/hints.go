package objects

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"

	"aig/internal/git"
	"aig/internal/oid"
)

const (
	// maxPath is the longest path that serves as a hint, in bytes. A longer one is dropped, not cut: that would name another place in
	// the tree. git pack-objects reads a line of at most PATH_MAX and a name, and the smallest PATH_MAX where git runs is 260.
	maxPath = 250
	// maxPathBytes bounds the total length of a plan's different paths; later ones are dropped.
	maxPathBytes = 4 << 20
	// maxBases is how many preferred bases are of use: git pack-objects takes as many as its window has room for, 10 by default.
	maxBases = 10
)

// hints holds the paths of given objects in trees. git pack-objects looks for deltas among objects of similar paths, and for bases
// at the same path in the tree of a preferred base.
type hints struct {
	give  []uint32
	path  []uint32 // for each of give: a place in paths
	paths []string // each once; the first stands for no path
}

// of returns an object's path; known is false if it has none. The path of a root tree is known and empty.
func (h *hints) of(at uint32) (path string, known bool) {
	if h == nil {
		return "", false
	}
	if i, found := slices.BinarySearch(h.give, at); found && h.path[i] > 0 {
		return h.paths[h.path[i]], true
	}
	return "", false
}

// walk walks the trees of the given commits for hints, and makes the first boundary commits the preferred bases: parents of given
// commits that the peer has. git then makes deltas against what is in their trees. A shallow or partial peer may lack that: then it
// can't complete the thin pack, and gets the same objects without bases.
//
// If git fails, as it may in a damaged store, there are neither hints nor bases.
func (p *planner) walk(ctx context.Context) {
	w := newTreeWalk(p)
	// --no-walk visits no commit but the given ones: what is behind them, or missing there, doesn't matter. --missing skips what a
	// partial clone lacks, and fetches nothing.
	c := p.repo.Command(ctx, nil, "rev-list", "--objects", "--no-walk", "--parents", "--missing=allow-any", "--stdin")
	c.Stdin = git.NameLines(oid.Selection{List: p.list, Index: p.commits}, 0)
	if c.Lines(w.line) != nil {
		return
	}
	p.hints, p.bases = w.hints, w.bases
	if len(p.ends) == 1 {
		// The order of the walk, newest first, makes better deltas. Several pieces stay in pack order.
		for _, at := range p.order {
			if w.left.Has(at) {
				w.order = append(w.order, at)
			}
		}
		p.order = w.order
	}
}

// treeWalk reads what git rev-list prints for the given commits.
type treeWalk struct {
	*planner
	hints     *hints
	numbers   map[string]uint32 // of hints.paths
	pathBytes int
	left      oid.Bitmap // given and not seen yet
	order     []uint32   // the given objects as git prints them
	bases     []uint32   // positions in list of the first boundary commits, newest first
	name      []byte
}

func newTreeWalk(p *planner) *treeWalk {
	return &treeWalk{
		planner: p,
		hints:   &hints{give: p.give, path: make([]uint32, len(p.give)), paths: []string{""}},
		numbers: make(map[string]uint32),
		left:    slices.Clone(p.given),
		name:    make([]byte, p.list.Format().Size()),
	}
}

// line takes "<commit> <parent>..." or "<object> <path>". A path may contain any byte but a line feed, where rev-list cuts it.
func (w *treeWalk) line(line []byte) error {
	digits := hex.EncodedLen(len(w.name))
	if err := w.list.Format().Parse(w.name, line[:min(digits, len(line))]); err != nil {
		return err
	}
	i, found := w.list.Search(w.name)
	at := uint32(i)
	if !found || !w.left.Has(at) {
		return nil
	}
	w.left.Remove(at)
	w.order = append(w.order, at)
	if len(line) > digits {
		if _, commit := slices.BinarySearch(w.commits, at); commit {
			w.addBases(line[digits:])
		} else {
			w.addPath(at, line[digits+1:])
		}
	}
	return nil
}

func (w *treeWalk) addPath(at uint32, path []byte) {
	if len(path) > maxPath || bytes.ContainsAny(path, "\n\r\x00") {
		return
	}
	number, known := w.numbers[string(path)]
	if !known {
		if w.pathBytes += len(path); w.pathBytes > maxPathBytes {
			return
		}
		number = uint32(len(w.hints.paths))
		w.hints.paths = append(w.hints.paths, string(path))
		w.numbers[w.hints.paths[number]] = number
	}
	if i, found := slices.BinarySearch(w.give, at); found {
		w.hints.path[i] = number
	}
}

func (w *treeWalk) addBases(names []byte) {
	for name := range bytes.FieldsSeq(names) {
		if len(w.bases) == maxBases {
			return
		}
		if w.list.Format().Parse(w.name, name) != nil {
			continue
		}
		if i, found := w.list.Search(w.name); found && !w.given.Has(uint32(i)) && !slices.Contains(w.bases, uint32(i)) {
			w.bases = append(w.bases, uint32(i))
		}
	}
}
