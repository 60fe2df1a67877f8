package objects

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"

	"aig/internal/git"
	"aig/internal/oid"
)

const (
	// maxPath is the length in bytes up to which a path is a hint; a longer one is dropped, not cut, since the cut one
	// would stand for another place in the tree. git pack-objects reads its list into a line of PATH_MAX and a name,
	// and the smallest PATH_MAX of a system that git runs on is 260.
	maxPath = 250
	// maxPathBytes bounds the different paths of one plan together; what comes later has no hint.
	maxPathBytes = 4 << 20
	// maxBases is how many preferred bases are of use: git pack-objects takes as many as its --window, 10 by default.
	maxBases = 10
	// A walk that says more than maxWalk bytes, and maxWalkObject for each object of the store, is broken off. In trees
	// that are thousands deep, as nobody has who means it, a megabyte of trees has a gigabyte of paths.
	maxWalk       = 64 << 20
	maxWalkObject = 512
)

// hints is the paths at which given objects are found in trees. git pack-objects looks for deltas among objects of like
// paths, and for bases at the same path in a base's tree.
type hints struct {
	give  []uint32
	path  []uint32 // for each of give: a place in paths
	paths []string // each once; the first one stands for none
}

// of is an object's path; known is false where it has none. The root of a tree has the known path "".
func (h *hints) of(at uint32) (path string, known bool) {
	if h == nil {
		return "", false
	}
	if i, found := slices.BinarySearch(h.give, at); found && h.path[i] > 0 {
		return h.paths[h.path[i]], true
	}
	return "", false
}

// walk goes through the trees of the given commits, for hints, and takes the first of their parents that the peer has for
// preferred bases: git then makes deltas against what is in their trees. A peer may have such a commit and not what it
// points to, being shallow or partial. It can't complete the pack then, and gets the same objects without bases.
//
// In an odd store, where git does not come to a good end, there are neither hints nor bases.
func (p *planner) walk(ctx context.Context) {
	w := newTreeWalk(p)
	// --no-walk goes to no commit but the given ones: neither what is behind them nor what is missing there matters.
	// --missing passes over what a partial clone lacks, and fetches nothing.
	c := p.repo.Command(ctx, nil, "rev-list", "--objects", "--no-walk", "--parents", "--missing=allow-any", "--stdin")
	c.Stdin = &git.NameLines{Names: oid.Selection{List: p.list, Index: p.commits}}
	if c.Lines(w.line) != nil {
		return
	}
	p.hints, p.bases = w.hints, w.bases
	if len(p.ends) == 1 {
		// The order of a walk, newest first, makes the better deltas; several pieces stay in pack order.
		for _, at := range p.order {
			if w.left.Has(at) {
				w.order = append(w.order, at)
			}
		}
		p.order = w.order
	}
}

// treeWalk reads what git rev-list says of the given commits.
type treeWalk struct {
	*planner
	hints     *hints
	numbers   map[string]uint32 // of hints.paths
	pathBytes int
	left      oid.Bitmap // given and not seen yet
	order     []uint32   // as they came
	bases     []uint32   // positions in list of the first boundary commits, newest first
	name      []byte
	room      int64 // bytes that may still be said
}

func newTreeWalk(p *planner) *treeWalk {
	return &treeWalk{
		planner: p,
		hints:   &hints{give: p.give, path: make([]uint32, len(p.give)), paths: []string{""}},
		numbers: make(map[string]uint32),
		left:    slices.Clone(p.given),
		name:    make([]byte, p.list.Format().Size()),
		room:    maxWalk + maxWalkObject*int64(p.list.Len()),
	}
}

// line takes "<commit> <parent>..." or "<object> <path>". A path may hold any byte but a line feed, at which rev-list cuts
// it.
func (w *treeWalk) line(line []byte) error {
	if w.room -= int64(len(line)) + 1; w.room < 0 {
		return errors.New("git rev-list says too much")
	}
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
