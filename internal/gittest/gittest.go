// Package gittest has what tests share: real repositories and packs, pipes, a terminal, the check for leaks, the rounds of torture.
package gittest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Repo is a test's repository.
type Repo struct {
	t   testing.TB
	Dir string
	Env []string
}

// New makes an empty repository with `git init` and the given further arguments.
func New(t testing.TB, args ...string) *Repo {
	t.Helper()
	r := &Repo{t: t, Dir: t.TempDir(), Env: Env(t)}
	r.Git(append([]string{"init", "-q"}, append(args, ".")...)...)
	return r
}

// Env returns an environment in which git depends on nothing of this machine but git itself.
func Env(t testing.TB) []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GIT_") {
			env = append(env, kv)
		}
	}
	return append(env,
		"HOME="+t.TempDir(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_AUTHOR_NAME=A U Thor", "GIT_AUTHOR_EMAIL=author@example.com", "GIT_AUTHOR_DATE=1112911993 -0700",
		"GIT_COMMITTER_NAME=C O Mitter", "GIT_COMMITTER_EMAIL=committer@example.com", "GIT_COMMITTER_DATE=1112911993 -0700",
	)
}

// Git runs git in the repository and returns its standard output without the last line end.
func (r *Repo) Git(args ...string) string { return r.GitIn("", args...) }

// GitIn is Git with something on standard input.
func (r *Repo) GitIn(stdin string, args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env, cmd.Stdin = r.Dir, r.Env, strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

// Commit commits a file of the given content on the current branch and returns the commit's name.
func (r *Repo) Commit(file, content string) string {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.Dir, file), []byte(content), 0o666); err != nil {
		r.t.Fatal(err)
	}
	r.Git("add", file)
	r.Git("commit", "-q", "-m", "add "+file)
	return r.Git("rev-parse", "HEAD")
}

// IncompleteClone makes a clone that lacks objects, by options of git clone such as --filter=blob:none. The test fails if git fetches any
// of them later.
func (r *Repo) IncompleteClone(options ...string) *Repo {
	r.t.Helper()
	clone, ran := *r, filepath.Join(r.t.TempDir(), "ran")
	clone.Dir = r.t.TempDir()
	r.Git("config", "uploadpack.allowFilter", "true")
	r.Git(append(append([]string{"clone", "-q", "--no-checkout"}, options...), "file://"+r.Dir, clone.Dir)...)
	clone.Git("config", "protocol.ext.allow", "always")
	clone.Git("config", "remote.origin.url", "ext::touch "+ran)
	r.t.Cleanup(func() {
		if _, err := os.Stat(ran); err == nil {
			r.t.Error("a transport ran")
		}
	})
	return &clone
}

// TreeBomb writes a few small trees that stand for 10^10 paths, and returns the name of the outermost.
func (r *Repo) TreeBomb() string {
	r.t.Helper()
	object, mode, kind := r.GitIn("x", "hash-object", "-w", "--stdin"), "100644", "blob"
	for range 10 {
		var tree strings.Builder
		for i := range 10 {
			fmt.Fprintf(&tree, "%s %s %s\t%s%d\n", mode, kind, object, strings.Repeat("n", 60), i)
		}
		object, mode, kind = r.GitIn(tree.String(), "mktree"), "040000", "tree"
	}
	return object
}

// Blobs stores n blobs that nothing points to, and returns their names.
func (r *Repo) Blobs(prefix string, n int) []string {
	r.t.Helper()
	var paths strings.Builder
	dir := r.t.TempDir()
	for i := range n {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, fmt.Appendf(nil, "%s %d\n", prefix, i), 0o666); err != nil {
			r.t.Fatal(err)
		}
		fmt.Fprintln(&paths, path)
	}
	return strings.Fields(r.GitIn(paths.String(), "hash-object", "-w", "--no-filters", "--stdin-paths"))
}

// Objects returns the names of all objects of the store, ascending, one a line.
func (r *Repo) Objects() string {
	r.t.Helper()
	return r.Git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)")
}

// ObjectDir returns the object directory.
func (r *Repo) ObjectDir() string {
	r.t.Helper()
	return r.Git("rev-parse", "--path-format=absolute", "--git-path", "objects")
}

// Heads returns the commits among the named objects that are no parent of another of them.
func (r *Repo) Heads(names ...string) (heads []string) {
	r.t.Helper()
	parents := make(map[string]bool)
	for _, name := range names {
		if r.Git("cat-file", "-t", name) != "commit" {
			continue
		}
		heads = append(heads, name)
		header, _, _ := strings.Cut(r.Git("cat-file", "commit", name), "\n\n")
		for line := range strings.Lines(header) {
			if parent, ok := strings.CutPrefix(line, "parent "); ok {
				parents[strings.TrimSpace(parent)] = true
			}
		}
	}
	return slices.DeleteFunc(heads, func(name string) bool { return parents[name] })
}

// LooseFile returns the path of a loose object.
func (r *Repo) LooseFile(name string) string {
	r.t.Helper()
	return filepath.Join(r.ObjectDir(), name[:2], name[2:])
}

// Quarantines returns what is left of quarantines in the object directory.
func (r *Repo) Quarantines() []string {
	r.t.Helper()
	left, err := filepath.Glob(filepath.Join(r.ObjectDir(), "tmp_*"))
	if err != nil {
		r.t.Fatal(err)
	}
	return left
}
