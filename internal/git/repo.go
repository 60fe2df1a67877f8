package git

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"aig/internal/oid"
	"aig/internal/ref"
)

// Repo is a repository: git's children that run in it, and where its objects are.
type Repo struct {
	Git
	ObjectDir string // absolute
	Format    oid.Format
}

// Open finds the repository the way git does, from the directory and the environment of g.
func Open(ctx context.Context, g Git) (*Repo, error) {
	out, err := g.Command(ctx, nil, "rev-parse", "--show-object-format", "--path-format=absolute", "--git-path", "objects").Output()
	if failed, ofGit := errors.AsType[*Error](err); ofGit {
		if strings.HasPrefix(failed.Said, "not a git repository (or any") {
			return nil, errors.New("not a git repository (or any of the parent directories)")
		}
		if _, dir, found := strings.Cut(failed.Said, "dubious ownership in repository at '"); found { // see git-config(1), safe.directory
			err = fmt.Errorf("%w; if you trust it: git config --global --add safe.directory %s", err, ref.Shell(strings.TrimSuffix(dir, "'")))
		}
	}
	if err != nil {
		return nil, err
	}
	format, dir, _ := strings.Cut(strings.TrimSuffix(string(out), "\n"), "\n")
	r := &Repo{Git: g, ObjectDir: dir}
	if r.Format, err = oid.ParseFormat(format); err != nil {
		return nil, fmt.Errorf("our repository: %w", err)
	}
	// The default is a quarter of the memory, since a few packs are indexed at a time.
	r.maxMemory, err = g.ConfigSize(ctx, "aig.maxMemory", machineMemory()/4)
	return r, err
}
