package objects

import (
	"context"
	"fmt"
	"io"

	"aig/internal/git"
	"aig/internal/oid"
)

// Pack writes one pack of exactly the piece's objects to w. A failure of w is returned as it is; any other means
// that an object, or one of a base, is missing or corrupt, or that git could not run, and w has then got a pack that is
// cut short.
func Pack(ctx context.Context, repo *git.Repo, p Piece, w io.Writer) error {
	// The names come one a line and nothing is walked, so that shallow and partial stores pack like any other. Not
	// --thin: with it git takes the lines for revisions to walk, and packs something else.
	args := []string{"pack-objects", "--stdout", "--delta-base-offset", "-q"}
	if p.fresh {
		args = append(args, "--no-reuse-object")
	}
	c := repo.Command(ctx, nil, args...)
	c.Stdin = p.lines()
	out := &errorKeeper{w: w}
	c.Stdout = out
	err := c.Run()
	if out.err != nil {
		return out.err
	}
	if n, ok := out.header.Objects(); err == nil && (!ok || int(n) != p.Len()) {
		return fmt.Errorf("git pack-objects packed %d objects of %d", n, p.Len())
	}
	return err
}

// lines returns the list that git pack-objects reads, which is documented nowhere but in its source: "-<commit>" for each
// preferred base first, then "<name> <path>". Each line begins with a name of ours, so that a path can at most be a bad
// hint, provided it has no line feed.
func (p Piece) lines() io.Reader {
	names := &git.NameLines{Names: oid.Selection{List: p.list, Index: p.index}}
	if p.hints != nil {
		names.Path = func(i int) (string, bool) { return p.hints.of(p.index[i]) }
	}
	return io.MultiReader(&git.NameLines{Names: oid.Selection{List: p.list, Index: p.bases}, Prefix: "-"}, names)
}

// errorKeeper remembers why a write failed: the child that wrote to it only dies of a broken pipe. And it keeps the
// header of the pack that passes through.
type errorKeeper struct {
	w      io.Writer
	err    error
	header git.PackHeader
}

func (k *errorKeeper) Write(p []byte) (int, error) {
	k.header.See(p)
	n, err := k.w.Write(p)
	if err != nil {
		k.err = err
	}
	return n, err
}
