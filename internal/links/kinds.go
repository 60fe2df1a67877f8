package links

import (
	"bytes"
	"context"
	"slices"
	"sort"

	"aig/internal/git"
	"aig/internal/oid"
)

// few is how many objects git may be asked for one by one, however long their delta chains are.
const few = 1000

// Kinds returns the type of each of the objects, 0 for one that can't be read. env goes on top of git's environment.
//
// A delta has the type of its base, and a peer can make a delta chain of any length. So git is asked for bases first, and then for the
// types of the heads of chains.
func Kinds(ctx context.Context, repo *git.Repo, env []string, names oid.Names) ([]Kind, error) {
	if names.Len() <= few {
		return HeadKinds(ctx, repo, env, names)
	}
	base := bases(ctx, repo, env, names)
	heads, place := oid.NewList(names.Format()), make([]uint32, len(base))
	for i := range base {
		if Head(base, uint32(i)) == uint32(i) {
			place[i] = uint32(heads.Len())
			heads.Append(names.At(i))
		}
	}
	ofHeads, err := HeadKinds(ctx, repo, env, heads)
	if err != nil {
		return nil, err
	}
	kinds := make([]Kind, len(base))
	for i := range kinds {
		kinds[i] = ofHeads[place[Head(base, uint32(i))]]
	}
	return kinds, nil
}

// bases returns the position of each object's delta base among the objects, or its own if it has none there.
func bases(ctx context.Context, repo *git.Repo, env []string, names oid.Names) []uint32 {
	base, order := make([]uint32, names.Len()), make([]uint32, names.Len())
	for i := range base {
		base[i], order[i] = uint32(i), uint32(i)
	}
	slices.SortFunc(order, func(i, j uint32) int { return bytes.Compare(names.At(int(i)), names.At(int(j))) })
	c := repo.Command(ctx, env, "cat-file", "--buffer", "--batch-check=%(deltabase)")
	c.Stdin = git.NameLines(names, 0)
	name, none, i := make([]byte, names.Format().Size()), make([]byte, names.Format().Size()), 0
	// git's status doesn't matter: an object for which it names no base counts as a head.
	c.Lines(func(line []byte) error {
		if i < len(base) && names.Format().Parse(name, line) == nil && !bytes.Equal(name, none) {
			at, found := sort.Find(len(order), func(at int) int { return bytes.Compare(name, names.At(int(order[at]))) })
			if found {
				base[i] = order[at]
			}
		}
		i++
		return nil
	})
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
