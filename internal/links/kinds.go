package links

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sort"

	"aig/internal/git"
	"aig/internal/oid"
)

// few is how many objects git may be asked for one by one, however long their delta chains are.
const few = 1000

// Kinds returns the type of each of the objects, 0 for one that is absent or can't be read.
func Kinds(ctx context.Context, repo *git.Repo, names oid.Names) ([]Kind, error) {
	if names.Len() <= few {
		return headKinds(ctx, repo, nil, names)
	}
	bases, base := oid.NewList(names.Format()), make([]byte, names.Format().Size())
	c := repo.Command(ctx, nil, "cat-file", "--buffer", "--batch-check=%(deltabase)")
	c.Stdin = git.NameLines(names, 0)
	// git's status doesn't matter: an object for which it names no base counts as a head.
	c.Lines(func(line []byte) error {
		if names.Format().Parse(base, line) != nil { // "missing", for one
			clear(base)
		}
		bases.Append(base)
		return nil
	})
	for clear(base); bases.Len() < names.Len(); {
		bases.Append(base)
	}
	return ChainKinds(ctx, repo, nil, names, Positions(names, bases))
}

// ChainKinds is [Kinds] for objects whose delta bases are known; see [Positions] and [Head]. env goes on top of git's environment.
//
// A delta has the type of its base, and a peer can make a delta chain of any length, so git is asked for the types of the heads of
// chains alone.
func ChainKinds(ctx context.Context, repo *git.Repo, env []string, names oid.Names, base []uint32) ([]Kind, error) {
	var heads []uint32
	for i := range base {
		if Head(base, uint32(i)) == uint32(i) {
			heads = append(heads, uint32(i))
		}
	}
	ofHeads, err := headKinds(ctx, repo, env, oid.Selection{List: names, Index: heads})
	if err != nil {
		return nil, err
	}
	kinds := make([]Kind, len(base))
	for i, head := range heads {
		kinds[head] = ofHeads[i]
	}
	for i := range kinds {
		kinds[i] = kinds[Head(base, uint32(i))]
	}
	return kinds, nil
}

// Positions returns the position of each object's base among the objects, or its own if it has none there. The base of a whole object
// is all zeros, as git says it.
func Positions(names, bases oid.Names) []uint32 {
	base, order := make([]uint32, names.Len()), make([]uint32, names.Len())
	for i := range base {
		base[i], order[i] = uint32(i), uint32(i)
	}
	slices.SortFunc(order, func(i, j uint32) int { return bytes.Compare(names.At(int(i)), names.At(int(j))) })
	none := make([]byte, names.Format().Size())
	for i := range base {
		name := bases.At(i)
		if bytes.Equal(name, none) {
			continue
		}
		if at, found := sort.Find(len(order), func(at int) int { return bytes.Compare(name, names.At(int(order[at]))) }); found {
			base[i] = order[at]
		}
	}
	return base
}

// Head returns the head of the chain that object i belongs to, its own base, and shortens the way there. A store that has objects twice
// may even have two as deltas against each other; one of them is then the head.
func Head(base []uint32, i uint32) uint32 {
	for base[i] != i {
		base[i] = base[base[i]]
		i = base[i]
	}
	return i
}

// headKinds is [Kinds] for objects that are no deltas, or few: git walks the whole delta chain of each.
//
// git dies of some damaged objects, and flushes what it has buffered until then. The next run begins after that object.
func headKinds(ctx context.Context, repo *git.Repo, env []string, names oid.Names) ([]Kind, error) {
	kinds := make([]Kind, 0, names.Len())
	for len(kinds) < names.Len() {
		c := repo.Command(ctx, env, "cat-file", "--buffer", "--batch-check=%(objecttype)")
		c.Stdin = git.NameLines(names, len(kinds))
		err := c.Lines(func(line []byte) error {
			kinds = append(kinds, ParseKind(string(line))) // 0 if the line says that the object is missing
			return nil
		})
		switch {
		case err == nil && len(kinds) < names.Len():
			return nil, fmt.Errorf("git cat-file gave the types of %d of %d objects", len(kinds), names.Len())
		case err != nil && (ctx.Err() != nil || git.Stopped(err) || git.OfMachine(err)):
			return nil, err
		case err != nil:
			kinds = append(kinds, 0)
		}
	}
	return kinds, nil
}
