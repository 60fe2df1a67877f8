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

// ErrNotRepository is Open's error outside a repository.
var ErrNotRepository = errors.New("not a git repository (or any of the parent directories)")

// Open finds the repository the way git does, from the directory and the environment of g.
func Open(ctx context.Context, g Git) (*Repo, error) {
	c := g.Command(ctx, nil, "rev-parse", "--path-format=absolute", "--git-path", "objects", "--show-object-format")
	out, err := c.Output()
	if err != nil {
		var failed *Error
		if errors.As(err, &failed) && strings.HasPrefix(failed.Said, "not a git repository (or any") {
			return nil, ErrNotRepository
		}
		if errors.As(err, &failed) {
			if _, dir, found := strings.Cut(failed.Said, "dubious ownership in repository at '"); found { // see git-config(1), safe.directory
				err = fmt.Errorf("%w; if you trust it: git config --global --add safe.directory %s", err, ref.Shell(strings.TrimSuffix(dir, "'")))
			}
		}
		return nil, err
	}
	// The path of the object directory may contain a line feed; the format is the last line.
	text := strings.TrimSuffix(string(out), "\n")
	at := strings.LastIndexByte(text, '\n')
	if at < 0 {
		return nil, fmt.Errorf("git rev-parse said %q where an object directory and a format were asked for", text)
	}
	r := &Repo{Git: g, ObjectDir: text[:at]}
	if r.Format, err = oid.ParseFormat(text[at+1:]); err != nil {
		return nil, fmt.Errorf("our repository: %w", err)
	}
	// By default it is a quarter of the memory, since a few packs are indexed at a time.
	r.maxMemory, err = g.ConfigSize(ctx, "aig.maxMemory", machineMemory()/4)
	return r, err
}
