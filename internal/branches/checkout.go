package branches

import (
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"aig/internal/git"
)

// elsewhere returns the working tree of each branch (full name) that is checked out in another one than ours, which has the branch
// here, or "" if HEAD is detached.
func elsewhere(ctx context.Context, repo *git.Repo, here string) (map[string]string, error) {
	out, err := repo.Command(ctx, nil, "worktree", "list", "--porcelain", "-z").Output()
	trees := make(map[string]string)
	var dir string
	for field := range strings.SplitSeq(string(out), "\x00") {
		switch key, value, _ := strings.Cut(field, " "); key {
		case "worktree":
			dir = value
		case "branch":
			// With GIT_WORK_TREE or core.worktree git names another directory for this very working tree.
			if !repo.InWorkTree || value != here {
				trees[value] = dir
			}
		}
	}
	return trees, err
}

// touched returns the paths, from the top of the working tree, of uncommitted changes that taking theirs would touch: by a
// fast-forward of ours, which is checked out ("" if it is unborn), or, if the two have diverged, by a merge, which anything staged also
// stops. Untracked files count if they are in the way of a file that theirs has; git would silently remove ignored ones. Both are
// object names, and the history of theirs is complete. Outside a working tree there are no such paths. The error is errTooManyChanges
// if not all could be looked at.
//
// Renames are not followed; git follows them, and refuses to overwrite anything.
func touched(ctx context.Context, repo *git.Repo, ours, theirs string) ([]string, error) {
	if !repo.InWorkTree || ours == theirs {
		return nil, nil
	}
	written, staged, err := takes(ctx, repo, ours, theirs)
	if err != nil || len(written) == 0 {
		return nil, err
	}
	found := make(map[string]bool)
	c := indexReader(ctx, repo, "status", "--porcelain", "-z", "--untracked-files=all", "--ignored", "--no-renames", "--ignore-submodules=dirty")
	err = c.Records(0, func(entry []byte) error {
		const code = len("?? ")
		if len(entry) <= code {
			return nil
		}
		switch path := string(entry[code:]); entry[0] {
		case '?', '!':
			if at := written.inPlaceOf(path); at != "" {
				found[at] = true
			}
		default:
			if written.has(path) || staged && entry[0] != ' ' {
				found[path] = true
			}
		}
		return nil
	})
	return slices.Sorted(maps.Keys(found)), err
}

// indexReader returns a git child that reads the index, but doesn't run the hook that core.fsmonitor may name.
func indexReader(ctx context.Context, repo *git.Repo, args ...string) *git.Child {
	return repo.Command(ctx, nil, append([]string{"-c", "core.fsmonitor=false"}, args...)...)
}

// changes are the paths at which commits differ, sorted.
type changes []string

func (c changes) has(path string) bool {
	_, found := slices.BinarySearch(c, path)
	return found
}

// inPlaceOf returns the untracked file, or the directory that holds it, if one of the changes is at or below the file, or is at the
// directory; else "".
func (c changes) inPlaceOf(file string) string {
	dir, isRepository := strings.CutSuffix(file, "/")
	if isRepository { // if theirs adds it as a submodule, git leaves it as it is
		dir = path.Dir(dir)
	} else if at, _ := slices.BinarySearch(c, file+"/"); at < len(c) && strings.HasPrefix(c[at], file+"/") {
		return file
	}
	for ; dir != "."; dir = path.Dir(dir) {
		if c.has(dir) {
			return dir
		}
	}
	return ""
}

// A few kilobytes of trees can stand for any number of paths. git diff-tree holds them all in memory, at some hundred bytes each,
// before it prints the first.
const (
	maxDiffMemory  = 192 << 20
	maxChangeBytes = 32 << 20 // of what it prints
)

// errTooManyChanges is the error if commits differ in more paths than are looked at.
var errTooManyChanges = errors.New("it differs from what is checked out in more paths than are looked at")

// takes returns the paths that a fast-forward or a merge to theirs may write: what theirs has changed since the merge bases. staged
// is true for a merge, which anything staged also stops.
func takes(ctx context.Context, repo *git.Repo, ours, theirs string) (written changes, staged bool, err error) {
	var bases []string
	if ours != "" {
		bases, err = mergeBases(ctx, repo, ours, theirs)
		staged = !slices.Contains(bases, ours)
	} else {
		h := repo.Format.Hash()
		h.Write([]byte("tree 0\x00"))
		bases = []string{hex.EncodeToString(h.Sum(nil))}
	}
	bytes := 0
	for _, base := range bases {
		if err != nil {
			break
		}
		c := indexReader(ctx, repo, "diff-tree", "-r", "-z", "--name-only", "--no-renames", "--no-relative", "--end-of-options", base, theirs)
		c.LimitMemory(maxDiffMemory)
		err = c.Records(0, func(path []byte) error {
			if bytes += len(path); bytes > maxChangeBytes {
				return errTooManyChanges
			}
			written = append(written, string(path))
			return nil
		})
	}
	if failed := new(git.Error); errors.As(err, &failed) && failed.OutOfMemory() {
		err = errTooManyChanges
	}
	slices.Sort(written)
	return written, staged, err
}

// mergeBases returns all merge bases of two commits. Both must be object names.
func mergeBases(ctx context.Context, repo *git.Repo, ours, theirs string) ([]string, error) {
	out, err := repo.Command(ctx, nil, "merge-base", "--all", "--end-of-options", ours, theirs).Output()
	if err != nil && git.ExitCode(err) == 1 { // git-merge-base(1): there is none
		return nil, nil
	}
	return strings.Fields(string(out)), err
}
