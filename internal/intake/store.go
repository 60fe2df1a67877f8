// Package intake receives packs: each is indexed and checked in a quarantine, and then installed, or dropped without a trace.
package intake

import (
	"context"
	"fmt"
	"sync/atomic"

	"aig/internal/git"
)

// Store is a repository's object store, as one run of a command stores packs in it.
type Store struct {
	*git.Repo
	// Warning says why the configured severities of git's checks are ignored; "" if they aren't.
	Warning string
	check   string // the option by which git index-pack checks objects, or ""
	// unpackLimit is the number of objects from which on a received pack stays a pack.
	unpackLimit int64
	maxInput    int64        // bytes of all packs together; 0 is no limit
	maxPartial  int64        // bytes of all partial packs together; 0 keeps none
	input       atomic.Int64 // bytes received so far
	unchecked   unchecked
}

// Open finds the repository as git itself does, from the directory and the environment of g, and reads its configuration for
// incoming packs.
func Open(ctx context.Context, g git.Git) (*Store, error) {
	repo, err := git.Open(ctx, g)
	if err != nil {
		return nil, err
	}
	s := &Store{Repo: repo, unchecked: unchecked{most: defaultMaxUnchecked, files: make(specialFiles)}}
	if s.check, s.Warning, err = readChecks(ctx, g); err != nil {
		return nil, err
	}
	if s.unpackLimit, err = unpackLimit(ctx, g); err != nil {
		return nil, err
	}
	if s.maxPartial, err = g.ConfigSize(ctx, "aig.maxPartial", defaultMaxPartial); err != nil {
		return nil, err
	}
	s.maxInput, err = g.ConfigSize(ctx, "aig.maxInputSize", 0)
	return s, err
}

// account counts n bytes of a pack, before they are used.
func (s *Store) account(n int) error {
	if all := s.input.Add(int64(n)); s.maxInput > 0 && all > s.maxInput {
		return &git.LimitError{Text: fmt.Sprintf("the peer's packs exceed aig.maxInputSize, which is %s a run "+
			"(raise it; 0 is no limit)", git.ByteSize(s.maxInput))}
	}
	return nil
}
