package branches

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aig/internal/gittest"
	"aig/internal/refs"
)

// pair is two repositories with a common history of one commit on main.
type pair struct {
	t            *testing.T
	ours, theirs *gittest.Repo
	base         string
}

func newPair(t *testing.T, args ...string) *pair {
	p := &pair{t: t, ours: gittest.New(t, append([]string{"-b", "main"}, args...)...), theirs: gittest.New(t, append([]string{"-b", "main"}, args...)...)}
	p.base = p.ours.Commit("base", "base")
	p.theirs.Commit("base", "base") // dates and authors are fixed: the same commit
	return p
}

// copyObjects does what a sync does.
func (p *pair) copyObjects() {
	p.t.Helper()
	for _, way := range [][2]*gittest.Repo{{p.theirs, p.ours}, {p.ours, p.theirs}} {
		if names := way[0].Objects(); names != "" {
			pack := way[0].GitIn(names+"\n", "pack-objects", "--stdout", "-q")
			way[1].GitIn(pack+"\n", "unpack-objects", "-q")
		}
	}
}

// report returns the report that we are shown.
func (p *pair) report() *Report {
	p.t.Helper()
	ctx := p.t.Context()
	must := func(err error) {
		p.t.Helper()
		if err != nil {
			p.t.Fatal(err)
		}
	}
	repo := open(p.t, p.ours)
	received, had := strings.Fields(p.theirs.Objects()), p.ours.Objects()
	p.copyObjects()
	told, err := refs.List(ctx, open(p.t, p.theirs))
	must(err)
	own, err := refs.Own(ctx, repo)
	must(err)
	r := &Report{Here: Here{Branch: own[0].Target, Commit: own[0].OID}, Branches: Pair(own, told)}
	must(r.Relate(ctx, repo, Vetting{}))
	came := slices.DeleteFunc(received, func(name string) bool { return strings.Contains(had, name) })
	must(r.FindTips(ctx, repo, p.ours.Heads(came...), told, Vetting{}))
	return r
}

// text returns the report as a person sees it, with the names of objects replaced by what they are.
func (p *pair) text(names ...string) string {
	p.t.Helper()
	var b strings.Builder
	if err := p.report().WriteText(&b, math.MaxInt); err != nil {
		p.t.Fatal(err)
	}
	var replace []string
	for i := 0; i < len(names); i += 2 {
		replace = append(replace, names[i+1], "<"+names[i]+">", names[i+1][:8]+"…", names[i]+"…", names[i+1][:12], names[i])
	}
	return strings.NewReplacer(append(replace, onlyOneMerges, "")...).Replace(b.String())
}

const onlyOneMerges = "    (only one of you should merge; the other takes the merge after the next sync)\n"

// shell runs the first suggested command of the report in our repository.
func (p *pair) shell() error {
	p.t.Helper()
	r := p.report()
	command := r.Here.Command(r.Branches[0])
	if command == "" {
		p.t.Fatal("no command is suggested")
	}
	c := exec.Command("sh", "-c", command)
	c.Dir, c.Env = p.ours.Dir, p.ours.Env
	out, err := c.CombinedOutput()
	p.t.Logf("%s\n%s", command, out)
	return err
}

func (p *pair) expect(got, want string) {
	p.t.Helper()
	if want = strings.ReplaceAll(strings.TrimPrefix(want, "\n"), "\t", ""); got != want {
		p.t.Errorf("got\n%swant\n%s", got, want)
	}
}

func (p *pair) is(r *gittest.Repo, ref, commit string) {
	p.t.Helper()
	if got := r.Git("rev-parse", ref); got != commit {
		p.t.Errorf("%s is at %s, want %s", ref, got, commit)
	}
}

// The same commit on both sides is up to date, in either format, and there is nothing to do.
func TestUpToDate(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"sha1", "sha256"} {
		p := newPair(t, "--object-format="+format)
		p.expect(p.text("base", p.base), "main  base…  up to date\n")
	}
}

// A fast-forward is counted, and the command does it: on the branch that is checked out, on another one, in another
// working tree, and in a bare repository. Afterwards, it is up to date.
func TestFastForward(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*pair)
		want   string
	}{
		"checked out": {func(*pair) {}, "git merge --ff-only <tip>"},
		"other":       {func(p *pair) { p.ours.Git("checkout", "-q", "-b", "side") }, "git fetch . <tip>:refs/heads/main"},
		"detached":    {func(p *pair) { p.ours.Git("checkout", "-q", "--detach") }, "git fetch . <tip>:refs/heads/main"},
		"bare":        {func(p *pair) { p.ours.Git("config", "core.bare", "true") }, "git fetch . <tip>:refs/heads/main"},
		"pruning": {func(p *pair) {
			p.ours.Git("checkout", "-q", "-b", "side")
			p.ours.Git("config", "fetch.prune", "true")
			p.ours.Git("config", "protocol.version", "0")
		}, "git fetch . <tip>:refs/heads/main"},
		"elsewhere": {func(p *pair) {
			p.ours.Git("checkout", "-q", "-b", "side")
			p.ours.Git("worktree", "add", "-q", "../it's elsewhere", "main")
		}, `git -C '<dir>' merge --ff-only <tip>`},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			p.ours.Dir = filepath.Join(p.ours.Dir, "repo") // so that there is a place beside it
			if err := os.Mkdir(p.ours.Dir, 0o777); err != nil {
				t.Fatal(err)
			}
			p.ours.Git("init", "-q", "-b", "main")
			p.ours.Commit("base", "base")
			c.change(p)
			p.theirs.Commit("a", "1")
			p.theirs.Commit("a", "2")
			tip := p.theirs.Commit("a", "3")
			quoted := strings.ReplaceAll(filepath.Join(filepath.Dir(p.ours.Dir), "it's elsewhere"), "'", `'\''`)
			want := strings.ReplaceAll(c.want, "<dir>", quoted)
			p.expect(p.text("tip", tip), "main  tip…  fast-forward: 3 commits ahead of yours\n    "+want+"\n")
			if err := p.shell(); err != nil {
				t.Error(err)
			}
			p.is(p.ours, "main", tip)
			p.expect(p.text("tip", tip), "main  tip…  up to date\n")
		})
	}
}

// A suggested fetch loses nothing if the branch has moved meanwhile: git refuses.
func TestFastForwardTooLate(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.theirs.Commit("a", "1")
	p.ours.Git("checkout", "-q", "-b", "side")
	r := p.report()
	command := r.Here.Command(r.Branches[0])
	p.ours.Git("checkout", "-q", "main")
	late := p.ours.Commit("b", "1")
	p.ours.Git("checkout", "-q", "side")
	c := exec.Command("sh", "-c", command)
	c.Dir, c.Env = p.ours.Dir, p.ours.Env
	if err := c.Run(); err == nil {
		t.Errorf("%s went through", command)
	}
	p.is(p.ours, "main", late)
}

// Ours has more: there is nothing to take.
func TestBehind(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.ours.Commit("a", "1")
	p.ours.Commit("a", "2")
	p.expect(p.text("base", p.base), "main  base…  behind yours by 2\n")
}

// Diverged branches are counted, and the command merges them, whether ours is checked out or not; in a bare repository and
// with a detached HEAD it only keeps theirs beside ours.
func TestRequiresMerge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*pair)
		want   string
		merges bool
	}{
		"checked out": {func(*pair) {}, "git merge <tip>", true},
		"other":       {func(p *pair) { p.ours.Git("checkout", "-q", "-b", "side", p.base) }, "git switch main && git merge <tip>", true},
		"detached":    {func(p *pair) { p.ours.Git("checkout", "-q", "--detach") }, "git branch from-peer-tip <tip>", false},
		"bare":        {func(p *pair) { p.ours.Git("config", "core.bare", "true") }, "git branch from-peer-tip <tip>", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			p.ours.Commit("a", "1")
			ours := p.ours.Commit("a", "2")
			p.theirs.Commit("b", "1")
			p.theirs.Commit("b", "2")
			tip := p.theirs.Commit("b", "3")
			c.change(p)
			p.expect(p.text("tip", tip), "main  tip…  requires merge: 2 yours, 3 theirs\n    "+c.want+"\n")
			if err := p.shell(); err != nil {
				t.Error(err)
			}
			if c.merges {
				p.is(p.ours, "main^", ours)
				p.is(p.ours, "main^2", tip)
				p.expect(p.text("tip", tip), "main  tip…  behind yours by 3\n")
			} else {
				p.is(p.ours, "main", ours)
				p.is(p.ours, "from-peer-"+tip[:12], tip)
			}
		})
	}
}

// An octopus merge of theirs that has ours among its parents is a fast-forward, whose commits are all counted; one that
// doesn't have it requires a merge. A criss-cross, with two merge bases, requires one too.
func TestOctopusAndCrissCross(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	octopus := func(r *gittest.Repo, parents ...string) string {
		args := []string{"commit-tree", "-m", "octopus", "HEAD^{tree}"}
		for _, parent := range parents {
			args = append(args, "-p", parent)
		}
		c := r.Git(args...)
		r.Git("reset", "-q", "--hard", c)
		return c
	}
	side := func(n string, parent string) string {
		return p.theirs.Git("commit-tree", "-m", n, "-p", parent, "HEAD^{tree}")
	}
	tip := octopus(p.theirs, p.base, side("1", p.base), side("2", p.base), side("3", side("4", p.base)))
	p.expect(p.text("tip", tip), "main  tip…  fast-forward: 5 commits ahead of yours\n    git merge --ff-only <tip>\n")
	p.ours.Commit("a", "1")
	p.expect(p.text("tip", tip), "main  tip…  requires merge: 1 yours, 5 theirs\n    git merge <tip>\n")

	p = newPair(t)
	one := p.ours.Commit("a", "1")
	two := p.theirs.Commit("b", "1")
	p.copyObjects()
	octopus(p.ours, one, two)
	tip = octopus(p.theirs, two, one)
	p.expect(p.text("tip", tip), "main  tip…  requires merge: 1 yours, 1 theirs\n    git merge <tip>\n")
	if bases := strings.Fields(p.ours.Git("merge-base", "--all", "main", tip)); len(bases) != 2 {
		t.Errorf("no criss-cross: %v", bases)
	}
}

// Histories with nothing in common are called unrelated, and theirs can be kept beside ours.
func TestUnrelated(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.theirs.Git("checkout", "-q", "--orphan", "other")
	tip := p.theirs.Commit("b", "1")
	p.theirs.Git("branch", "-M", "other", "main")
	p.expect(p.text("tip", tip), "main  tip…  unrelated history\n    git branch from-peer-tip <tip>\n")
	if err := p.shell(); err != nil {
		t.Error(err)
	}
	p.is(p.ours, "main", p.base)
	p.is(p.ours, "from-peer-"+tip[:12], tip)
}

// What only the peer has is new, names are aligned, and what only we have is not shown.
func TestNew(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.ours.Git("branch", "mine")
	p.theirs.Git("checkout", "-q", "-b", "feature/long")
	tip := p.theirs.Commit("a", "1")
	p.expect(p.text("tip", tip, "base", p.base), `
feature/long  tip…  new
    git branch feature/long <tip>
main          base…  up to date
`)
	if err := p.shell(); err != nil {
		t.Error(err)
	}
	p.is(p.ours, "feature/long", tip)
}

// On an unborn branch the peer's is taken by a merge, which fills the working tree and overwrites nothing there.
func TestUnborn(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.ours = gittest.New(t, "-b", "main")
	p.expect(p.text("base", p.base), "main  base…  new\n    git merge --ff-only <base>\n")
	file := filepath.Join(p.ours.Dir, "base")
	if err := os.WriteFile(file, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	p.expect(p.text("base", p.base),
		"main  base…  new\n    git merge --ff-only <base>\n    warning: it would touch uncommitted changes: base\n")
	if err := p.shell(); err == nil {
		t.Error("a file was overwritten")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := p.shell(); err != nil {
		t.Error(err)
	}
	p.is(p.ours, "main", p.base)
	if status := p.ours.Git("status", "--porcelain"); status != "" {
		t.Errorf("left behind: %s", status)
	}
	// The peer's unborn HEAD is nothing to take.
	p = newPair(t)
	p.theirs = gittest.New(t, "-b", "main")
	p.expect(p.text(), "")
}

// A peer's detached HEAD is compared with HEAD here, whatever that is, and shown only if no branch of the peer's is at the
// same commit.
func TestDetachedPeer(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.theirs.Git("checkout", "-q", "--detach")
	p.expect(p.text("base", p.base), "main  base…  up to date\n")
	tip := p.theirs.Commit("a", "1")
	p.expect(p.text("tip", tip, "base", p.base), `
HEAD (detached)  tip…  fast-forward: 1 commit ahead of yours
    git merge --ff-only <tip>
main             base…  up to date
`)
	p.ours.Git("checkout", "-q", "--detach")
	if err := p.shell(); err != nil {
		t.Error(err)
	}
	p.is(p.ours, "HEAD", tip)
	p.is(p.ours, "main", p.base)
}

// A branch of a shallow or otherwise incomplete peer is unknown, with the reason and no command; so is one whose base a
// shallow repository of ours has cut off. A shallow peer whose history we have is compared like any other.
func TestShallow(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	deep := gittest.New(t, "-b", "main")
	deep.Commit("x", "1")
	deep.Commit("x", "2")
	middle := deep.Commit("x", "3")
	tip := deep.Commit("x", "4")
	shallow := func() *gittest.Repo {
		r := *deep
		r.Dir = t.TempDir()
		deep.Git("clone", "-q", "--depth=2", "file://"+deep.Dir, r.Dir)
		return &r
	}
	p.theirs = shallow()
	const want = "main  tip…  unknown: its history is incomplete here, as from a shallow or partial repository ("
	// What follows is git's reason, which differs from version to version.
	if got := p.text("tip", tip); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q, want %q", got, want)
	}

	p.theirs = shallow()
	p.ours = gittest.New(t, "-b", "main")
	p.ours.Git("fetch", "-q", deep.Dir, "main")
	p.ours.Git("reset", "-q", "--hard", middle)
	p.expect(p.text("tip", tip), "main  tip…  fast-forward: 1 commit ahead of yours\n    git merge --ff-only <tip>\n")

	p.ours = shallow()
	p.theirs = deep
	deep.Git("checkout", "-q", "-b", "old", "main~3")
	old := deep.Commit("y", "1")
	deep.Git("branch", "-M", "old", "main")
	p.expect(p.text("tip", old),
		"main  tip…  unknown: this repository is shallow, and the histories don't meet in what it has\n")
}

// Uncommitted changes that taking the branch would touch are a warning; others are not, nor are any of them on a branch
// that is not checked out.
func TestDirty(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.ours.Commit("safe", "1")
	p.theirs.Commit("safe", "1")
	tip := p.theirs.Commit("base", "changed")
	edit := func(file string) {
		if err := os.WriteFile(filepath.Join(p.ours.Dir, file), []byte("edited"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	const taken = "main  tip…  fast-forward: 1 commit ahead of yours\n    git merge --ff-only <tip>\n"
	edit("safe")
	p.expect(p.text("tip", tip), taken)
	edit("base")
	p.expect(p.text("tip", tip), taken+"    warning: it would touch uncommitted changes: base\n")
	if err := p.shell(); err == nil {
		t.Error("edits were overwritten")
	}
	p.ours.Git("checkout", "-q", "-b", "side")
	p.expect(p.text("tip", tip), "main  tip…  fast-forward: 1 commit ahead of yours\n    git fetch . <tip>:refs/heads/main\n")
	if err := p.shell(); err != nil {
		t.Error(err)
	}
	p.is(p.ours, "main", tip)
}

// Lost work of the peer's is found: what it reset away, once, and not what its branches or ours reach.
func TestTips(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.theirs.Commit("a", "1")
	lost := p.theirs.Commit("a", "2")
	p.theirs.Git("reset", "-q", "--hard", p.base)
	p.expect(p.text("lost", lost, "base", p.base), `
main  base…  up to date
commits that came in and that nothing points to, newest first:
    git branch found-lost <lost>
`)
	// It came in before: the next sync doesn't show it again.
	p.expect(p.text("base", p.base), "main  base…  up to date\n")
}

// A hidden branch of ours is still compared; what the peer hides is not shown.
func TestHidden(t *testing.T) {
	p := newPair(t)
	p.ours.Git("branch", "private")
	p.ours.Git("config", "transfer.hideRefs", "refs/heads/private")
	p.theirs.Git("branch", "private")
	p.theirs.Git("branch", "secret")
	p.theirs.Git("config", "transfer.hideRefs", "refs/heads/secret")
	p.expect(p.text("base", p.base), "main     base…  up to date\nprivate  base…  up to date\n")
}

// Branch names that git accepts and a shell would run are harmless in the suggested commands, which do what they say.
func TestHostileNamesThatGitAccepts(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"$(touch${IFS}pwned)", "`touch${IFS}pwned`", ";touch${IFS}pwned;", "it's;touch${IFS}pwned;'", "a&b|c", "a\"b", "é/日本", "#x", "!x",
		"{a,b}", "=x", "a<b>c", "'", "''", "$HOME",
	} {
		for _, class := range []string{"new", "fast-forward", "merge"} {
			p := newPair(t)
			p.theirs.Git("branch", "-m", "main", name)
			if class != "new" {
				p.ours.Git("branch", name)
				p.ours.Git("checkout", "-q", "--detach")
			}
			tip := p.theirs.Commit("theirs", "1")
			if class == "merge" {
				p.ours.Git("checkout", "-q", name)
				p.ours.Commit("ours", "1")
				p.ours.Git("checkout", "-q", "main")
			}
			if err := p.shell(); err != nil {
				t.Errorf("%q: %v", name, err)
			}
			if class == "merge" {
				p.is(p.ours, "refs/heads/"+name+"^2", tip)
			} else {
				p.is(p.ours, "refs/heads/"+name, tip)
			}
			if left := p.ours.Git("status", "--porcelain", "--untracked-files"); left != "" {
				t.Errorf("%q: %s", name, left)
			}
		}
	}
}
