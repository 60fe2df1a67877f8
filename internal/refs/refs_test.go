package refs

import (
	"context"
	"errors"
	"fmt"
	"maps"
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

// head returns HEAD, the first of Own.
func head(t *testing.T, s *git.Repo) ref.Ref {
	t.Helper()
	own, err := Own(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return own[0]
}

// What is checked out is seen in a plain, a detached, an unborn and a bare repository, inside .git, and across the
// working trees of one repository; never the bare repository's own HEAD.
func TestElsewhere(t *testing.T) {
	r := gittest.New(t, "-b", "main")
	look := func(dir string) (ref.Ref, map[string]string) {
		t.Helper()
		at := *r
		at.Dir = dir
		s := open(t, &at)
		here := head(t, s)
		elsewhere, err := Elsewhere(t.Context(), s, here.Target)
		if err != nil {
			t.Fatal(err)
		}
		return here, elsewhere
	}
	top := r.Git("rev-parse", "--show-toplevel")
	if here, elsewhere := look(r.Dir); here != (ref.Ref{Name: "HEAD", Target: "refs/heads/main"}) || len(elsewhere) != 0 {
		t.Errorf("unborn: %v, %q", here, elsewhere)
	}
	commit := r.Commit("file", "content")
	other := filepath.Join(t.TempDir(), "other\ntree")
	r.Git("worktree", "add", "-q", "-b", "side", other)
	if err := os.Mkdir(filepath.Join(r.Dir, "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	if here, elsewhere := look(filepath.Join(r.Dir, "sub")); here != (ref.Ref{Name: "HEAD", OID: commit, Target: "refs/heads/main"}) ||
		!maps.Equal(elsewhere, map[string]string{"refs/heads/side": other}) {
		t.Errorf("main: %v, %q", here, elsewhere)
	}
	if here, elsewhere := look(other); here.Target != "refs/heads/side" || !maps.Equal(elsewhere, map[string]string{"refs/heads/main": top}) {
		t.Errorf("other: %v, %q", here, elsewhere)
	}
	if _, elsewhere := look(filepath.Join(r.Dir, ".git")); elsewhere["refs/heads/main"] != top {
		t.Errorf(".git: %q", elsewhere)
	}
	r.Git("checkout", "-q", "--detach")
	if here, elsewhere := look(r.Dir); here != (ref.Ref{Name: "HEAD", OID: commit}) || len(elsewhere) != 1 {
		t.Errorf("detached: %v, %q", here, elsewhere)
	}
	bare := filepath.Join(t.TempDir(), "bare")
	r.Git("clone", "-q", "--bare", other, bare)
	if here, elsewhere := look(bare); here.Target != "refs/heads/side" || len(elsewhere) != 0 {
		t.Errorf("bare: %v, %q", here, elsewhere)
	}
}

// relate compares one pair.
func relate(t *testing.T, s *git.Repo, ours, theirs string) Relation {
	t.Helper()
	relations, err := Relate(t.Context(), s, []Pair{{ours, theirs}}, Vetting{})
	if err != nil {
		t.Fatal(err)
	}
	return relations[0]
}

// An incomplete history is found among many whole ones, whichever kind of object is missing in it; the whole ones are
// still compared. A broken reference of ours does no harm.
func TestRelateIncomplete(t *testing.T) {
	t.Parallel()
	for _, missing := range []string{"commit", "tree", "blob", "itself", "none"} {
		r := gittest.New(t, "-b", "main")
		base := r.Commit("base", "base")
		var pairs []Pair
		for i := range 9 {
			r.Git("checkout", "-q", "--detach", base)
			r.Commit("file", fmt.Sprint("first ", i))
			pairs = append(pairs, Pair{base, r.Commit("file", fmt.Sprint("second ", i))})
		}
		const broken = 5
		tip := pairs[broken].Theirs
		gone := map[string]string{"commit": tip + "^", "tree": tip + "^^{tree}", "blob": tip + "^:file", "itself": tip, "none": ""}[missing]
		r.Git("checkout", "-q", "main")
		r.Git("update-ref", "refs/heads/broken", r.Commit("x", "x"))
		r.Git("reset", "-q", "--hard", base)
		if err := os.Remove(r.LooseFile(r.Git("rev-parse", "broken"))); err != nil {
			t.Fatal(err)
		}
		if gone != "" {
			if err := os.Remove(r.LooseFile(r.Git("rev-parse", gone))); err != nil {
				t.Fatal(err)
			}
		}
		relations, err := Relate(t.Context(), open(t, r), pairs, Vetting{})
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range relations {
			if i == broken && missing != "none" {
				if got.Unknown == "" {
					t.Errorf("%s missing: %+v", missing, got)
				}
			} else if got != (Relation{Theirs: 2, Related: true}) {
				t.Errorf("%s missing, whole branch %d: %+v", missing, i, got)
			}
		}
	}
}

// More incomplete histories than git is asked about one by one are all unknown, in a bounded number of walks.
func TestRelateManyIncomplete(t *testing.T) {
	t.Parallel()
	r := gittest.New(t, "-b", "main")
	tree := r.Git("mktree")
	absent := strings.Repeat("12", 20)
	var pairs []Pair
	for i := range 200 {
		commit := r.GitIn(fmt.Sprintf("tree %s\nparent %s\nauthor A <a> 0 +0000\ncommitter A <a> 0 +0000\n\n%d\n", tree, absent, i),
			"hash-object", "-w", "-t", "commit", "--literally", "--stdin")
		pairs = append(pairs, Pair{"", commit})
	}
	relations, err := Relate(t.Context(), open(t, r), pairs, Vetting{})
	if err != nil {
		t.Fatal(err)
	}
	incomplete := 0
	for _, got := range relations {
		switch {
		case strings.HasPrefix(got.Unknown, "its history is incomplete here"):
			incomplete++
		case got.Unknown != errNotWalked.Error():
			t.Fatalf("%+v", got)
		}
	}
	if incomplete == 0 || incomplete > maxWalks {
		t.Errorf("%d are said to be incomplete", incomplete)
	}
}

// A peer's text is never looked up: what is no full object name, or is the name of something other than a commit, is
// unknown, even if git would resolve it to a commit.
func TestRelateLooksUpNamesOnly(t *testing.T) {
	r := gittest.New(t, "-b", "main")
	commit := r.Commit("file", "content")
	s := open(t, r)
	for _, theirs := range []string{
		"main", "HEAD", "", "-h", "--all", commit[:39], strings.ToUpper(commit), commit + "\n", "^" + commit[1:], commit + "^{}",
		"@{-1}", ":/add", strings.Repeat("ab", 20), r.Git("rev-parse", "HEAD^{tree}"), r.Git("rev-parse", "HEAD:file"),
	} {
		if got := relate(t, s, "", theirs); got.Unknown == "" || strings.Contains(got.Unknown, "main") {
			t.Errorf("%q: %+v", theirs, got)
		}
		if names, err := Touched(t.Context(), s, commit, theirs); len(theirs) != 40 && err == nil {
			t.Errorf("%q touches %q", theirs, names)
		}
	}
	if got := relate(t, s, "", commit); got != (Relation{Related: true}) {
		t.Errorf("the commit: %+v", got)
	}
}

// In a partial clone what is promised is not missing, and what is not promised is; nothing is fetched for either.
func TestRelatePartialClone(t *testing.T) {
	origin := gittest.New(t, "-b", "main")
	origin.Git("config", "uploadpack.allowFilter", "true")
	origin.Commit("file", "content")
	theirs := origin.Commit("file", "more")
	partial := *origin
	partial.Dir = t.TempDir()
	origin.Git("clone", "-q", "--no-checkout", "--filter=blob:none", "file://"+origin.Dir, partial.Dir)
	ran := filepath.Join(t.TempDir(), "ran")
	partial.Git("config", "protocol.ext.allow", "always")
	partial.Git("config", "remote.origin.url", "ext::touch "+ran)
	partial.Git("update-ref", "-d", "refs/remotes/origin/main")
	partial.Git("update-ref", "-d", "refs/remotes/origin/HEAD")
	partial.Git("update-ref", "refs/heads/main", theirs+"^")
	s := open(t, &partial)
	if got := relate(t, s, theirs, theirs); got != (Relation{Related: true}) {
		t.Errorf("the same: %+v", got)
	}
	if got := relate(t, s, partial.Git("rev-parse", "main"), theirs); got != (Relation{Theirs: 1, Related: true}) {
		t.Errorf("promised: %+v", got)
	}
	tree := partial.GitIn("100644 blob "+strings.Repeat("12", 20)+"\tabsent\n", "mktree", "--missing")
	odd := partial.Git("commit-tree", "-m", "odd", tree)
	if got := relate(t, s, "", odd); !strings.Contains(got.Unknown, "incomplete") {
		t.Errorf("not promised: %+v", got)
	}
	if got := relate(t, s, "", strings.Repeat("12", 20)); got.Unknown == "" {
		t.Errorf("absent: %+v", got)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a transport ran")
	}
}

// dangling passes off all objects of the repository as received.
func dangling(t *testing.T, r *gittest.Repo, theirs ...string) []string {
	t.Helper()
	s := open(t, r)
	tips, err := Dangling(t.Context(), s, r.Heads(strings.Fields(r.Objects())...), theirs, slices.DeleteFunc(slices.Clone(theirs), func(name string) bool { return !s.Format.IsName(name) }), Vetting{})
	if err != nil || len(tips.Broken) > 0 {
		t.Fatal(tips.Broken, err)
	}
	return tips.Whole
}

// Dangling returns the tips alone, newest first; what a branch, a tag, a tag's tag, HEAD, any other reference or one of
// the peer's reaches is no tip, nor is a parent; a stash is one.
func TestDangling(t *testing.T) {
	r := gittest.New(t, "-b", "main")
	base := r.Commit("file", "content")
	commit := func(when int, parents ...string) string {
		r.Env = append(r.Env, fmt.Sprintf("GIT_COMMITTER_DATE=%d +0000", 1_200_000_000+when))
		args := []string{"commit-tree", "-m", fmt.Sprint(when)}
		for _, p := range parents {
			args = append(args, "-p", p)
		}
		return r.Git(append(args, base+"^{tree}")...)
	}
	if got := dangling(t, r); got != nil {
		t.Errorf("nothing dangles: %v", got)
	}
	a, b := commit(1, base), commit(2)
	merge := commit(4, a, b)
	newest, older := commit(9, merge), commit(3, merge)
	r.Git("tag", "-a", "-m", "m", "one", commit(5, base))
	r.Git("tag", "-a", "-m", "m", "two", "one")
	r.Git("update-ref", "-d", "refs/tags/one")
	r.Git("update-ref", "refs/aside/x", commit(6, commit(7, base)))
	peers := commit(8, commit(10, base))
	absent := strings.Repeat("12", 20)
	if got := dangling(t, r, peers, absent, "main", "--all"); !slices.Equal(got, []string{newest, older}) {
		t.Errorf("got %v, want %v", got, []string{newest, older})
	}
	if got := dangling(t, r, newest, older); !slices.Equal(got, []string{peers}) {
		t.Errorf("without the peer's: %v, want %v", got, peers)
	}
	if err := os.WriteFile(filepath.Join(r.Dir, "file"), []byte("stashed"), 0o666); err != nil {
		t.Fatal(err)
	}
	r.Git("stash", "-q")
	stash := r.Git("rev-parse", "stash")
	r.Git("stash", "drop", "-q")
	if got := dangling(t, r, newest, older, peers); !slices.Equal(got, []string{stash}) {
		t.Errorf("stash: %v, want %v", got, stash)
	}
}

// A tip whose history is incomplete is broken, and doesn't hide the others; a commit received below one that was here
// before, and that a reference reaches, is no tip.
func TestDanglingOddHistories(t *testing.T) {
	r := gittest.New(t, "-b", "main")
	lower := r.Commit("file", "content")
	r.Commit("file", "more")
	s := open(t, r)
	tips, err := Dangling(t.Context(), s, r.Heads(lower), nil, nil, Vetting{})
	if err != nil || len(tips.Whole)+len(tips.Broken) != 0 {
		t.Errorf("below a branch: %v, %v", tips, err)
	}
	below := r.Git("commit-tree", "-m", "below", "HEAD^{tree}")
	above := r.Git("commit-tree", "-p", below, "-m", "above", "HEAD^{tree}")
	tips, err = Dangling(t.Context(), s, r.Heads(below), []string{above}, []string{above}, Vetting{})
	if err != nil || len(tips.Whole)+len(tips.Broken) != 0 {
		t.Errorf("below the peer's: %v, %v", tips, err)
	}
	parent := r.Git("commit-tree", "-m", "parent", "HEAD^{tree}")
	odd := r.Git("commit-tree", "-p", parent, "-m", "odd", "HEAD^{tree}")
	whole := r.Git("commit-tree", "-m", "whole", "HEAD^{tree}")
	if err := os.Remove(r.LooseFile(parent)); err != nil {
		t.Fatal(err)
	}
	tips, err = Dangling(t.Context(), s, r.Heads(lower, odd, whole), nil, nil, Vetting{})
	if err != nil || !slices.Equal(tips.Whole, []string{whole}) || !slices.Equal(tips.Broken, []string{odd}) {
		t.Errorf("incomplete: %+v, %v, want %s, and %s broken", tips, err, whole, odd)
	}
	// Found in several runs, one on top of another: the parent is known, whether the walks succeed or not. A commit that is gone is passed over.
	upper := r.Git("commit-tree", "-p", whole, "-m", "upper", "HEAD^{tree}")
	highest := r.Git("commit-tree", "-p", upper, "-m", "highest", "HEAD^{tree}")
	gone := strings.Repeat("12", 20)
	for _, commits := range [][]string{{whole, highest, gone}, {highest, whole, highest}, {gone, whole, odd, highest}, {odd, highest, whole}} {
		tips, err = Dangling(t.Context(), s, commits, nil, nil, Vetting{})
		if err != nil || !slices.Equal(tips.Whole, []string{highest}) || slices.Contains(commits, odd) != slices.Equal(tips.Broken, []string{odd}) {
			t.Errorf("%v: %+v, %v, want %s", commits, tips, err, highest)
		}
	}
	if tips, err = Dangling(t.Context(), s, []string{gone}, nil, nil, Vetting{}); err != nil || len(tips.Whole)+len(tips.Broken) != 0 {
		t.Errorf("gone: %+v, %v", tips, err)
	}
	// Into an empty store whose references were waiting for it, nothing is walked.
	r.Git("update-ref", "refs/aside/waiting", highest)
	if tips, err = Dangling(t.Context(), s, []string{highest, whole}, nil, nil, Vetting{Whole: true}); err != nil || !slices.Equal(tips.Whole, []string{whole}) {
		t.Errorf("without a walk: %+v, %v", tips, err)
	}
	r.Git("update-ref", "-d", "refs/aside/waiting")
	// On top of a branch of the peer's whose history is incomplete too.
	top := r.Git("commit-tree", "-p", odd, "-m", "top", "HEAD^{tree}")
	tips, err = Dangling(t.Context(), s, r.Heads(top), []string{odd}, nil, Vetting{})
	if err != nil || len(tips.Whole) > 0 || !slices.Equal(tips.Broken, []string{top}) {
		t.Errorf("on top of what is incomplete: %+v, %v", tips, err)
	}
}

// Uncommitted changes are named where a fast-forward or a merge to theirs would touch them, and not elsewhere: changed
// and staged files, files in no commit, ignored ones too, which git would overwrite without a word.
func TestTouched(t *testing.T) {
	t.Parallel()
	write := func(r *gittest.Repo, name string) {
		if err := os.MkdirAll(filepath.Join(r.Dir, filepath.Dir(name)), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(r.Dir, name), []byte("uncommitted\n"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	setup := func() (*gittest.Repo, string) {
		r := gittest.New(t, "-b", "main")
		r.Commit("theirs", "1\n")
		r.Commit("ours", "1\n")
		r.Commit("deleted", "1\n")
		r.Commit("neither \"\n", "1\n")
		r.Commit(".gitignore", "ignored\n")
		r.Git("checkout", "-q", "-b", "peer")
		r.Commit("theirs", "2\n")
		r.Commit("new", "2\n")
		r.Git("rm", "-q", "deleted")
		if err := os.WriteFile(filepath.Join(r.Dir, "ignored"), []byte("theirs\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		write(r, "dir/new")
		r.Git("add", "-f", "ignored", "dir")
		r.Git("commit", "-q", "-m", "rest")
		theirs := r.Git("rev-parse", "HEAD")
		r.Git("checkout", "-q", "main")
		return r, theirs
	}
	for _, c := range []struct {
		name   string
		change func(*gittest.Repo)
		want   []string
	}{
		{"clean", func(*gittest.Repo) {}, nil},
		{"elsewhere", func(r *gittest.Repo) { write(r, "ours"); write(r, "neither \"\n"); write(r, "unknown") }, nil},
		{"changed", func(r *gittest.Repo) { write(r, "theirs"); write(r, "ours") }, []string{"theirs"}},
		{"staged", func(r *gittest.Repo) { write(r, "theirs"); r.Git("add", "theirs") }, []string{"theirs"}},
		{"removed", func(r *gittest.Repo) { os.Remove(filepath.Join(r.Dir, "theirs")) }, []string{"theirs"}},
		{"deleted there", func(r *gittest.Repo) { write(r, "deleted") }, []string{"deleted"}},
		{"untracked", func(r *gittest.Repo) { write(r, "new") }, []string{"new"}},
		{"ignored", func(r *gittest.Repo) { write(r, "ignored") }, []string{"ignored"}},
		{"a file for a directory", func(r *gittest.Repo) { write(r, "dir") }, []string{"dir"}},
		{"a link for a directory", func(r *gittest.Repo) { os.Symlink(".", filepath.Join(r.Dir, "dir")) }, []string{"dir"}},
		{"a directory for a file", func(r *gittest.Repo) { write(r, "new/a/b") }, []string{"new"}},
		{"an ignored directory", func(r *gittest.Repo) { write(r, "ignored/a/b") }, []string{"ignored"}},
		{"an empty directory", func(r *gittest.Repo) { os.Mkdir(filepath.Join(r.Dir, "new"), 0o777) }, nil},
		{"a nested repository", func(r *gittest.Repo) { r.Git("init", "-q", "new/a") }, []string{"new"}},
		{"merge, a directory for a file", func(r *gittest.Repo) { write(r, "new/a"); r.Git("add", "."); r.Git("commit", "-q", "-m", "a") }, nil},
		{"merge, a file for a directory", func(r *gittest.Repo) { r.Commit("dir", "ours\n") }, nil},
		{"merge, clean", func(r *gittest.Repo) { r.Commit("ours", "2\n") }, nil},
		{"merge, ours alone", func(r *gittest.Repo) { r.Commit("ours", "2\n"); write(r, "ours") }, nil},
		{"merge, theirs", func(r *gittest.Repo) { r.Commit("ours", "2\n"); write(r, "theirs") }, []string{"theirs"}},
		{"a part of theirs", func(r *gittest.Repo) { r.Commit("theirs", "2\n"); write(r, "theirs") }, nil},
		{"merge, staged", func(r *gittest.Repo) { r.Commit("ours", "2\n"); write(r, "neither \"\n"); r.Git("add", ".") }, []string{"neither \"\n"}},
		{"merge, ignored", func(r *gittest.Repo) { r.Commit("ours", "2\n"); write(r, "ignored") }, []string{"ignored"}},
		{"bare", func(r *gittest.Repo) { write(r, "theirs"); r.Git("config", "core.bare", "true") }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, theirs := setup()
			c.change(r)
			ran := filepath.Join(t.TempDir(), "ran")
			r.Git("config", "core.fsmonitor", "touch '"+ran+"' #")
			s := open(t, r)
			got, err := Touched(t.Context(), s, head(t, s).OID, theirs)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("touched %q, %v, want %q", got, err, c.want)
			}
			if _, err := os.Stat(ran); err == nil {
				t.Error("a hook ran")
			}
		})
	}
	// An unborn branch: everything of theirs is new.
	r, theirs := setup()
	r.Git("checkout", "-q", "--orphan", "fresh")
	r.Git("rm", "-q", "-r", "--cached", ".")
	r.Git("clean", "-q", "-d", "-f", "-x")
	write(r, "unknown")
	write(r, "theirs")
	s := open(t, r)
	if got, err := Touched(t.Context(), s, head(t, s).OID, theirs); err != nil || !slices.Equal(got, []string{"theirs"}) {
		t.Errorf("unborn: %q, %v", got, err)
	}
}

// A few small trees that stand for 10^10 paths are not walked to their end, whether as a change or as a first checkout.
func TestTouchedOfTreeBomb(t *testing.T) {
	r := gittest.New(t, "-b", "main")
	r.Commit("file", "content\n")
	object := r.TreeBomb()
	for _, parent := range [][]string{{"-p", "HEAD"}, nil} {
		theirs := r.Git(append([]string{"commit-tree", "-m", "bomb", object}, parent...)...)
		if parent == nil {
			r.Git("symbolic-ref", "HEAD", "refs/heads/unborn")
		}
		s := open(t, r)
		if _, err := Touched(t.Context(), s, head(t, s).OID, theirs); !errors.Is(err, ErrTooManyChanges) {
			t.Errorf("parents %q: %v", parent, err)
		}
	}
}

// What was here before this run is vetted before it is called whole, and a refusal gives the reason; what has been received
// since isn't.
func TestVetting(t *testing.T) {
	r := gittest.New(t, "-b", "main")
	first := r.Git("commit-tree", "-m", "here before", r.GitIn("", "mktree"))
	s := open(t, r)
	before, err := objects.List(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	second := r.Git("commit-tree", "-m", "came in", "-p", first, first+"^{tree}")
	var vetted []string
	refuse := errors.New("hostile")
	v := Vetting{Before: before, Check: func(_ context.Context, names []string) error { vetted = names; return refuse }}
	relations, err := Relate(t.Context(), s, []Pair{{"", second}}, v)
	if err != nil || !strings.Contains(relations[0].Unknown, "git's checks refuse what it brings (hostile)") {
		t.Errorf("%+v, %v", relations, err)
	}
	if want := []string{first, r.Git("rev-parse", first+"^{tree}")}; !slices.Equal(vetted, want) {
		t.Errorf("vetted %v, want %v", vetted, want)
	}
	refuse = nil
	if relations, err = Relate(t.Context(), s, []Pair{{"", second}}, v); err != nil || relations[0].Unknown != "" {
		t.Errorf("%+v, %v", relations, err)
	}
}
