package objects

import (
	"bytes"
	"context"
	"errors"
	"os"
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

// A few kilobytes of trees can stand for any number of changed paths, of which git log holds those of one commit at once.
const (
	maxLogMemory = 256 << 20 // of git log
	maxLogBytes  = 256 << 20 // of what it prints
)

// hint asks git for the paths that each given commit changes against its first parent, for hints, and makes the first boundary commits
// the preferred bases: parents of given commits that the peer has. git then makes deltas against what is in their trees. A shallow or
// partial peer may lack that: then it can't complete the thin pack, and gets the same objects without bases.
//
// If git fails, as it may where a parent is missing, what it has said by then must do.
func (p *planner) hint(ctx context.Context) {
	l := newLogReader(p)
	// --no-walk visits no commit but the given ones, the newest first.
	c := p.repo.Command(ctx, nil, "log", "--no-walk", "--stdin", "--diff-merges=first-parent", "--raw", "-r", "-t", "-z", "--root",
		"--no-abbrev", "--no-renames", "--no-relative", "--no-color", "--no-mailmap", "--no-show-signature",
		"--ignore-submodules=all", "-O"+os.DevNull, "--format=%H %T %P")
	c.Stdin = git.NameLines(oid.Selection{List: p.list, Index: p.commits}, 0)
	c.LimitMemory(maxLogMemory)
	c.Records(0, l.record)
	if len(p.ends) == 1 {
		// This order makes better deltas, and commits come first. Several pieces stay in pack order.
		rest := slices.DeleteFunc(p.order, func(at uint32) bool { return !l.left.Has(at) })
		p.order = slices.Concat(l.seen, l.order, rest)
	}
}

// logReader reads what git log prints for the given commits, and fills in the planner's hints and bases.
type logReader struct {
	*planner
	numbers   map[string]uint32 // of hints.paths
	pathBytes int
	left      oid.Bitmap // given and not seen yet
	seen      []uint32   // the given commits as git prints them, newest first
	order     []uint32   // the other given objects as git prints them
	changed   []byte     // the name of the object whose path comes next
	room      int        // for more of what git prints, in bytes
	name      []byte
}

func newLogReader(p *planner) *logReader {
	p.hints = &hints{give: p.give, path: make([]uint32, len(p.give)), paths: []string{""}}
	return &logReader{
		planner: p,
		numbers: make(map[string]uint32),
		left:    slices.Clone(p.given),
		room:    maxLogBytes,
		name:    make([]byte, p.list.Format().Size()),
	}
}

// record takes "<commit> <tree> <parent>...", or for each changed path "\n:<mode> <mode> <old> <new> <letter>", only the first of a
// commit with the line feed, and the path.
func (l *logReader) record(text []byte) error {
	if l.room -= len(text); l.room < 0 {
		return errors.New("more paths have changed than are of use")
	}
	if len(l.changed) > 0 {
		l.see(&l.order, l.changed, text)
		l.changed = l.changed[:0]
		return nil
	}
	switch fields := bytes.Fields(text); {
	case len(fields) == 5 && fields[0][0] == ':':
		l.changed = append(l.changed, fields[3]...)
	case len(fields) >= 2:
		l.see(&l.seen, fields[0], nil)
		l.see(&l.order, fields[1], []byte{})
		l.addBases(fields[2:])
	}
	return nil
}

// see adds the next object to an order, and notes its path; a commit has none, which is nil.
func (l *logReader) see(order *[]uint32, digits, path []byte) {
	rank, found := l.rank(l.name, digits)
	if !found || !l.left.Has(l.give[rank]) {
		return
	}
	l.left.Remove(l.give[rank])
	*order = append(*order, l.give[rank])
	if path != nil {
		l.addPath(rank, path)
	}
}

func (l *logReader) addPath(rank uint32, path []byte) {
	if len(path) > maxPath || bytes.ContainsAny(path, "\n\r\x00") {
		return
	}
	number, known := l.numbers[string(path)]
	if !known {
		if l.pathBytes += len(path); l.pathBytes > maxPathBytes {
			return
		}
		number = uint32(len(l.hints.paths))
		l.hints.paths = append(l.hints.paths, string(path))
		l.numbers[l.hints.paths[number]] = number
	}
	l.hints.path[rank] = number
}

func (l *logReader) addBases(names [][]byte) {
	for _, name := range names {
		if len(l.bases) == maxBases {
			return
		}
		if l.list.Format().Parse(l.name, name) != nil {
			continue
		}
		if i, found := l.list.Search(l.name); found && !l.given.Has(uint32(i)) && !slices.Contains(l.bases, uint32(i)) {
			l.bases = append(l.bases, uint32(i))
		}
	}
}
