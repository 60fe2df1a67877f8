package refs

import (
	"context"
	"errors"
	"os"
	"strings"

	"aig/internal/git"
	"aig/internal/ref"
)

// Tips are commits that nothing points to, newest first, by full hexadecimal names.
type Tips struct {
	Whole  []string
	Broken []string // a branch of one would break git gc, or bring in a file that git's checks refuse
}

// Dangling returns the received commits that nothing points to: no reference here, none of the peer's (theirs, object names), and no
// other received commit. They are lost work, stashes, and what the peer's hidden references point to. heads are the received commits
// that are no parent of another, whole those of theirs whose history Relate has found complete.
func Dangling(ctx context.Context, repo *git.Repo, heads, theirs, whole []string, v Vetting) (tips Tips, err error) {
	candidates, err := unpointed(ctx, repo, heads, theirs)
	if err != nil || len(candidates) == 0 || v.Whole {
		return Tips{Whole: candidates}, err
	}
	// A reference may reach some of them through what was here before.
	seen, broken := make(map[string]bool), make(map[string]bool)
	for _, name := range candidates {
		seen[name] = false
	}
	err = sift(ctx, candidates, func(names []string) error {
		return walk(ctx, repo, names, whole, v, func(name []byte) {
			if _, isCandidate := seen[string(name)]; isCandidate {
				seen[string(name)] = true
			}
		})
	}, func(name string, _ error) { broken[name] = true })
	for _, name := range candidates {
		switch {
		case broken[name]:
			tips.Broken = append(tips.Broken, name)
		case seen[name]:
			tips.Whole = append(tips.Whole, name)
		}
	}
	return tips, err
}

// Describe returns what a person is told about commits, by object name. Those that git can't read are left out.
func Describe(ctx context.Context, repo *git.Repo, commits []string) (map[string]ref.About, error) {
	about := make(map[string]ref.About)
	c := repo.Command(ctx, nil, "log", "--no-walk=unsorted", "--ignore-missing", "--no-show-signature", "--no-mailmap", "--stdin",
		"--format=%H%x00%an%x00%as%x00%ar%x00%s")
	c.Stdin = strings.NewReader(strings.Join(commits, "\n"))
	err := c.Lines(func(line []byte) error {
		if fields := strings.SplitN(string(line), "\x00", 5); len(fields) == 5 {
			about[fields[0]] = ref.About{Author: fields[1], Date: fields[2], Age: fields[3], Subject: fields[4]}
		}
		return nil
	})
	return about, err
}

// unpointed returns the commits that no reference names, newest first.
func unpointed(ctx context.Context, repo *git.Repo, commits, theirs []string) (left []string, err error) {
	pointed := make(map[string]bool)
	for _, name := range theirs {
		pointed[name] = true
	}
	c := repo.Command(ctx, nil, "for-each-ref", "--format=%(objectname)")
	if err := c.Lines(func(line []byte) error { pointed[string(line)] = true; return nil }); err != nil {
		return nil, err
	}
	shallow, err := shallowCommits(repo)
	if err != nil {
		return nil, err
	}
	if shallow != "" {
		// An empty GIT_SHALLOW_FILE makes git show the parents that a shallow repository cuts off: they may have been received.
		c := repo.Command(ctx, []string{"GIT_SHALLOW_FILE="}, "rev-list", "--no-walk", "--ignore-missing", "--parents", "--stdin")
		c.Stdin = strings.NewReader(shallow)
		if err := c.Lines(func(line []byte) error {
			for _, parent := range strings.Fields(string(line))[1:] {
				pointed[parent] = true
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	for _, name := range commits {
		if !pointed[name] {
			left = append(left, name)
		}
	}
	if len(left) < 2 {
		return left, nil
	}
	c = repo.Command(ctx, nil, "rev-list", "--no-walk=sorted", "--ignore-missing", "--stdin")
	c.Stdin = strings.NewReader(strings.Join(left, "\n"))
	left = nil
	err = c.Lines(func(line []byte) error { left = append(left, string(line)); return nil })
	return left, err
}

// shallowCommits returns the commits whose parents are missing, one a line.
func shallowCommits(repo *git.Repo) (string, error) {
	names, err := os.ReadFile(repo.Shallow)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return string(names), err
}

// maxIndependent bounds the commits that are compared: without a commit-graph git may walk a history for each.
const maxIndependent = 100

// Independent returns those of the commits that are here and that are no ancestor of another of them. If that can't be told, it returns
// all that are here.
func Independent(ctx context.Context, repo *git.Repo, commits []string) ([]string, error) {
	c := repo.Command(ctx, nil, "rev-list", "--no-walk=unsorted", "--ignore-missing", "--stdin")
	c.Stdin = strings.NewReader(strings.Join(commits, "\n"))
	out, err := c.Output()
	here := strings.Fields(string(out))
	if err != nil || len(here) < 2 || len(here) > maxIndependent {
		return here, err
	}
	if out, err := repo.Command(ctx, nil, append([]string{"merge-base", "--independent", "--end-of-options"}, here...)...).Output(); err == nil {
		here = strings.Fields(string(out))
	}
	return here, ctx.Err()
}
