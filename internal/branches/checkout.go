package branches

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
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
// stops. Untracked files count if they are in the way of a file that theirs adds; git would silently remove ignored ones. Both are
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
	// Untracked files are looked for below.
	out, err := indexReader(ctx, repo, "status", "--porcelain", "-z", "--untracked-files=no", "--no-renames", "--ignore-submodules=dirty").Output()
	if err != nil {
		return nil, err
	}
	var found []string
	for entry := range strings.SplitSeq(string(out), "\x00") {
		if len(entry) < 4 { // two letters, a space and a path
			continue
		}
		path := entry[3:]
		if _, takes := written[path]; takes || staged && entry[0] != ' ' {
			found = append(found, path)
		}
		delete(written, path)
	}
	untracked, err := inTheWay(ctx, repo, written)
	found = slices.AppendSeq(found, maps.Keys(untracked))
	slices.Sort(found)
	return found, err
}

// inTheWay returns the untracked files in the place of files that commits add, or of directories above them, and the directories in
// the place of such a file that hold something untracked.
func inTheWay(ctx context.Context, repo *git.Repo, written changes) (map[string]bool, error) {
	out, err := repo.Command(ctx, nil, "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return nil, err
	}
	top := strings.TrimSuffix(string(out), "\n")
	untracked, dirs := make(map[string]bool), make(map[string]bool)
	for file, letter := range written {
		if letter != 'A' && letter != submodule {
			continue
		}
		switch at, isDir := obstacle(top, file); {
		case isDir:
			dirs[at] = true
		case at != "":
			untracked[at] = true
		}
	}
	// What is in the index is tracked, even if it is new to one side of a merge.
	tracked := indexReader(ctx, repo, "ls-files", "-z", "--cached", "--full-name", "--", ":/")
	err = tracked.Records(0, func(file []byte) error { delete(untracked, string(file)); return nil })
	if err != nil || len(dirs) == 0 {
		return untracked, err
	}
	others := indexReader(ctx, repo, "ls-files", "-z", "--others", "--full-name", "--", ":/")
	return untracked, others.Records(0, func(file []byte) error {
		dir, isRepository := strings.CutSuffix(string(file), "/")
		if isRepository && written[dir] == submodule { // git leaves it as it is
			dir = path.Dir(dir)
		}
		for ; dir != "."; dir = path.Dir(dir) {
			if dirs[dir] {
				untracked[dir] = true
			}
		}
		return nil
	})
}

// obstacle returns what stands where a file is to be: a file or directory, or a file in the place of a directory above it; "" if
// nothing does.
func obstacle(top, file string) (at string, isDir bool) {
	if !filepath.IsLocal(filepath.FromSlash(file)) {
		return "", false
	}
	for i, c := range file + "/" {
		if c != '/' {
			continue
		}
		info, err := os.Lstat(filepath.Join(top, filepath.FromSlash(file[:i])))
		if err != nil {
			return "", false
		}
		if !info.IsDir() {
			return file[:i], false
		}
	}
	return file, true
}

// indexReader returns a git child that reads the index, but doesn't run the hook that core.fsmonitor may name.
func indexReader(ctx context.Context, repo *git.Repo, args ...string) *git.Child {
	return repo.Command(ctx, nil, append([]string{"-c", "core.fsmonitor=false"}, args...)...)
}

// changes is the paths at which commits differ, with the letters of git diff --name-status: A, D, M or T. An added submodule has its own.
type changes map[string]byte

const submodule = 'S'

// A few kilobytes of trees can stand for any number of paths. git diff-tree holds them all in memory, at some hundred bytes each,
// before it prints the first.
const (
	maxDiffMemory  = 192 << 20
	maxChangeBytes = 32 << 20 // of paths
)

// errTooManyChanges is the error if commits differ in more paths than are looked at.
var errTooManyChanges = errors.New("it differs from what is checked out in more paths than are looked at")

// takes returns the paths that a fast-forward or a merge to theirs may write: what theirs has changed since the merge bases. staged
// is true for a merge, which anything staged also stops.
func takes(ctx context.Context, repo *git.Repo, ours, theirs string) (written changes, staged bool, err error) {
	written = make(changes)
	var bases []string
	if ours != "" {
		bases, err = mergeBases(ctx, repo, ours, theirs)
		staged = !slices.Contains(bases, ours)
	} else {
		h := repo.Format.Hash()
		h.Write([]byte("tree 0\x00"))
		bases = []string{hex.EncodeToString(h.Sum(nil))}
	}
	for _, base := range bases {
		if err != nil {
			break
		}
		c := indexReader(ctx, repo, "diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-relative", "--end-of-options", base, theirs)
		c.LimitMemory(maxDiffMemory)
		err = c.Records(0, written.reader())
	}
	if failed := new(git.Error); errors.As(err, &failed) && failed.OutOfMemory() {
		err = errTooManyChanges
	}
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

// reader returns a function that takes what git diff-tree says of a change and its path in turn.
func (c changes) reader() func(field []byte) error {
	var letter byte
	bytes := 0
	return func(field []byte) error {
		if letter == 0 {
			// A colon, the modes and names before and after, and the letter (git-diff-tree(1), "RAW OUTPUT FORMAT").
			said := strings.Fields(string(field))
			if len(said) != 5 || len(said[4]) != 1 {
				return fmt.Errorf("git diff-tree said %q", field)
			}
			if letter = said[4][0]; letter == 'A' && said[1] == "160000" {
				letter = submodule
			}
			return nil
		}
		c[string(field)], letter = letter, 0
		if bytes += len(field); bytes > maxChangeBytes {
			return errTooManyChanges
		}
		return nil
	}
}
