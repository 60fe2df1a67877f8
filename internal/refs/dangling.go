package refs

import (
	"bytes"
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
// other received commit. They are lost work, stashes, and what the peer's hidden references point to. commits are those received that
// may be some; those that aren't here any more are passed over. whole are those of theirs whose history Relate has found complete.
//
// With v.Whole nothing is walked: then no commit may be the parent of another.
func Dangling(ctx context.Context, repo *git.Repo, commits, theirs, whole []string, v Vetting) (tips Tips, err error) {
	candidates, err := unpointed(ctx, repo, commits, theirs, v)
	if err != nil || len(candidates) == 0 || v.Whole {
		return Tips{Whole: candidates}, err
	}
	fates := make(map[string]fate)
	for _, name := range candidates {
		fates[name] = isReached // unless a walk comes upon it
	}
	learn := func(name []byte, f fate) {
		if known, isCandidate := fates[string(name)]; isCandidate && f > known {
			fates[string(name)] = f
		}
	}
	err = sift(ctx, candidates, func(names []string) error {
		return walk(ctx, repo, names, whole, v, func(name, parents []byte) {
			learn(name, isTip)
			for parent := range bytes.FieldsSeq(parents) {
				learn(parent, isBelow)
			}
		})
	}, func(name string, _ error) { learn([]byte(name), isBroken) })
	for _, name := range candidates {
		switch fates[name] {
		case isTip:
			tips.Whole = append(tips.Whole, name)
		case isBroken:
			tips.Broken = append(tips.Broken, name)
		}
	}
	return tips, err
}

// fate is what walks tell of a commit. A greater one outweighs a smaller one.
type fate int

const (
	isReached fate = iota // by a reference, maybe through what was here before; or it is gone
	isTip
	isBroken
	isBelow // another commit
)

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

// unpointed returns the commits that no reference of the peer's names and, if nothing will be walked, none of ours; newest first.
func unpointed(ctx context.Context, repo *git.Repo, commits, theirs []string, v Vetting) (left []string, err error) {
	pointed := make(map[string]bool)
	for _, name := range theirs {
		pointed[name] = true
	}
	if v.Whole {
		c := repo.Command(ctx, nil, "for-each-ref", "--format=%(objectname)")
		if err := c.Lines(func(line []byte) error { pointed[string(line)] = true; return nil }); err != nil {
			return nil, err
		}
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
	c := repo.Command(ctx, nil, "rev-list", "--no-walk=sorted", "--ignore-missing", "--stdin")
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
