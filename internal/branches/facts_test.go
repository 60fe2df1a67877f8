package branches

import (
	"context"
	"encoding/hex"
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
	"aig/internal/refs"
)

func open(t *testing.T, r *gittest.Repo) *git.Repo {
	t.Helper()
	repo, err := git.Open(t.Context(), git.Git{Dir: r.Dir, Env: r.Env, Settings: new(git.Settings)})
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// head returns HEAD.
func head(t *testing.T, repo *git.Repo) ref.Ref {
	t.Helper()
	own, err := refs.Own(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	return own[0]
}

// said returns the class of a branch with its facts, or why it is unknown.
func said(b Branch) string {
	if b.Class() == Unknown {
		return "unknown: " + b.why()
	}
	return fmt.Sprintf("%s: %d, %d", b.Class(), b.OnlyOurs, b.OnlyTheirs)
}

// relate compares branches that aren't checked out.
func relate(t *testing.T, repo *git.Repo, v Vetting, branches ...Branch) []Branch {
	t.Helper()
	r := &Report{Branches: branches}
	if err := r.Relate(t.Context(), repo, v); err != nil {
		t.Fatal(err)
	}
	return r.Branches
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
		elsewhere, err := elsewhere(t.Context(), s, here.Target)
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

// An incomplete history is found among many whole ones, whichever kind of object is missing in it; the whole ones are
// still compared. A broken reference of ours does no harm.
func TestRelateIncomplete(t *testing.T) {
	t.Parallel()
	for _, missing := range []string{"commit", "tree", "blob", "itself", "none"} {
		r := gittest.New(t, "-b", "main")
		base := r.Commit("base", "base")
		var branches []Branch
		for i := range 9 {
			r.Git("checkout", "-q", "--detach", base)
			r.Commit("file", fmt.Sprint("first ", i))
			branches = append(branches, Branch{Ours: base, Theirs: r.Commit("file", fmt.Sprint("second ", i))})
		}
		const broken = 5
		tip := branches[broken].Theirs
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
		for i, b := range relate(t, open(t, r), Vetting{}, branches...) {
			got := said(b)
			if i == broken && missing != "none" {
				if b.Class() != Unknown {
					t.Errorf("%s missing: %s", missing, got)
				}
			} else if got != "fast-forward: 0, 2" {
				t.Errorf("%s missing, whole branch %d: %s", missing, i, got)
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
	var branches []Branch
	for i := range 200 {
		commit := r.GitIn(fmt.Sprintf("tree %s\nparent %s\nauthor A <a> 0 +0000\ncommitter A <a> 0 +0000\n\n%d\n", tree, absent, i),
			"hash-object", "-w", "-t", "commit", "--literally", "--stdin")
		branches = append(branches, Branch{Theirs: commit})
	}
	incomplete := 0
	repo := open(t, r)
	for _, got := range relate(t, repo, Vetting{}, branches...) {
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
	// Many branches at one commit are looked at once.
	for i := range branches {
		branches[i].Theirs = branches[0].Theirs
	}
	whole := Branch{Theirs: r.Commit("file", "content")}
	for i, got := range relate(t, repo, Vetting{}, append(branches, whole)...) {
		if isWhole := i == len(branches); isWhole != (got.Unknown == "") || !isWhole && !strings.HasPrefix(got.Unknown, "its history is incomplete here") {
			t.Fatalf("%+v", got)
		}
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
		r := &Report{Here: Here{Branch: "HEAD", Commit: commit}, Branches: []Branch{{Name: "HEAD", Theirs: theirs}}}
		err := r.Relate(t.Context(), s, Vetting{})
		if got := r.Branches[0]; err != nil || got.Class() != Unknown || strings.Contains(got.why(), "main") || got.Dirty != nil {
			t.Errorf("%q: %+v, %v", theirs, got, err)
		}
	}
	if got := said(relate(t, s, Vetting{}, Branch{Theirs: commit})[0]); got != "new: 0, 0" {
		t.Errorf("the commit: %s", got)
	}
}

// In a partial clone what is promised is not missing, and what is not promised is; nothing is fetched for either.
func TestRelatePartialClone(t *testing.T) {
	origin := gittest.New(t, "-b", "main")
	origin.Commit("file", "content")
	theirs := origin.Commit("file", "more")
	partial := origin.IncompleteClone("--filter=blob:none")
	partial.Git("update-ref", "-d", "refs/remotes/origin/main")
	partial.Git("update-ref", "-d", "refs/remotes/origin/HEAD")
	partial.Git("update-ref", "refs/heads/main", theirs+"^")
	s := open(t, partial)
	tree := partial.GitIn("100644 blob "+strings.Repeat("12", 20)+"\tabsent\n", "mktree", "--missing")
	got := relate(t, s, Vetting{},
		Branch{Ours: theirs, Theirs: theirs},
		Branch{Ours: partial.Git("rev-parse", "main"), Theirs: theirs}, // whose files are promised
		Branch{Theirs: partial.Git("commit-tree", "-m", "odd", tree)},
		Branch{Theirs: strings.Repeat("12", 20)})
	for i, want := range []string{"up-to-date: 0, 0", "fast-forward: 0, 1", "unknown: its history is incomplete", "unknown: the commit is not here"} {
		if !strings.HasPrefix(said(got[i]), want) {
			t.Errorf("got %s, want %s", said(got[i]), want)
		}
	}
}

// findTips returns the report of commits that came in, while the peer's references have these names.
func findTips(t *testing.T, repo *git.Repo, v Vetting, commits []string, theirs ...string) *Report {
	t.Helper()
	var told []ref.Ref
	for i, name := range theirs {
		told = append(told, ref.Ref{Name: fmt.Sprint(ref.Branches, i), OID: name})
	}
	r := &Report{Branches: Pair(nil, told)}
	err := r.Relate(t.Context(), repo, v)
	if err == nil {
		err = r.FindTips(t.Context(), repo, commits, told, v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// dangling passes off all objects of the repository as received.
func dangling(t *testing.T, r *gittest.Repo, theirs ...string) []string {
	t.Helper()
	report := findTips(t, open(t, r), Vetting{}, r.Heads(strings.Fields(r.Objects())...), theirs...)
	if len(report.Broken) > 0 {
		t.Fatal(report.Broken)
	}
	return report.Tips
}

// FindTips finds the tips alone, newest first; what a branch, a tag, a tag's tag, HEAD, any other reference or one of
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
	expect := func(what string, v Vetting, commits, theirs, whole, broken []string) {
		t.Helper()
		if got := findTips(t, s, v, commits, theirs...); !slices.Equal(got.Tips, whole) || !slices.Equal(got.Broken, broken) {
			t.Errorf("%s: %q and %q, want %q and %q", what, got.Tips, got.Broken, whole, broken)
		}
	}
	expect("below a branch", Vetting{}, r.Heads(lower), nil, nil, nil)
	below := r.Git("commit-tree", "-m", "below", "HEAD^{tree}")
	above := r.Git("commit-tree", "-p", below, "-m", "above", "HEAD^{tree}")
	expect("below the peer's", Vetting{}, r.Heads(below), []string{above}, nil, nil)
	parent := r.Git("commit-tree", "-m", "parent", "HEAD^{tree}")
	odd := r.Git("commit-tree", "-p", parent, "-m", "odd", "HEAD^{tree}")
	whole := r.Git("commit-tree", "-m", "whole", "HEAD^{tree}")
	if err := os.Remove(r.LooseFile(parent)); err != nil {
		t.Fatal(err)
	}
	expect("incomplete", Vetting{}, r.Heads(lower, odd, whole), nil, []string{whole}, []string{odd})
	// Found in several runs, one on top of another: the parent is known, whether the walks succeed or not. A commit that is gone is passed over.
	upper := r.Git("commit-tree", "-p", whole, "-m", "upper", "HEAD^{tree}")
	highest := r.Git("commit-tree", "-p", upper, "-m", "highest", "HEAD^{tree}")
	gone := strings.Repeat("12", 20)
	for _, commits := range [][]string{{whole, highest, gone}, {highest, whole, highest}, {gone, whole, odd, highest}, {odd, highest, whole}} {
		var broken []string
		if slices.Contains(commits, odd) {
			broken = []string{odd}
		}
		expect("one on another", Vetting{}, commits, nil, []string{highest}, broken)
	}
	expect("gone", Vetting{}, []string{gone}, nil, nil, nil)
	// Into an empty store whose references were waiting for it, nothing is walked.
	r.Git("update-ref", "refs/aside/waiting", highest)
	expect("without a walk", Vetting{Whole: true}, []string{highest, whole}, nil, []string{whole}, nil)
	r.Git("update-ref", "-d", "refs/aside/waiting")
	// On top of a branch of the peer's whose history is incomplete too.
	top := r.Git("commit-tree", "-p", odd, "-m", "top", "HEAD^{tree}")
	expect("on top of what is incomplete", Vetting{}, r.Heads(top), []string{odd}, nil, []string{top})
}

// Of a search that is cut short nothing is told: what it has come upon may not have been checked yet.
func TestTipsCutShort(t *testing.T) {
	r := gittest.New(t, "-b", "main")
	r.Commit("file", "content")
	repo := open(t, r)
	before, err := objects.List(t.Context(), repo)
	if err != nil {
		t.Fatal(err)
	}
	tip := r.Git("commit-tree", "-m", "tip", "HEAD^{tree}")
	r.Git("update-ref", "-d", "refs/heads/main") // so that the walk comes upon a tree that was here before
	ctx, cancel := context.WithCancel(t.Context())
	report := new(Report)
	err = report.FindTips(ctx, repo, []string{tip}, nil, Vetting{Before: before, Check: func(context.Context, *oid.List) error {
		cancel()
		return ctx.Err()
	}})
	if err == nil || report.Tips != nil || report.Broken != nil {
		t.Errorf("%+v, %v", report, err)
	}
	// Where nothing came in, nothing has to be asked.
	if err := new(Report).FindTips(ctx, repo, nil, nil, Vetting{Whole: true}); err != nil {
		t.Error(err)
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
		r.Git("update-index", "--add", "--cacheinfo", "160000,"+r.Git("rev-parse", "HEAD")+",sub")
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
		{"a file in a nested repository", func(r *gittest.Repo) { r.Git("init", "-q", "dir"); write(r, "dir/new") }, []string{"dir/new"}},
		{"a repository for a file", func(r *gittest.Repo) { r.Git("init", "-q", "new") }, []string{"new"}},
		{"an ignored repository for a file", func(r *gittest.Repo) { r.Git("init", "-q", "ignored") }, []string{"ignored"}},
		{"a repository for a submodule", func(r *gittest.Repo) { r.Git("init", "-q", "sub") }, nil},
		{"a file for a submodule", func(r *gittest.Repo) { write(r, "sub") }, []string{"sub"}},
		{"merge, kept by neither", func(r *gittest.Repo) {
			r.Git("rm", "-q", "deleted")
			r.Git("commit", "-q", "-m", "rm")
			write(r, "deleted")
		}, nil},
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
			got, err := touched(t.Context(), s, head(t, s).OID, theirs)
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
	if got, err := touched(t.Context(), s, head(t, s).OID, theirs); err != nil || !slices.Equal(got, []string{"theirs"}) {
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
		if _, err := touched(t.Context(), s, head(t, s).OID, theirs); !errors.Is(err, errTooManyChanges) {
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
	var vetted *oid.List
	refuse := errors.New("hostile")
	v := Vetting{Before: before, Check: func(_ context.Context, names *oid.List) error { vetted = names; return refuse }}
	if got := said(relate(t, s, v, Branch{Theirs: second})[0]); got != "unknown: git's checks refuse what it brings (hostile)" {
		t.Error(got)
	}
	var got []string
	for i := range vetted.Len() {
		got = append(got, hex.EncodeToString(vetted.At(i)))
	}
	if want := []string{first, r.Git("rev-parse", first+"^{tree}")}; !slices.Equal(got, want) {
		t.Errorf("vetted %v, want %v", got, want)
	}
	refuse = nil
	if got := said(relate(t, s, v, Branch{Theirs: second})[0]); got != "new: 0, 0" {
		t.Error(got)
	}
}
