// Package snapshot makes a commit of uncommitted work: the index, the working tree and untracked files, as they stand.
package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"aig/internal/git"
	"aig/internal/ref"
)

// Count returns how many files of the working tree have uncommitted changes; 0 where there is no working tree.
func Count(ctx context.Context, repo *git.Repo) (int, error) {
	if !repo.InWorkTree {
		return 0, nil
	}
	out, err := run(ctx, repo, nil, nil, "status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=none")
	return strings.Count(out, "\x00"), err
}

// Take writes a commit on top of HEAD that nothing points to, and returns its name; "" if there is nothing to take. It has
// the form of a stash (git-stash(1), "Discussion"), so that git stash apply takes it: its tree is the working tree, its
// second parent the index, its third one, if there is any, the untracked files that aren't ignored. The same state gives the
// same commit. Nothing but objects is written; hooks don't run.
func Take(ctx context.Context, repo *git.Repo) (string, error) {
	if !repo.InWorkTree {
		return "", errors.New("there is no working tree to take a snapshot of")
	}
	s := snapshot{repo: repo}
	if err := s.begin(ctx); err != nil {
		return "", err
	}
	defer s.end()
	if err := s.trees(ctx); err != nil {
		return "", err
	}
	if s.index == s.head && s.work == s.head && s.untracked == "" {
		return "", nil
	}
	return s.commit(ctx)
}

type snapshot struct {
	repo *git.Repo
	dir  string // for the indexes, below the object directory, where git prune sweeps what we leave

	tip, head              string // HEAD's commit, and its tree
	index, work, untracked string // trees
}

// begin checks that a snapshot is possible, and makes the directory.
func (s *snapshot) begin(ctx context.Context) error {
	var err error
	s.tip, err = s.git(ctx, "", "rev-parse", "--quiet", "--verify", "HEAD")
	if git.ExitCode(err) == 1 { // HEAD is unborn
		return errors.New("there is no commit yet to put a snapshot on: commit something first")
	}
	if err != nil {
		return err
	}
	if s.head, err = s.git(ctx, "", "rev-parse", s.tip+"^{tree}"); err != nil {
		return err
	}
	conflicts, err := s.git(ctx, "", "ls-files", "--unmerged", "-z")
	if err != nil {
		return err
	}
	if conflicts != "" {
		return errors.New("the index has conflicts, which a snapshot can't hold: finish the merge first, or leave out --snapshot")
	}
	s.dir, err = os.MkdirTemp(s.repo.ObjectDir, "tmp_snapshot_")
	return err
}

func (s *snapshot) end() { os.RemoveAll(s.dir) }

// trees writes the three trees, through indexes of its own.
func (s *snapshot) trees(ctx context.Context) error {
	copied, err := s.copyIndex(ctx)
	if err != nil {
		return err
	}
	if s.index, err = s.git(ctx, copied, "write-tree"); err != nil {
		return err
	}
	if _, err = s.git(ctx, copied, "add", "--update"); err != nil {
		return err
	}
	if s.work, err = s.git(ctx, copied, "write-tree"); err != nil {
		return err
	}
	names, err := s.git(ctx, "", "ls-files", "--others", "--exclude-standard", "-z", ":/")
	if err != nil {
		return err
	}
	var files strings.Builder
	for name := range strings.SplitSeq(strings.TrimSuffix(names, "\x00"), "\x00") {
		if name != "" && !strings.HasSuffix(name, "/") { // a slash: a nested repository
			files.WriteString(name + "\x00")
		}
	}
	if files.Len() == 0 {
		return nil
	}
	fresh := s.dir + "/untracked"
	if _, err := run(ctx, s.repo, []string{"GIT_INDEX_FILE=" + fresh}, strings.NewReader(files.String()),
		"update-index", "--add", "-z", "--stdin"); err != nil {
		return err
	}
	s.untracked, err = s.git(ctx, fresh, "write-tree")
	return err
}

// copyIndex copies the index, since git would refresh the original in passing.
func (s *snapshot) copyIndex(ctx context.Context) (string, error) {
	from, err := s.git(ctx, "", "rev-parse", "--path-format=absolute", "--git-path", "index")
	if err != nil {
		return "", err
	}
	to := s.dir + "/index"
	content, err := os.ReadFile(from)
	if errors.Is(err, os.ErrNotExist) {
		return to, nil // an empty one
	}
	if err != nil {
		return "", err
	}
	return to, os.WriteFile(to, content, 0o600)
}

// commit writes the commits. Their time is HEAD's, so that the same state gives the same commits.
func (s *snapshot) commit(ctx context.Context) (string, error) {
	about, err := s.git(ctx, "", "log", "-1", "--no-show-signature", "--format=%ct %h %s", s.tip)
	if err != nil {
		return "", err
	}
	seconds, about, _ := strings.Cut(about, " ")
	branch, err := s.git(ctx, "", "rev-parse", "--abbrev-ref", "HEAD")
	if err != nil {
		return "", err
	}
	if branch == "HEAD" {
		branch = "(no branch)"
	}
	ident, err := s.git(ctx, "", "var", "GIT_AUTHOR_IDENT")
	if err != nil {
		return "", err
	}
	name, _, _ := strings.Cut(ident, " <")
	date := []string{"GIT_AUTHOR_DATE=" + seconds + " +0000", "GIT_COMMITTER_DATE=" + seconds + " +0000"}
	write := func(message, tree string, parents ...string) (string, error) {
		args := []string{"commit-tree", "--no-gpg-sign", "-m", message}
		for _, p := range parents {
			args = append(args, "-p", p)
		}
		return run(ctx, s.repo, date, nil, append(args, tree)...)
	}
	index, err := write(fmt.Sprintf("index on %s: %s", branch, about), s.index, s.tip)
	if err != nil {
		return "", err
	}
	parents := []string{s.tip, index}
	if s.untracked != "" {
		untracked, err := write(fmt.Sprintf("untracked files on %s: %s", branch, about), s.untracked)
		if err != nil {
			return "", err
		}
		parents = append(parents, untracked)
	}
	return write(fmt.Sprintf("%s%s, on %s", ref.SnapshotSubject, name, branch), s.work, parents...)
}

func (s *snapshot) git(ctx context.Context, index string, args ...string) (string, error) {
	var env []string
	if index != "" {
		env = []string{"GIT_INDEX_FILE=" + index}
	}
	return run(ctx, s.repo, env, nil, args...)
}

// run returns what git prints, without the line end. Neither hooks (post-index-change) nor a file system monitor run.
func run(ctx context.Context, repo *git.Repo, env []string, in io.Reader, args ...string) (string, error) {
	c := repo.Command(ctx, env, append([]string{"-c", "core.hooksPath=" + os.DevNull, "-c", "core.fsmonitor=false"}, args...)...)
	if in != nil {
		c.Stdin = in
	}
	out, err := c.Output()
	return string(bytes.TrimSuffix(out, []byte("\n"))), err
}
