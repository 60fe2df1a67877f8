package refs

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

// Elsewhere returns the working tree of each branch (full name) that is checked out in another one than ours, which has the branch
// here, or "" if HEAD is detached.
func Elsewhere(ctx context.Context, repo *git.Repo, here string) (map[string]string, error) {
	out, err := repo.Command(ctx, nil, "worktree", "list", "--porcelain", "-z").Output()
	elsewhere := make(map[string]string)
	var dir string
	for field := range strings.SplitSeq(string(out), "\x00") {
		switch key, value, _ := strings.Cut(field, " "); key {
		case "worktree":
			dir = value
		case "branch":
			// With GIT_WORK_TREE or core.worktree git names another directory for this very working tree.
			if !repo.InWorkTree || value != here {
				elsewhere[value] = dir
			}
		}
	}
	return elsewhere, err
}

// Touched returns the paths, from the top of the working tree, of uncommitted changes that taking theirs would touch: by a
// fast-forward of ours, which is checked out ("" if it is unborn), or, if the two have diverged, by a merge, which anything staged also
// stops. Untracked files count if they are in the way of a file that theirs adds; git would silently remove ignored ones. theirs is a
// commit that Relate has compared. Outside a working tree there are no such paths. The error is ErrTooManyChanges if not all could be
// looked at.
//
// Renames are not followed; git follows them, and refuses to overwrite anything.
func Touched(ctx context.Context, repo *git.Repo, ours, theirs string) ([]string, error) {
	if !repo.InWorkTree || ours == theirs {
		return nil, nil
	}
	if !repo.Format.IsName(theirs) || ours != "" && !repo.Format.IsName(ours) {
		return nil, fmt.Errorf("%.80q or %.80q is no full object name", ours, theirs)
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
	var touched []string
	for entry := range strings.SplitSeq(string(out), "\x00") {
		if len(entry) < 4 { // two letters, a space and a path
			continue
		}
		path := entry[3:]
		if _, takes := written[path]; takes || staged && entry[0] != ' ' {
			touched = append(touched, path)
		}
		delete(written, path)
	}
	untracked, err := inTheWay(ctx, repo, written)
	touched = slices.AppendSeq(touched, maps.Keys(untracked))
	slices.Sort(touched)
	return touched, err
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
		if letter != 'A' {
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
		// A slash at the end is that of a nested repository: if theirs adds it as a submodule, git leaves it as it is.
		for dir := path.Dir(strings.TrimSuffix(string(file), "/")); dir != "."; dir = path.Dir(dir) {
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

// changes is the paths at which commits differ, with the letters of git diff --name-status: A, D, M or T.
type changes map[string]byte

// A few kilobytes of trees can stand for any number of paths. git diff-tree holds them all in memory, at some hundred bytes each,
// before it prints the first.
const (
	maxDiffMemory  = 192 << 20
	maxChangeBytes = 32 << 20 // of what it prints
)

// ErrTooManyChanges is Touched's error if commits differ in more paths than are looked at.
var ErrTooManyChanges = errors.New("it differs from what is checked out in more paths than are looked at")

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
		c := indexReader(ctx, repo, "diff-tree", "-r", "-z", "--name-status", "--no-renames", "--no-relative", "--end-of-options", base, theirs)
		c.LimitMemory(maxDiffMemory)
		err = c.Records(0, written.reader())
	}
	if failed := new(git.Error); errors.As(err, &failed) && failed.OutOfMemory() {
		err = ErrTooManyChanges
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

// reader returns a function that takes letters and paths in turn.
func (c changes) reader() func(field []byte) error {
	var letter byte
	bytes := 0
	return func(field []byte) error {
		switch {
		case letter != 0:
			c[string(field)], letter = letter, 0
		case len(field) == 1:
			letter = field[0]
		default:
			return fmt.Errorf("git diff-tree said %q", field)
		}
		if bytes += len(field); bytes > maxChangeBytes {
			return ErrTooManyChanges
		}
		return nil
	}
}
