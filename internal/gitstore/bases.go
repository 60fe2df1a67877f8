package gitstore

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"aig/internal/oid"
)

const (
	// maxBases is how many bases are of use: git pack-objects takes as many as its --window, 10 by default.
	maxBases = 10
	// maxBaseTries and maxBaseTrees bound the search for them where the peer's store has many holes, or ours is odd.
	maxBaseTries = 32
	maxBaseTrees = 1 << 17
	// maxTreeBytes is the largest tree object that is read.
	maxTreeBytes = 16 << 20
)

// chooseBases picks, among commits that the peer has, those that it has whole at every path of a hint: a shallow or
// partial peer, or one that was given single objects, may have a commit and not what it points to. The newest come
// first, since they are most like what is given.
//
// Of a base git pack-objects looks at nothing else: an object of its tree at the path of a hint can become a delta base
// that is not in the pack, so that such a pack can always be completed; and one that is given would be left out of the
// pack if it were at such a path of a base's tree, which none is.
func (p *planner) chooseBases(ctx context.Context, parents []uint32) []uint32 {
	if len(parents) == 0 {
		return nil
	}
	r, err := p.store.openReader(ctx)
	if err != nil {
		return nil
	}
	defer r.close()
	type candidate struct {
		commit, tree uint32
		when         int64
	}
	var candidates []candidate
	for _, at := range parents {
		tree, when, err := r.commit(p.list.At(int(at)))
		if err != nil {
			return nil
		}
		if i, found := p.list.Search(tree); found {
			candidates = append(candidates, candidate{at, uint32(i), when})
		}
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(b.when, a.when) })
	c := &holdCheck{planner: p, reader: r, seen: make(map[placed]bool)}
	places := p.hints.places()
	var bases []uint32
	for i, b := range candidates {
		if len(bases) == maxBases || i == maxBaseTries {
			break
		}
		if _, seen := c.seen[placed{b.tree, places}]; seen {
			continue // the same tree as that of another
		}
		held, err := c.holds(b.tree, places)
		if err != nil {
			break // what has been checked stays checked
		}
		if held {
			bases = append(bases, b.commit)
		}
	}
	return bases
}

// place is a path of hints, of a directory or what is in one; its entries are those at which further hints are.
type place struct {
	entries map[string]*place
}

// places is all paths of hints, from the root of a tree on.
func (h *hints) places() *place {
	root := new(place)
	for _, path := range h.paths[1:] {
		at := root
		for path != "" {
			var name string
			name, path, _ = strings.Cut(path, "/")
			if at.entries == nil {
				at.entries = make(map[string]*place)
			}
			if at.entries[name] == nil {
				at.entries[name] = new(place)
			}
			at = at.entries[name]
		}
	}
	return root
}

// placed is a tree at the path of a hint.
type placed struct {
	tree uint32
	at   *place
}

// holdCheck tells of trees whether the peer has what we have of them at the paths of hints.
type holdCheck struct {
	*planner
	reader *objectReader
	seen   map[placed]bool // what holds has said
	trees  int             // read so far
}

// holds goes as deep as the longest hint.
func (c *holdCheck) holds(tree uint32, at *place) (held bool, err error) {
	if held, seen := c.seen[placed{tree, at}]; seen {
		return held, nil
	}
	defer func() {
		if err == nil {
			c.seen[placed{tree, at}] = held
		}
	}()
	if c.given.has(tree) {
		return false, nil
	}
	if len(at.entries) == 0 {
		return true, nil
	}
	if c.trees++; c.trees > maxBaseTrees {
		return false, fmt.Errorf("more than %d trees to look at", maxBaseTrees)
	}
	kind, body, err := c.reader.read(c.list.At(int(tree)))
	if err != nil {
		return false, err
	}
	if kind != "tree" {
		return false, fmt.Errorf("object %x is no tree but %q", c.list.At(int(tree)), kind)
	}
	var inside []placed
	for len(body) > 0 {
		var e treeEntry
		if e, body, err = nextEntry(body, c.list.Format()); err != nil {
			return false, err
		}
		next, hinted := at.entries[string(e.path)]
		if !hinted {
			continue
		}
		i, found := c.list.Search(e.name)
		switch {
		case !found: // a submodule's commit, or what a partial clone lacks: it can be no base
		case c.given.has(uint32(i)):
			return false, nil
		case e.tree:
			inside = append(inside, placed{uint32(i), next})
		}
	}
	for _, in := range inside {
		if held, err := c.holds(in.tree, in.at); !held || err != nil {
			return false, err
		}
	}
	return true, nil
}

// treeEntry is an entry of a tree object.
type treeEntry struct {
	tree bool
	path []byte // its own name in the tree
	name []byte // of the object, binary
}

// nextEntry splits a tree object after its first entry: a mode in octal digits, a space, a file name, a NUL and the
// binary object name.
func nextEntry(body []byte, format oid.Format) (e treeEntry, rest []byte, err error) {
	nul := bytes.IndexByte(body, 0)
	if nul < 0 || len(body)-nul-1 < format.Size() {
		return e, nil, fmt.Errorf("a tree is cut short")
	}
	mode, path, _ := bytes.Cut(body[:nul], []byte(" "))
	end := nul + 1 + format.Size()
	return treeEntry{string(bytes.TrimLeft(mode, "0")) == "40000", path, body[nul+1 : end]}, body[end:], nil
}

// objectReader reads objects of our store one after the other.
type objectReader struct {
	child  *child
	in     io.WriteCloser
	out    *bufio.Reader
	pipe   io.Closer
	format oid.Format
	line   []byte
	body   []byte
}

func (s *Store) openReader(ctx context.Context) (*objectReader, error) {
	r := &objectReader{child: s.git.command(ctx, nil, "cat-file", "--batch"), format: s.format}
	out, err := r.child.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.out, r.pipe = bufio.NewReaderSize(out, 1<<16), out
	if r.in, err = r.child.StdinPipe(); err != nil {
		return nil, err
	}
	return r, r.child.Start()
}

func (r *objectReader) close() {
	r.in.Close()
	r.pipe.Close()
	r.child.Wait() // whatever it says, all that it was asked for has come
}

// read is an object's type and content, which is valid until the next call; the type of a missing one is "missing".
func (r *objectReader) read(name []byte) (kind string, body []byte, err error) {
	r.line = append(hex.AppendEncode(r.line[:0], name), '\n')
	if _, err := r.in.Write(r.line); err != nil {
		return "", nil, err
	}
	header, err := r.out.ReadString('\n')
	if err != nil {
		return "", nil, err
	}
	fields := strings.Fields(header)
	if len(fields) == 2 && fields[1] == "missing" {
		return "missing", nil, nil
	}
	if len(fields) != 3 {
		return "", nil, fmt.Errorf("git cat-file answered %q", header)
	}
	size, err := strconv.ParseUint(fields[2], 10, 63)
	if err != nil || size > maxTreeBytes {
		return "", nil, fmt.Errorf("git cat-file answered %q, which is too large", header)
	}
	r.body = slices.Grow(r.body[:0], int(size)+1)[:size+1] // and a line feed
	if _, err := io.ReadFull(r.out, r.body); err != nil {
		return "", nil, err
	}
	return fields[1], r.body[:size], nil
}

// commit is a commit's tree and the committer's time.
func (r *objectReader) commit(name []byte) (tree []byte, when int64, err error) {
	kind, body, err := r.read(name)
	if err != nil {
		return nil, 0, err
	}
	if kind != "commit" {
		return nil, 0, fmt.Errorf("object %x is no commit but %q", name, kind)
	}
	tree = make([]byte, r.format.Size())
	first, rest, _ := bytes.Cut(body, []byte("\n"))
	digits, found := bytes.CutPrefix(first, []byte("tree "))
	if !found {
		return nil, 0, fmt.Errorf("commit %x has no tree", name)
	}
	if err := r.format.Parse(tree, digits); err != nil {
		return nil, 0, err
	}
	for line := range bytes.Lines(rest) {
		if value, found := bytes.CutPrefix(line, []byte("committer ")); found {
			// "Name <address> seconds zone"; a time that cannot be read counts as old.
			if fields := bytes.Fields(value[bytes.LastIndexByte(value, '>')+1:]); len(fields) > 0 {
				when, _ = strconv.ParseInt(string(fields[0]), 10, 64)
			}
			return tree, when, nil
		}
	}
	return nil, 0, fmt.Errorf("commit %x has no committer", name)
}
