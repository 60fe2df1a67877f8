package refs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/objects"
	"aig/internal/oid"
	"aig/internal/ref"
)

func open(t *testing.T, r *gittest.Repo, env ...string) *git.Repo {
	t.Helper()
	repo, err := git.Open(t.Context(), git.Git{Dir: r.Dir, Env: append(slices.Clone(r.Env), env...), Settings: new(git.Settings)})
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// told returns what ls-remote shows of a repository: an independent list of the same references. It shows the hidden targets
// of symbolic references too, which are left out here.
func told(r *gittest.Repo) string {
	out := r.Git("ls-remote", "--symref", ".", "HEAD", "refs/heads/*", "refs/tags/*") + "\n"
	var lines []string
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		target, symbolic := strings.CutPrefix(line, "ref: ")
		target, _, _ = strings.Cut(target, "\t")
		if !symbolic || strings.Contains(out, "\t"+target+"\n") {
			lines = append(lines, line)
		}
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

func asLsRemote(refs []ref.Ref) string {
	var lines []string
	for _, r := range refs {
		if r.Target != "" {
			lines = append(lines, "ref: "+r.Target+"\t"+r.Name)
		}
		if r.OID != "" {
			lines = append(lines, r.OID+"\t"+r.Name)
		}
		if r.Peeled != "" {
			lines = append(lines, r.Peeled+"\t"+r.Name+"^{}")
		}
	}
	return strings.Join(lines, "\n")
}

// tags makes a repository with branches, symbolic ones, tags of every kind, and references that no peer is told.
func tags(t *testing.T, args ...string) *gittest.Repo {
	r := gittest.New(t, append([]string{"-b", "main"}, args...)...)
	r.Commit("file", "content")
	r.Git("branch", "side/a")
	r.Git("branch", "side/b")
	r.Git("branch", "sidewise")
	r.Git("symbolic-ref", "refs/heads/alias", "refs/heads/side/a")
	r.Git("symbolic-ref", "refs/heads/nowhere", "refs/heads/absent")
	r.Git("tag", "light")
	r.Git("tag", "-a", "-m", "m", "annotated")
	r.Git("tag", "-a", "-m", "m", "of-tag", "annotated")
	r.Git("tag", "-a", "-m", "m", "of-blob", "HEAD:file")
	r.Git("update-ref", "refs/remotes/origin/main", "HEAD")
	r.Git("update-ref", "refs/stash", "HEAD")
	return r
}

// A peer is told what git itself tells: in either object format, with HEAD attached, detached and of an empty
// repository, and with every form of hideRefs, in whatever order the two variables come.
func TestRefsAreWhatGitTells(t *testing.T) {
	t.Parallel()
	hide := func(values ...string) func(*gittest.Repo) {
		return func(r *gittest.Repo) {
			for _, v := range values {
				key, value, _ := strings.Cut(v, "=")
				r.Git("config", "--add", key+".hideRefs", value)
			}
		}
	}
	for name, change := range map[string]func(*gittest.Repo){
		"plain":      func(*gittest.Repo) {},
		"detached":   func(r *gittest.Repo) { r.Git("checkout", "-q", "--detach") },
		"bare":       func(r *gittest.Repo) { r.Git("config", "core.bare", "true") },
		"one":        hide("transfer=refs/heads/sidewise"),
		"prefix":     hide("uploadpack=refs/heads/side"),
		"slash":      hide("transfer=refs/heads/side/"),
		"negated":    hide("transfer=refs/heads/side", "transfer=!refs/heads/side/a"),
		"later wins": hide("transfer=!refs/heads/side/a", "transfer=refs/heads/side"),
		"two variables": func(r *gittest.Repo) {
			// One after the other in the file: uploadpack first, then transfer, then uploadpack again.
			hide("uploadpack=refs/tags", "transfer=!refs/tags/light", "transfer=refs/heads/sidewise")(r)
			config := filepath.Join(r.Dir, ".git", "config")
			b, err := os.ReadFile(config)
			if err == nil {
				err = os.WriteFile(config, append(b, "[uploadpack]\n\thideRefs = !refs/heads/sidewise\n"...), 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		"full":       hide("transfer=^refs/heads/side", "transfer=!^refs/heads/side/b"),
		"head":       hide("transfer=HEAD"),
		"receive's":  hide("receive=refs/heads/side"),
		"empty":      hide("transfer="),
		"everything": hide("transfer=refs", "transfer=HEAD"),
	} {
		t.Run(name, func(t *testing.T) {
			for _, format := range []string{"sha1", "sha256"} {
				r := tags(t, "--object-format="+format)
				change(r)
				refs, err := List(t.Context(), open(t, r))
				if err != nil {
					t.Fatal(err)
				}
				if got, want := asLsRemote(refs), told(r); got != want {
					t.Errorf("%s: told\n%s\nwant\n%s", format, got, want)
				}
			}
		})
	}
}

// What ls-remote can't show: an unborn HEAD is told with its target unless anything is hidden, a hidden target of HEAD is not told,
// hideRefs without a value is an error, and Own has what is hidden.
func TestRefsBeyondLsRemote(t *testing.T) {
	for _, hide := range []string{"", "transfer.hideRefs", "uploadpack.hideRefs"} {
		empty := gittest.New(t, "-b", "trunk")
		want := []ref.Ref{{Name: "HEAD", Target: "refs/heads/trunk"}}
		if hide != "" {
			empty.Git("config", hide, "refs/heads/trunk")
			want = nil
		}
		if refs, err := List(t.Context(), open(t, empty)); err != nil || !slices.Equal(refs, want) {
			t.Errorf("unborn, %q: %v, %v", hide, refs, err)
		}
	}
	r := gittest.New(t, "-b", "secret")
	commit := r.Commit("file", "content")
	r.Git("symbolic-ref", "refs/heads/alias", "refs/heads/secret")
	r.Git("config", "transfer.hideRefs", "refs/heads/secret")
	refs, err := List(t.Context(), open(t, r))
	if want := []ref.Ref{{Name: "HEAD", OID: commit}, {Name: "refs/heads/alias", OID: commit}}; err != nil || !slices.Equal(refs, want) {
		t.Errorf("hidden target: %v, %v", refs, err)
	}
	refs, err = Own(t.Context(), open(t, r))
	if want := []ref.Ref{
		{Name: "HEAD", OID: commit, Target: "refs/heads/secret"}, {Name: "refs/heads/alias", OID: commit, Target: "refs/heads/secret"}, {Name: "refs/heads/secret", OID: commit},
	}; err != nil || !slices.Equal(refs, want) {
		t.Errorf("own: %v, %v", refs, err)
	}
	for _, section := range []string{"transfer", "uploadpack"} {
		config := filepath.Join(r.Dir, ".git", "config")
		if err := os.WriteFile(config, []byte("[core]\n\trepositoryformatversion = 0\n["+section+"]\n\thideRefs\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		if refs, err := List(t.Context(), open(t, r)); err == nil || !strings.Contains(err.Error(), section+".hiderefs") {
			t.Errorf("%s without a value: %v, %v", section, refs, err)
		}
		if list, err := givenOf(t, open(t, r), "HEAD"); err == nil || !strings.Contains(err.Error(), section+".hiderefs") {
			t.Errorf("%s without a value: %v are given, %v", section, list, err)
		}
	}
}

// givenOf returns which of the revisions' objects Unhidden reaches.
func givenOf(t *testing.T, repo *git.Repo, revisions ...string) ([]string, error) {
	t.Helper()
	out, err := repo.Command(t.Context(), nil, append([]string{"rev-parse"}, revisions...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	list := oid.NewList(repo.Format)
	names := strings.Fields(string(out))
	slices.Sort(names)
	var all []uint32
	for i, name := range names {
		binary := make([]byte, repo.Format.Size())
		if err := repo.Format.Parse(binary, []byte(name)); err != nil {
			t.Fatal(err)
		}
		list.Append(binary)
		all = append(all, uint32(i))
	}
	found, err := objects.Reached(t.Context(), repo, list, all, Unhidden()...)
	var those []string
	for _, at := range found {
		those = append(those, names[at])
	}
	return those, err
}

// Which references count as unhidden: all kinds of them and a detached HEAD, but not the stash, not what either variable hides, in
// whichever scope it is set, not another working tree's HEAD, and not what only the reflog has.
func TestUnhidden(t *testing.T) {
	r := gittest.New(t, "-b", "main")
	r.Commit("file", "content")
	commit := func(name string) string {
		c := r.Git("commit-tree", "-m", name, "HEAD^{tree}")
		if strings.HasPrefix(name, "refs/") {
			r.Git("update-ref", name, c)
		}
		return c
	}
	given := []string{commit("refs/heads/a"), commit("refs/tags/b"), commit("refs/remotes/origin/c"), commit("refs/notes/d"), commit("refs/worktree/e")}
	kept := []string{commit("refs/stash"), commit("refs/heads/secret1"), commit("refs/tags/secret2"), commit("refs/heads/secret3"), commit("refs/heads/secret4")}
	r.Git("config", "transfer.hideRefs", "refs/heads/secret1")
	r.Git("config", "uploadpack.hideRefs", "refs/tags/secret2")
	r.Git("config", "extensions.worktreeConfig", "true")
	r.Git("config", "--worktree", "transfer.hideRefs", "refs/heads/secret3")
	gone := commit("gone")
	r.Git("update-ref", "--create-reflog", "refs/heads/a", gone)
	r.Git("update-ref", "refs/heads/a", given[0])
	elsewhere, detached := commit("elsewhere"), commit("detached")
	r.Git("worktree", "add", "-q", "--detach", filepath.Join(t.TempDir(), "other"), elsewhere)
	r.Git("checkout", "-q", detached)
	given, kept = append(given, detached), append(kept, gone, elsewhere)

	// As git -c would: the narrowest scope of all.
	repo := open(t, r, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=transfer.hideRefs", "GIT_CONFIG_VALUE_0=refs/heads/secret4", "GIT_NAMESPACE=secret")
	got, err := givenOf(t, repo, slices.Concat(given, kept)...)
	slices.Sort(given)
	if err != nil || !slices.Equal(got, given) {
		t.Errorf("given %v, %v, want %v and none of %v", got, err, given, kept)
	}
	refs, err := List(t.Context(), repo)
	var names []string
	for _, r := range refs {
		names = append(names, r.Name)
	}
	if want := []string{"HEAD", "refs/heads/a", "refs/heads/main", "refs/tags/b"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("told %v, %v, want %v", names, err, want)
	}
	r.Git("config", "--add", "transfer.hideRefs", "HEAD")
	if got, err := givenOf(t, open(t, r), detached); err != nil || len(got) != 0 {
		t.Errorf("a hidden HEAD: given %v, %v", got, err)
	}
}

// The list is that of the working tree and of the repository that git has found, wherever it looks from: a linked one, a directory below, a
// bare repository with another one inside, one that the user has named and another user owns.
func TestRefsOfThisWorkingTree(t *testing.T) {
	r := gittest.New(t, "-b", "main")
	r.Commit("file", "content")
	heads := func(dir string, env ...string) string {
		t.Helper()
		at := *r
		at.Dir = dir
		refs, err := List(t.Context(), open(t, &at, env...))
		if err != nil {
			t.Error(err)
			return ""
		}
		return refs[0].Target + fmt.Sprint(len(refs))
	}
	tree := filepath.Join(t.TempDir(), "other\ntree")
	r.Git("worktree", "add", "-q", "-b", "side", tree)
	if got := heads(tree); got != "refs/heads/side3" {
		t.Errorf("linked: %q", got)
	}
	below := filepath.Join(r.Dir, "below")
	if err := os.Mkdir(below, 0o777); err != nil {
		t.Fatal(err)
	}
	if got := heads(below); got != "refs/heads/main3" {
		t.Errorf("below: %q", got)
	}
	bare := filepath.Join(t.TempDir(), "bare")
	r.Git("clone", "-q", "--bare", tree, bare)
	r.Git("init", "-q", "-b", "wrong", "--bare", bare+"/.git")
	if got := heads(t.TempDir(), "GIT_DIR="+bare); got != "refs/heads/side3" {
		t.Errorf("bare: %q", got)
	}
	safe := []string{"GIT_TEST_ASSUME_DIFFERENT_OWNER=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=" + r.Git("rev-parse", "--show-toplevel")}
	if got := heads(r.Dir, safe...); got != "refs/heads/main3" {
		t.Errorf("another's: %q", got)
	}
	if _, err := git.Open(t.Context(), git.Git{Dir: r.Dir, Env: append(slices.Clone(r.Env), safe[0])}); err == nil {
		t.Error("another's repository is opened, though nobody has called it safe")
	}
}

// A branch or a tag whose object is absent, and a file that is no reference, are left out, and the others are told. What is absent is
// not fetched, even if it is promised.
func TestRefsWithoutObject(t *testing.T) {
	r := gittest.New(t, "-b", "main")
	first := r.Commit("a", "a")
	r.Git("tag", "-a", "-m", "m", "whole")
	r.Git("branch", "good")
	second := r.Commit("b", "b")
	r.Git("tag", "-a", "-m", "m", "half")
	half := r.Git("rev-parse", "half")
	if err := os.Remove(r.LooseFile(second)); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"garbage": "garbage\n", "null": strings.Repeat("0", 40) + "\n", "empty": "", "a..b": first + "\n", "loop": "ref: refs/heads/loop\n", "wrong": "ref: refs/heads/a..b\n",
	} {
		if err := os.WriteFile(filepath.Join(r.Dir, ".git", "refs", "heads", name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	ran := filepath.Join(t.TempDir(), "ran")
	for key, value := range map[string]string{
		"extensions.partialClone": "origin", "remote.origin.promisor": "true", "remote.origin.url": "ext::touch " + ran, "protocol.ext.allow": "always",
		"uploadpack.packObjectsHook": "touch " + ran,
	} {
		r.Git("config", key, value)
	}
	refs, err := List(t.Context(), open(t, r))
	want := []ref.Ref{
		// As git tells it: what a tag points to isn't looked up.
		{Name: "refs/heads/good", OID: first}, {Name: "refs/tags/half", OID: half, Peeled: second},
		{Name: "refs/tags/whole", OID: r.Git("rev-parse", "whole"), Peeled: first},
	}
	if err != nil || !slices.Equal(refs, want) {
		t.Errorf("%v, %v", refs, err)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a transport or a hook ran")
	}
}

// A tip that is there but can't be read is told like any other: not giving it, and saying so, is up to the exchange. If its type is
// unknown, git can't go on, and the error says where to look.
func TestRefOfDamagedObject(t *testing.T) {
	for _, content := range []string{"comit 3\x00abc", "commit abc", ""} {
		r := gittest.New(t, "-b", "main")
		r.Commit("a", "a")
		commit := r.Commit("b", "b")
		file := r.LooseFile(commit)
		os.Remove(file)
		if err := os.WriteFile(file, gittest.Deflate([]byte(content)), 0o444); err != nil {
			t.Fatal(err)
		}
		refs, err := List(t.Context(), open(t, r))
		if strings.HasPrefix(content, "comit ") {
			if err == nil || !strings.Contains(err.Error(), "git fsck names it") {
				t.Errorf("%q: %v, %v", content, refs, err)
			}
			continue
		}
		want := []ref.Ref{{Name: "HEAD", OID: commit, Target: "refs/heads/main"}, {Name: "refs/heads/main", OID: commit}}
		if err != nil || !slices.Equal(refs, want) {
			t.Errorf("%q: %v, %v", content, refs, err)
		}
	}
}

// Up to ref.Max references are told; more are an error, not a part of them.
func TestTooManyRefs(t *testing.T) {
	t.Parallel()
	r := gittest.New(t, "-b", "main")
	commit := r.Commit("file", "content")
	var packed strings.Builder
	packed.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for i := range ref.Max - 2 { // and HEAD, and refs/heads/main
		fmt.Fprintf(&packed, "%s refs/heads/branch-%07d\n", commit, i)
	}
	if err := os.WriteFile(filepath.Join(r.Dir, ".git", "packed-refs"), []byte(packed.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	r.Git("repack", "-adq")
	if refs, err := List(t.Context(), open(t, r)); err != nil || len(refs) != ref.Max || refs[ref.Max-2].OID != commit {
		t.Errorf("%d references, %v", len(refs), err)
	}
	r.Git("branch", "one-more")
	if refs, err := List(t.Context(), open(t, r)); !errors.Is(err, ErrTooMany) || refs != nil {
		t.Errorf("%d references, %v", len(refs), err)
	}
}
