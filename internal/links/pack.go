package links

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"aig/internal/git"
	"aig/internal/oid"
)

// All calls visit with each object that git sees, by env, in the order of the packs. Bases of deltas must be among them. The name is
// valid until visit returns.
//
// A delta has the type of its base, so only whole objects are asked for theirs: git would walk through all of a delta chain for
// each object of it, and somebody may have made one of any length.
func All(ctx context.Context, repo *git.Repo, env []string, visit func(name []byte, kind Kind) error) error {
	names, bases := oid.NewList(repo.Format), oid.NewList(repo.Format)
	c := repo.Command(ctx, env, "cat-file", "--batch-all-objects", "--unordered", "--buffer", "--batch-check=%(objectname) %(deltabase)")
	name := make([]byte, repo.Format.Size())
	err := c.Lines(func(line []byte) error {
		digits, base, _ := bytes.Cut(line, []byte(" "))
		for list, digits := range map[*oid.List][]byte{names: digits, bases: base} {
			if err := repo.Format.Parse(name, digits); err != nil {
				return fmt.Errorf("git cat-file said %q: %w", line, err)
			}
			list.Append(name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	head := heads(names, bases)
	var whole []uint32
	for i, h := range head {
		if h == uint32(i) {
			whole = append(whole, h)
		}
	}
	kinds, err := Kinds(ctx, repo, env, oid.Selection{List: names, Index: whole})
	if err != nil {
		return err
	}
	for i, h := range head {
		at, _ := slices.BinarySearch(whole, h)
		if err := visit(names.At(i), kinds[at]); err != nil {
			return err
		}
	}
	return nil
}

// heads returns, for each name, the position of the whole object at the end of its delta chain.
func heads(names, bases *oid.List) []uint32 {
	n := names.Len()
	sorted, head := make([]uint32, n), make([]uint32, n)
	for i := range sorted {
		sorted[i] = uint32(i)
	}
	slices.SortFunc(sorted, func(a, b uint32) int { return bytes.Compare(names.At(int(a)), names.At(int(b))) })
	for i := range head {
		at, found := slices.BinarySearchFunc(sorted, bases.At(i), func(at uint32, base []byte) int {
			return cmp.Compare(bytes.Compare(names.At(int(at)), base), 0)
		})
		if head[i] = uint32(i); found { // else it is whole, and its base all zeros
			head[i] = sorted[at]
		}
	}
	// Two that are deltas against each other, as a pack that has objects twice may have them, are as good as whole.
	seen := make([]uint32, n) // by whom, plus one
	for i := range head {
		end := uint32(i)
		for end != head[end] && seen[end] != uint32(i)+1 {
			end, seen[end] = head[end], uint32(i)+1
		}
		head[end] = end
		for at := uint32(i); at != end; { // whoever comes this way again has one step to go
			at, head[at] = head[at], end
		}
	}
	return head
}
