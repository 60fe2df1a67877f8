package intake

import (
	"context"
	"fmt"
	"math"

	"aig/internal/git"
	"aig/internal/links"
	"aig/internal/oid"
)

// Vet checks the trees among the named objects of the store, and the .gitmodules and .gitattributes files that they name, as if
// they had just been received. A missing file is no error.
func (s *Store) Vet(ctx context.Context, names *oid.List) error {
	if s.check == "" {
		return nil
	}
	kinds, err := links.Kinds(ctx, s.Repo, names)
	trees := oid.Selection{List: names}
	for i, kind := range kinds {
		if kind == links.Tree {
			trees.Index = append(trees.Index, uint32(i))
		}
	}
	if trees.Len() == 0 || err != nil {
		return err
	}
	// A Store of its own, so that none of this counts against the peer's limits.
	apart := &Store{Repo: s.Repo, check: s.check, Warning: s.Warning, unchecked: unchecked{most: math.MaxInt}}
	in, err := apart.Receive(ctx, trees.Len(), false)
	if err != nil {
		return err
	}
	defer in.Discard()
	c := s.Command(ctx, nil, "pack-objects", "--stdout", "-q")
	c.Stdin, c.Stdout = git.NameLines(trees, 0), in
	if err := c.Run(); err != nil {
		return fmt.Errorf("checking what was here before: %w", err)
	}
	return in.Finish()
}
