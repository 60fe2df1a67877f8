package snapshot

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/ref"
)

func open(t *testing.T, r *gittest.Repo, dir string) *git.Repo {
	t.Helper()
	repo, err := git.Open(context.Background(), git.Git{Dir: dir, Env: gittest.Env(t)})
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// take takes a snapshot, and checks that nothing but objects has changed.
func take(t *testing.T, r *gittest.Repo) string {
	t.Helper()
	before := r.Files()
	name, err := Take(t.Context(), open(t, r, r.Dir))
	if err != nil {
		t.Fatal(err)
	}
	changed, added := before.Changed(r.Files())
	for _, path := range append(changed, added...) {
		if !strings.Contains(path, "objects/") || strings.Contains(path, "tmp_") {
			t.Errorf("%s was written", path)
		}
	}
	return name
}

func write(t *testing.T, r *gittest.Repo, name, content string) {
	t.Helper()
	path := filepath.Join(r.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

// work returns a repository with uncommitted work of each kind.
func work(t *testing.T) *gittest.Repo {
	r := gittest.New(t)
	for _, name := range []string{"staged", "both", "unstaged", "deleted", "mode"} {
		r.Commit(name, "old\n")
	}
	r.Commit(".gitignore", "ignored\n")
	write(t, r, "staged", "staged\n")
	write(t, r, "both", "staged\n")
	r.Git("add", "staged", "both")
	write(t, r, "both", "and changed again\n")
	write(t, r, "unstaged", "new\n")
	write(t, r, "dir/untracked", "untracked\n")
	write(t, r, "a\nname", "odd\n")
	write(t, r, "ignored", "secret\n")
	write(t, r, "intent", "to add\n")
	r.Git("add", "--intent-to-add", "intent")
	os.Remove(filepath.Join(r.Dir, "deleted"))
	os.Chmod(filepath.Join(r.Dir, "mode"), 0o777)
	if err := os.Symlink("staged", filepath.Join(r.Dir, "link")); err != nil {
		t.Fatal(err)
	}
	return r
}

// The commit holds what the working tree and the index hold, and what isn't ignored; the same state gives the same commit.
func TestTake(t *testing.T) {
	r := work(t)
	name := take(t, r)
	if again := take(t, r); again != name {
		t.Errorf("%s, then %s", name, again)
	}
	for path, want := range map[string]string{
		name + ":staged": "staged", name + ":both": "and changed again", name + ":unstaged": "new", name + ":intent": "to add",
		name + "^2:staged": "staged", name + "^2:both": "staged", name + "^2:unstaged": "old", name + "^2:deleted": "old",
		name + "^3:dir/untracked": "untracked", name + "^3:a\nname": "odd", name + "^3:link": "staged",
	} {
		if got := strings.TrimSpace(r.Git("cat-file", "blob", path)); got != want {
			t.Errorf("%s is %q, not %q", path, got, want)
		}
	}
	files := r.Git("ls-tree", "-r", "--name-only", name) + r.Git("ls-tree", "-r", "--name-only", name+"^3")
	if strings.Contains(files, "ignored\n") && !strings.Contains(files, ".gitignore\n") || strings.Contains(files, "deleted") {
		t.Error(files)
	}
	if mode := r.Git("ls-tree", name, "mode"); !strings.HasPrefix(mode, "100755 ") {
		t.Error(mode)
	}
	if mode := r.Git("ls-tree", name+"^3", "link"); !strings.HasPrefix(mode, "120000 ") {
		t.Error(mode)
	}
	if parent := r.Git("rev-parse", name+"^1"); parent != r.Git("rev-parse", "HEAD") {
		t.Error("it isn't on top of HEAD")
	}
	r.MustBeSound()
}

// git stash apply brings all of it back: the index, the working tree, the untracked files.
func TestStashApply(t *testing.T) {
	r := work(t)
	r.Git("rm", "-q", "--cached", "intent") // which no stash can tell from a file that was added
	name := take(t, r)
	status := r.Git("status", "--porcelain")
	r.Git("reset", "-q", "--hard")
	r.Git("clean", "-qfd")
	r.Git("stash", "apply", "-q", "--index", name)
	if got := r.Git("status", "--porcelain"); got != status {
		t.Errorf("before:\n%s\nafter:\n%s", status, got)
	}
}

func TestNothing(t *testing.T) {
	r := gittest.New(t)
	r.Commit("file", "content\n")
	write(t, r, ".git/info/exclude", "ignored\n")
	write(t, r, "ignored", "x")
	objects := r.Objects()
	if name := take(t, r); name != "" || r.Objects() != objects {
		t.Errorf("%q of nothing", name)
	}
	// A file that was only touched has not changed.
	if err := os.Chtimes(filepath.Join(r.Dir, "file"), time.Now(), time.Unix(1e9, 0)); err != nil {
		t.Fatal(err)
	}
	if name := take(t, r); name != "" {
		t.Errorf("%q of a touched file", name)
	}
}

// Each of these is refused with a line that says why, and nothing is written.
func TestRefused(t *testing.T) {
	unborn := gittest.New(t)
	write(t, unborn, "file", "x")
	conflict := gittest.New(t)
	conflict.Commit("file", "base\n")
	conflict.Git("branch", "theirs")
	conflict.Commit("file", "ours\n")
	conflict.Git("checkout", "-q", "theirs")
	conflict.Commit("file", "theirs\n")
	merge := exec.Command("git", "merge", "-q", "@{-1}")
	merge.Dir, merge.Env = conflict.Dir, conflict.Env
	if merge.Run() == nil {
		t.Fatal("there is no conflict")
	}
	damaged := gittest.New(t)
	if err := os.Remove(damaged.LooseFile(damaged.Commit("file", "x"))); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		r    *gittest.Repo
		want string
	}{
		"unborn":   {unborn, "there is no commit yet"},
		"damaged":  {damaged, "git rev-parse: "},
		"bare":     {gittest.New(t, "--bare"), "there is no working tree"},
		"conflict": {conflict, "the index has conflicts"},
	} {
		objects := c.r.Objects()
		if _, err := Take(t.Context(), open(t, c.r, c.r.Dir)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if c.r.Objects() != objects {
			t.Errorf("%s: something was written", name)
		}
	}
	// An interruption is no bare repository.
	ctx, cancel := context.WithCancel(t.Context())
	repo := open(t, damaged, damaged.Dir)
	cancel()
	if _, err := Take(ctx, repo); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "\n") {
		t.Errorf("interrupted: %v", err)
	}
}

// From a subdirectory, with a detached HEAD, in another worktree, without an index: the snapshot is complete all the same.
func TestPlaces(t *testing.T) {
	r := work(t)
	want := r.Git("rev-parse", take(t, r)+"^{tree}")
	name, err := Take(t.Context(), open(t, r, filepath.Join(r.Dir, "dir")))
	if err != nil || r.Git("rev-parse", name+"^{tree}") != want || !strings.Contains(r.Git("ls-tree", "-r", "--name-only", "-z", name+"^3"), "a\nname") {
		t.Errorf("in a subdirectory: %s, %v", name, err)
	}
	r.Git("checkout", "-q", "--detach")
	name = take(t, r)
	if subject := r.Git("log", "-1", "--format=%s", name); subject != ref.SnapshotSubject+"A U Thor, on (no branch)" {
		t.Error(subject)
	}
	tree := t.TempDir()
	r.Git("worktree", "add", "-q", tree+"/w")
	if err := os.WriteFile(tree+"/w/only here", []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	name, err = Take(t.Context(), open(t, r, tree+"/w"))
	if err != nil || r.Git("ls-tree", "--name-only", name+"^3") != "only here" {
		t.Errorf("in a worktree: %s, %v", name, err)
	}
	os.Remove(filepath.Join(r.Dir, ".git/index"))
	name = take(t, r)
	if files := r.Git("ls-tree", "--name-only", name+"^3"); !strings.Contains(files, "unstaged") {
		t.Errorf("without an index: %s", files)
	}
}

// A sparse checkout's absent files are no deletions; a submodule's new commit is a change; a nested repository that is no
// submodule is left out.
func TestSparseAndSubmodules(t *testing.T) {
	r := gittest.New(t)
	write(t, r, "in/file", "in\n")
	write(t, r, "out/file", "out\n")
	r.Git("add", ".")
	r.Git("commit", "-q", "-m", "both")
	sub := gittest.New(t)
	sub.Commit("file", "sub\n")
	r.Git("-c", "protocol.file.allow=always", "submodule", "-q", "add", sub.Dir, "sub")
	r.Git("commit", "-q", "-m", "submodule")
	r.Git("sparse-checkout", "set", "in")
	if name := take(t, r); name != "" {
		t.Errorf("%s of a sparse checkout", r.Git("diff", "--stat", "HEAD", name))
	}
	r.Git("init", "-q", "nested")
	write(t, r, "in/file", "changed\n")
	r.Git("-C", "sub", "commit", "-q", "--allow-empty", "-m", "newer")
	name := take(t, r)
	if got := r.Git("diff", "--name-only", "HEAD", name); got != "in/file\nsub" {
		t.Error(got)
	}
}

// No hook runs, not even post-index-change, and with core.fsmonitor nothing but objects is written either.
func TestNoHook(t *testing.T) {
	r := work(t)
	ran := filepath.Join(t.TempDir(), "ran")
	write(t, r, ".git/hooks/post-index-change", "#!/bin/sh\n>'"+ran+"'\n")
	os.Chmod(filepath.Join(r.Dir, ".git/hooks/post-index-change"), 0o777)
	r.Git("config", "core.fsmonitor", "true")
	take(t, r)
	if _, err := os.Stat(ran); err == nil {
		t.Error("the hook ran")
	}
}

func TestCount(t *testing.T) {
	for name, c := range map[string]struct {
		r    *gittest.Repo
		want int
	}{
		"work": {work(t), 9}, "empty": {gittest.New(t), 0}, "bare": {gittest.New(t, "--bare"), 0},
	} {
		if n, err := Count(t.Context(), open(t, c.r, c.r.Dir)); n != c.want || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}
