package intake

import (
	"context"

	"aig/internal/git"
)

// Store is a repository's object store, which packs come into.
type Store struct {
	*git.Repo
	checks checks
	// unpackLimit is the number of objects from which on a pack stays one, when it is taken in.
	unpackLimit int64
	budget      budget
	unchecked   unchecked
}

// Open finds the repository as git itself does, from the directory and the environment of g, and reads what its
// configuration says of packs that come in.
func Open(ctx context.Context, g git.Git) (*Store, error) {
	repo, err := git.Open(ctx, g)
	if err != nil {
		return nil, err
	}
	s := &Store{Repo: repo, unchecked: unchecked{most: defaultMaxUnchecked, files: make(specialFiles)}}
	if s.checks, err = readChecks(ctx, g); err != nil {
		return nil, err
	}
	if s.unpackLimit, err = unpackLimit(ctx, g); err != nil {
		return nil, err
	}
	return s, s.budget.read(ctx, g)
}
