package refs

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"aig/internal/git"
	"aig/internal/oid"
	"aig/internal/ref"
)

// Tips is commits to which nothing points, newest first, by full hexadecimal names.
type Tips struct {
	Whole  []string
	Broken []string // a branch of one would break git gc, or bring in a file that git's checks refuse
}

// Dangling returns the received commits to which nothing points: no reference here, none of the peer's (theirs, object names), and
// no other received commit. They are lost work, stashes, and what the peer's hidden references stand for. The received names are
// ascending. whole is those of theirs whose history Relate has found complete.
func Dangling(ctx context.Context, repo *git.Repo, received oid.Names, theirs, whole []string, v Vetting) (tips Tips, err error) {
	commits, err := commitsAmong(ctx, repo, received)
	if err != nil || commits.Len() == 0 {
		return tips, err
	}
	candidates, err := unpointed(ctx, repo, commits, theirs)
	if err != nil || len(candidates) == 0 {
		return tips, err
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
	c.Stdin = strings.NewReader(onePerLine(commits))
	err := c.Lines(func(line []byte) error {
		if fields := strings.SplitN(string(line), "\x00", 5); len(fields) == 5 {
			about[fields[0]] = ref.About{Author: fields[1], Date: fields[2], Age: fields[3], Subject: fields[4]}
		}
		return nil
	})
	return about, err
}

// commitsAmong returns the commits among ascending names.
func commitsAmong(ctx context.Context, repo *git.Repo, names oid.Names) (*oid.List, error) {
	commits := oid.NewList(repo.Format)
	binary := make([]byte, repo.Format.Size())
	err := objectTypes(ctx, repo, git.NameLines(names, 0), func(name []byte, kind string) error {
		if kind != "commit" {
			return nil
		}
		if err := repo.Format.Parse(binary, name); err != nil {
			return err
		}
		if n := commits.Len(); n > 0 && bytes.Compare(commits.At(n-1), binary) >= 0 {
			return fmt.Errorf("the received objects are out of order at %x", binary)
		}
		commits.Append(binary)
		return nil
	})
	return commits, err
}

// unpointed returns the commits that are no other's parent and that no reference names, newest first.
func unpointed(ctx context.Context, repo *git.Repo, commits *oid.List, theirs []string) ([]string, error) {
	pointed := oid.NewBitmap(commits.Len(), nil)
	name := make([]byte, repo.Format.Size())
	point := func(digits []byte) (at int, found bool) {
		if repo.Format.Parse(name, digits) != nil {
			return 0, false
		}
		if at, found = commits.Search(name); found {
			pointed.Add(uint32(at))
		}
		return at, found
	}
	for _, digits := range theirs {
		point([]byte(digits))
	}
	c := repo.Command(ctx, nil, "for-each-ref", "--format=%(objectname)")
	if err := c.Lines(func(line []byte) error { point(line); return nil }); err != nil {
		return nil, err
	}
	// --no-walk reads only the given commits. A line is a commit and its parents.
	var order []uint32
	digits := hex.EncodedLen(repo.Format.Size())
	// An empty GIT_SHALLOW_FILE makes git show the parents that a shallow repository cuts off: they may have come in.
	shallow, err := shallowCommits(ctx, repo)
	if err != nil {
		return nil, err
	}
	c = repo.Command(ctx, []string{"GIT_SHALLOW_FILE="}, "rev-list", "--no-walk=sorted", "--ignore-missing", "--parents", "--stdin")
	c.Stdin = io.MultiReader(git.NameLines(commits, 0), strings.NewReader(shallow))
	err = c.Lines(func(line []byte) error {
		if err := repo.Format.Parse(name, line[:min(len(line), digits)]); err != nil {
			return err
		}
		if at, found := commits.Search(name); found {
			order = append(order, uint32(at))
		}
		for parent := range bytes.FieldsSeq(line[digits:]) {
			point(parent)
		}
		return nil
	})
	var left []string
	for _, at := range order {
		if !pointed.Has(at) {
			left = append(left, hex.EncodeToString(commits.At(int(at))))
		}
	}
	return left, err
}

// shallowCommits returns the file "shallow" (gitrepository-layout(5)): the commits whose parents are missing, one a line.
func shallowCommits(ctx context.Context, repo *git.Repo) (string, error) {
	c := repo.Command(ctx, nil, "rev-parse", "--path-format=absolute", "--git-path", "shallow")
	out, err := c.Output()
	if err != nil {
		return "", err
	}
	names, err := os.ReadFile(strings.TrimSuffix(string(out), "\n"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return string(names), err
}

func onePerLine(names []string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteString(name)
		b.WriteByte('\n')
	}
	return b.String()
}
