package refs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aig/internal/git"
	"aig/internal/ref"
)

// Checkout is what is checked out, and where.
type Checkout struct {
	Head      ref.Ref           // HEAD here, hidden or not
	Dir       string            // the top of the working tree; "" where there is none, as in a bare repository
	Elsewhere map[string]string // the working tree of each branch (full name) that is checked out in another one
}

// CheckedOut looks at the working trees; head is HEAD, the first of Own.
func CheckedOut(ctx context.Context, repo *git.Repo, head ref.Ref) (Checkout, error) {
	co := Checkout{Head: head, Elsewhere: make(map[string]string)}
	c := repo.Command(ctx, nil, "rev-parse", "--is-inside-work-tree", "--show-toplevel")
	out, err := c.Output()
	if dir, inside := strings.CutPrefix(string(out), "true\n"); inside && err == nil {
		co.Dir = strings.TrimSuffix(dir, "\n")
	} else if !strings.HasPrefix(string(out), "false\n") {
		return co, err
	}
	c = repo.Command(ctx, nil, "worktree", "list", "--porcelain", "-z")
	if out, err = c.Output(); err != nil {
		return co, err
	}
	var dir string
	for field := range strings.SplitSeq(string(out), "\x00") {
		switch key, value, _ := strings.Cut(field, " "); key {
		case "worktree":
			dir = value
		case "branch":
			// With GIT_WORK_TREE or core.worktree git names another directory for this very working tree.
			if here := co.Dir != "" && value == head.Target; !here {
				co.Elsewhere[value] = dir
			}
		}
	}
	return co, nil
}

// Touched is the paths, from the top of the working tree, at which it has uncommitted changes that going from ours,
// which is checked out ("" if it is unborn), to theirs would touch: by a fast-forward or, if they have diverged, by a
// merge, which also minds everything in the index. Files that are in no commit count where theirs has one of that name;
// an ignored one would be overwritten without a word. Both are full names of commits that Relate knows. Outside a
// working tree there are none.
//
// A file that was renamed on one side is not followed; git itself is, and refuses.
func Touched(ctx context.Context, repo *git.Repo, co Checkout, theirs string) ([]string, error) {
	ours := co.Head.OID
	if co.Dir == "" || ours == theirs {
		return nil, nil
	}
	if !repo.Format.IsName(theirs) || ours != "" && !repo.Format.IsName(ours) {
		return nil, fmt.Errorf("%.80q or %.80q is no full object name", ours, theirs)
	}
	changes, staged, err := takes(ctx, repo, ours, theirs)
	if err != nil || len(changes) == 0 {
		return nil, err
	}
	// What is new and not staged is looked for below.
	c := indexReader(ctx, repo, "status", "--porcelain", "-z", "--untracked-files=no", "--no-renames", "--ignore-submodules=dirty")
	out, err := c.Output()
	if err != nil {
		return nil, err
	}
	var touched []string
	for entry := range strings.SplitSeq(string(out), "\x00") {
		if len(entry) < 4 { // two letters, a space and a path
			continue
		}
		path := entry[3:]
		if _, takes := changes[path]; takes || staged && entry[0] != ' ' {
			touched = append(touched, path)
		}
		delete(changes, path)
	}
	for path, letter := range changes {
		if letter != 'A' || !filepath.IsLocal(filepath.FromSlash(path)) {
			continue
		}
		info, err := os.Lstat(filepath.Join(co.Dir, filepath.FromSlash(path)))
		if err == nil && !info.IsDir() {
			touched = append(touched, path)
		}
	}
	slices.Sort(touched)
	return touched, nil
}

// indexReader is a git child that reads the index, and would run the hook that core.fsmonitor may name.
func indexReader(ctx context.Context, repo *git.Repo, args ...string) *git.Child {
	c := repo.Command(ctx, nil, append([]string{"-c", "core.fsmonitor=false"}, args...)...)
	return c
}

// takes is the paths that a fast-forward or a merge to theirs writes, each with git diff's letter for the way from
// ours; staged tells that whatever is in the index is in its way too.
func takes(ctx context.Context, repo *git.Repo, ours, theirs string) (changes map[string]byte, staged bool, err error) {
	if ours == "" {
		changes = make(map[string]byte)
		c := repo.Command(ctx, nil, "ls-tree", "-r", "-z", "--name-only", "--full-tree", "--end-of-options", theirs)
		out, err := c.Output()
		for path := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
			changes[path] = 'A'
		}
		return changes, false, err
	}
	if changes, err = diff(ctx, repo, ours, theirs); err != nil {
		return nil, false, err
	}
	bases, err := mergeBases(ctx, repo, ours, theirs)
	if err != nil || slices.Contains(bases, ours) {
		return changes, false, err
	}
	// A merge takes what theirs has changed since one of the bases, unless it comes to the same.
	since := make(map[string]byte)
	for _, base := range bases {
		more, err := diff(ctx, repo, base, theirs)
		if err != nil {
			return nil, false, err
		}
		for path, letter := range more {
			since[path] = letter
		}
	}
	for path := range changes {
		if _, changed := since[path]; !changed {
			delete(changes, path)
		}
	}
	return changes, true, nil
}

// diff is the paths at which two commits differ, each with its letter in git diff --name-status: A, D, M or T.
func diff(ctx context.Context, repo *git.Repo, from, to string) (map[string]byte, error) {
	c := indexReader(ctx, repo, "diff-tree", "-r", "-z", "--name-status", "--no-renames", "--no-relative", "--end-of-options", from, to)
	out, err := c.Output()
	if err != nil {
		return nil, err
	}
	return parseChanges(string(out))
}

// parseChanges takes letters and paths, a NUL behind each.
func parseChanges(out string) (map[string]byte, error) {
	changes := make(map[string]byte)
	for rest := out; rest != ""; {
		letter, path, more := "", "", false
		letter, rest, _ = strings.Cut(rest, "\x00")
		if path, rest, more = strings.Cut(rest, "\x00"); !more || len(letter) != 1 {
			return nil, fmt.Errorf("git diff-tree said %q", letter)
		}
		changes[path] = letter[0]
	}
	return changes, nil
}
