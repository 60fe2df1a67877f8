package git

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"aig/internal/oid"
	"aig/internal/ref"
)

// Repo is a repository: git's children that run in it, and where its objects are.
type Repo struct {
	Git
	GitDir     string // absolute; a linked working tree has one of its own
	ObjectDir  string // absolute
	Shallow    string // the file "shallow" (gitrepository-layout(5)), absolute; most repositories have none
	InWorkTree bool   // we are in a working tree
	Format     oid.Format

	once       sync.Once // for Alternates
	alternates []string
	err        error
}

// Open finds the repository the way git does, from the directory and the environment of g.
func Open(ctx context.Context, g Git) (*Repo, error) {
	out, err := g.Command(ctx, nil, "rev-parse", "--show-object-format", "--is-inside-work-tree",
		"--path-format=absolute", "--git-path", "config.worktree", "--git-path", "shallow", "--git-path", "objects").Output()
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
	format, rest, _ := strings.Cut(strings.TrimSuffix(string(out), "\n"), "\n")
	inside, rest, _ := strings.Cut(rest, "\n")
	gitDir, rest, _ := strings.Cut(rest, "/config.worktree\n") // a path may have line feeds
	shallow, dir, _ := strings.Cut(rest, "/shallow\n")
	r := &Repo{Git: g, GitDir: gitDir, ObjectDir: dir, Shallow: shallow + "/shallow", InWorkTree: inside == "true"}
	if r.Format, err = oid.ParseFormat(format); err != nil {
		return nil, fmt.Errorf("our repository: %w", err)
	}
	// The default is a quarter of the memory, since a few packs are indexed at a time.
	r.maxMemory, err = g.ConfigSize(ctx, "aig.maxMemory", machineMemory()/4)
	return r, err
}

// Alternates returns the object directories that the store borrows from, directly or through another. It asks git once, in the first
// caller's context.
func (r *Repo) Alternates(ctx context.Context) ([]string, error) {
	r.once.Do(func() {
		r.err = r.Command(ctx, nil, "count-objects", "-v").Lines(func(line []byte) error {
			dir, isAlternate := strings.CutPrefix(string(line), "alternate: ")
			if !isAlternate {
				return nil
			}
			if dir[0] == '"' {
				var err error
				if dir, err = strconv.Unquote(dir); err != nil {
					return fmt.Errorf("git count-objects said %q: %w", line, err)
				}
			}
			r.alternates = append(r.alternates, dir)
			return nil
		})
	})
	return r.alternates, r.err
}
