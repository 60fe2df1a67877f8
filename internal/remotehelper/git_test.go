package remotehelper

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aig/internal/gittest"
	"aig/internal/oid"
	"aig/internal/ref"
)

// The helper that git starts in these tests is this test binary under the name git-remote-aigtest. Its address is a
// repository's directory. transcript names the file in which it notes what goes over its pipes.
const (
	helperName   = "git-remote-aigtest"
	transcript   = "AIGTEST_TRANSCRIPT" // "> " before a line from git, "< " before a line to it
	makesLoose   = "AIGTEST_LOOSE"      // if set, objects that come are stored loose
	failsToFetch = "AIGTEST_FAIL"       // if set, no objects come
)

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == helperName {
		if err := helper(context.Background(), os.Args[1:]); err != nil {
			fmt.Fprintf(os.Stderr, "fatal: %v\n", err)
			os.Exit(128)
		}
		os.Exit(0)
	}
	os.Exit(gittest.Main(m))
}

func helper(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("%d arguments", len(args))
	}
	note, err := os.OpenFile(os.Getenv(transcript), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer note.Close()
	fmt.Fprintf(note, "start\n")
	in := io.TeeReader(os.Stdin, prefixed{note, "> "})
	out := io.MultiWriter(prefixed{note, "< "}, os.Stdout) // note it first: git may answer at once
	l := &localRemote{dir: args[1], note: note}
	return Serve(ctx, in, out, os.Stderr, l.converse)
}

// prefixed writes the lines of each write with a prefix. git and Serve write whole lines.
type prefixed struct {
	w      io.Writer
	prefix string
}

func (p prefixed) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		if _, err := io.WriteString(p.w, p.prefix+line); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// localRemote serves a repository on the same machine: its conversation is a Remote with neither pipe nor peer.
type localRemote struct {
	dir  string
	note io.Writer
}

// there returns a git command in the peer's repository.
func (l *localRemote) there(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", l.dir}, args...)...)
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GIT_DIR=") && !strings.HasPrefix(kv, "GIT_PREFIX=") && !strings.HasPrefix(kv, "GIT_WORK_TREE=") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Stderr = os.Stderr
	return cmd
}

func (l *localRemote) converse(ctx context.Context, decide Decide) error {
	listing, err := l.list(ctx)
	if err != nil {
		return err
	}
	wanted, progress, err := decide(listing)
	switch {
	case err != nil:
		return err
	case wanted:
		return l.fetch(ctx, progress)
	}
	_, err = fmt.Fprintln(l.note, "left")
	return err
}

func (l *localRemote) list(ctx context.Context) (Listing, error) {
	format, err := l.there(ctx, "rev-parse", "--show-object-format").Output()
	if err != nil {
		return Listing{}, fmt.Errorf("the peer has no repository: %w", err)
	}
	listing := Listing{Format: oid.Format(strings.TrimSpace(string(format)))}
	refs, err := l.there(ctx, "for-each-ref", "--format=%(refname) %(objectname) %(*objectname)").Output()
	if err != nil {
		return Listing{}, err
	}
	oids := make(map[string]string)
	for line := range strings.Lines(string(refs)) {
		var r ref.Ref
		fmt.Sscan(line, &r.Name, &r.OID, &r.Peeled)
		oids[r.Name] = r.OID
		listing.Refs = append(listing.Refs, r)
	}
	if target, err := l.there(ctx, "symbolic-ref", "HEAD").Output(); err == nil {
		t := strings.TrimSpace(string(target))
		listing.Refs = append(listing.Refs, ref.Ref{Name: "HEAD", OID: oids[t], Target: t})
	}
	return listing, nil
}

func (l *localRemote) fetch(ctx context.Context, progress bool) error {
	if os.Getenv(failsToFetch) != "" {
		return fmt.Errorf("the pipe broke")
	}
	pack, err := l.there(ctx, "pack-objects", "--all", "--stdout", "-q").Output()
	if err != nil {
		return err
	}
	take := exec.CommandContext(ctx, "git", "index-pack", "--stdin")
	if os.Getenv(makesLoose) != "" {
		take = exec.CommandContext(ctx, "git", "unpack-objects", "-q")
	}
	take.Stdin, take.Stderr = bytes.NewReader(pack), os.Stderr
	if err := take.Run(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(l.note, "fetched progress=%t\n", progress)
	return err
}

// client runs git with the helper on PATH.
type client struct {
	t    *testing.T
	Env  []string
	note string
}

func newClient(t *testing.T) *client {
	t.Helper()
	bin := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(bin, helperName)); err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, note: filepath.Join(t.TempDir(), "transcript")}
	c.Env = append(gittest.Env(t), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), transcript+"="+c.note)
	return c
}

// try runs git in dir and returns its standard output, its standard error and its exit status.
func (c *client) try(dir string, args ...string) (stdout, stderr string, status int) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), "git", args...)
	var out, err bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, c.Env, &out, &err
	if e := cmd.Run(); e != nil && cmd.ProcessState == nil {
		c.t.Fatal(e)
	}
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}

// git is try, but failing fails the test.
func (c *client) git(dir string, args ...string) (stdout, stderr string) {
	c.t.Helper()
	stdout, stderr, status := c.try(dir, args...)
	if status != 0 {
		c.t.Fatalf("git %s: exit status %d\n%s%s", strings.Join(args, " "), status, stdout, stderr)
	}
	return stdout, stderr
}

// said returns what went over the pipes since the last call.
func (c *client) said() string {
	c.t.Helper()
	b, err := os.ReadFile(c.note)
	if err != nil && !os.IsNotExist(err) {
		c.t.Fatal(err)
	}
	os.Remove(c.note)
	return string(b)
}

func (c *client) equal(what, got, want string) {
	c.t.Helper()
	if got != want {
		c.t.Errorf("%s is\n%s\nand should be\n%s", what, got, want)
	}
}

func (c *client) contains(what, got, part string) {
	c.t.Helper()
	if !strings.Contains(got, part) {
		c.t.Errorf("%s is\n%s\nand should contain\n%s", what, got, part)
	}
}

// peer is a repository with two commits on main, a branch and an annotated tag on the first.
func peer(t *testing.T, args ...string) *gittest.Repo {
	r := gittest.New(t, append([]string{"-b", "main"}, args...)...)
	r.Commit("a", "one")
	r.Git("tag", "-a", "-m", "first", "v1")
	r.Git("tag", "light")
	r.Git("branch", "side")
	r.Commit("b", "two")
	return r
}

// `git ls-remote` shows the same as for a repository on the same disk, in a repository of either format and outside of one.
func TestLsRemote(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		src := peer(t, "--object-format="+format)
		c := newClient(t)
		want, _ := c.git(src.Dir, "ls-remote", "--symref", src.Dir)
		for where, dir := range map[string]string{
			"outside": t.TempDir(), "in sha1": gittest.New(t).Dir, "in sha256": gittest.New(t, "--object-format=sha256").Dir,
		} {
			got, stderr := c.git(dir, "ls-remote", "--symref", "aigtest::"+src.Dir)
			c.equal(format+" "+where, got, want)
			c.equal("standard error", stderr, "")
			said := c.said()
			c.contains("the conversation", said, "> list\n")
			if strings.Contains(said, "fetched") || !strings.HasSuffix(said, "> \nleft\n") || strings.Count(said, "start") != 1 {
				t.Errorf("ls-remote said\n%s", said)
			}
		}
	}
}

// A plain fetch puts HEAD into FETCH_HEAD and writes no reference, also with a relative GIT_DIR, which git passes on.
func TestFetchIntoFetchHead(t *testing.T) {
	for _, gitDir := range []string{"", ".git"} {
		src, dst := peer(t), gittest.New(t)
		c := newClient(t)
		if gitDir != "" {
			c.Env = append(c.Env, "GIT_DIR="+gitDir)
		}
		c.git(dst.Dir, "fetch", "aigtest::"+src.Dir)
		c.equal("FETCH_HEAD", dst.Git("rev-parse", "FETCH_HEAD"), src.Git("rev-parse", "main"))
		c.equal("references", dst.Git("for-each-ref"), "")
		c.contains("the conversation", c.said(), "fetched progress=false\n< \n")

		// What is there already is not fetched again, and the conversation still ends in peace.
		c.git(dst.Dir, "fetch", "aigtest::"+src.Dir)
		if said := c.said(); strings.Contains(said, "> fetch") || !strings.HasSuffix(said, "left\n") {
			t.Errorf("a second fetch said\n%s", said)
		}
		dst.MustBeSound()
	}
}

// A clone in either object format: branches, HEAD, tags, and no warnings.
func TestClone(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		src := peer(t, "--object-format="+format)
		src.Git("checkout", "-q", "side") // HEAD isn't the branch that git would guess
		c := newClient(t)
		dir := filepath.Join(t.TempDir(), "clone")
		_, stderr := c.git(t.TempDir(), "clone", "--progress", "aigtest::"+src.Dir, dir)
		got, _ := c.git(dir, "for-each-ref", "--format=%(objectname) %(refname) %(symref)")
		want := ""
		for _, line := range []string{"main refs/remotes/origin/main ", "side refs/remotes/origin/side ", "light refs/tags/light ", "v1 refs/tags/v1 "} {
			rev, rest, _ := strings.Cut(line, " ")
			want += src.Git("rev-parse", rev) + " " + rest + "\n"
		}
		side := src.Git("rev-parse", "side")
		want = side + " refs/heads/side \n" + side + " refs/remotes/origin/HEAD refs/remotes/origin/side\n" + want
		c.equal("the references", sorted(got), sorted(want))
		c.contains("the conversation", c.said(), "fetched progress=true\n< \n")
		if strings.Contains(stderr, "warning") {
			t.Error(stderr)
		}
		c.git(dir, "fsck", "--strict")
	}
}

func sorted(s string) string {
	lines := strings.Split(s, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// A repository without commits can be cloned: its HEAD isn't listed, for git would take a HEAD without a value for a
// detached one.
func TestCloneUnborn(t *testing.T) {
	src := gittest.New(t, "-b", "trunk")
	c := newClient(t)
	dir := filepath.Join(t.TempDir(), "clone")
	_, stderr := c.git(t.TempDir(), "-c", "init.defaultBranch=mine", "clone", "aigtest::"+src.Dir, dir)
	c.contains("standard error", stderr, "You appear to have cloned an empty repository")
	head, _ := c.git(dir, "symbolic-ref", "HEAD")
	c.equal("HEAD", head, "refs/heads/mine\n") // a helper can't tell git the name of a branch that isn't there
}

// An unborn HEAD beside a branch: git clones the branch, and says that there is nothing to check out.
func TestCloneUnbornBesideBranch(t *testing.T) {
	src := peer(t)
	src.Git("symbolic-ref", "HEAD", "refs/heads/none")
	c := newClient(t)
	dir := filepath.Join(t.TempDir(), "clone")
	_, stderr := c.git(t.TempDir(), "-c", "init.defaultBranch=mine", "clone", "aigtest::"+src.Dir, dir)
	c.contains("standard error", stderr, "nonexistent ref, unable to checkout")
	main, _ := c.git(dir, "rev-parse", "origin/main")
	c.equal("origin/main", main, src.Git("rev-parse", "main")+"\n")
}

// A remote with a refspec follows the peer, annotated tags included, and each fetch starts the helper once.
func TestFetchFollowsTags(t *testing.T) {
	for _, loose := range []bool{false, true} {
		src, dst := peer(t), gittest.New(t)
		c := newClient(t)
		if loose {
			c.Env = append(c.Env, makesLoose+"=1")
		}
		dst.Git("remote", "add", "bob", "aigtest::"+src.Dir)
		c.git(dst.Dir, "fetch", "bob")
		if n := strings.Count(c.said(), "start"); n != 1 {
			t.Errorf("the helper was started %d times", n)
		}
		src.Commit("c", "three")
		src.Git("tag", "-a", "-m", "second", "v2")
		src.Commit("d", "four") // so v2 is no tip, and git must look for it
		c.git(dst.Dir, "fetch", "bob")
		said := c.said()
		if n := strings.Count(said, "start"); n != 1 {
			t.Errorf("the helper was started %d times", n)
		}
		for _, tag := range []string{"v1", "v2"} {
			if got, _, status := c.try(dst.Dir, "rev-parse", "refs/tags/"+tag); status != 0 || got != src.Git("rev-parse", tag)+"\n" {
				t.Errorf("loose %t: %s is %s\n%s", loose, tag, got, said)
			}
		}
		c.equal("bob/main", dst.Git("rev-parse", "bob/main"), src.Git("rev-parse", "main"))
	}
}

// An object that no reference points to can be fetched by its name.
func TestFetchObject(t *testing.T) {
	src, dst := peer(t), gittest.New(t)
	old := src.Git("rev-parse", "main~1")
	c := newClient(t)
	c.git(dst.Dir, "fetch", "aigtest::"+src.Dir, old+":refs/heads/old")
	c.equal("old", dst.Git("rev-parse", "old"), old)
	c.contains("the conversation", c.said(), "> fetch "+old+" "+old+"\n")
}

// `git pull --ff-only` moves a branch that is behind and refuses one that has diverged.
func TestPull(t *testing.T) {
	src := peer(t)
	c := newClient(t)
	dir := filepath.Join(t.TempDir(), "clone")
	c.git(t.TempDir(), "clone", "aigtest::"+src.Dir, dir)
	src.Commit("c", "three")
	c.git(dir, "pull", "--ff-only")
	main, _ := c.git(dir, "rev-parse", "main")
	c.equal("main", main, src.Git("rev-parse", "main")+"\n")

	c.git(dir, "commit", "--allow-empty", "-m", "ours")
	ours, _ := c.git(dir, "rev-parse", "main")
	src.Commit("d", "four")
	_, stderr, status := c.try(dir, "pull", "--ff-only")
	if status != 128 {
		t.Errorf("exit status %d", status)
	}
	c.contains("standard error", stderr, "Not possible to fast-forward")
	main, _ = c.git(dir, "rev-parse", "main")
	c.equal("main", main, ours)
}

// A push of any kind fails with one line, which says what to do instead; no connection is opened for it.
func TestPush(t *testing.T) {
	src := peer(t)
	c := newClient(t)
	dir := filepath.Join(t.TempDir(), "clone")
	c.git(t.TempDir(), "clone", "aigtest::"+src.Dir, dir)
	c.said()
	for _, args := range []string{
		"", "origin main", "--force origin main", "--atomic origin main HEAD:more", "--dry-run origin main", "--porcelain origin main", "--force-with-lease=main: origin main",
		"--push-option=x origin main", "--signed origin main", "--follow-tags origin main", "--delete origin side", "origin :side", "origin :refs/heads/side",
		"--mirror origin", "--all origin", "--tags origin", "--prune origin refs/heads/none*",
	} {
		stdout, stderr, status := c.try(dir, append([]string{"push"}, strings.Fields(args)...)...)
		if status != 128 || stdout != "" || stderr != "fatal: aig cannot push: let the other side run git fetch\n" {
			t.Errorf("push %s: exit status %d\n%s%s", args, status, stdout, stderr)
		}
		if said := c.said(); !strings.HasSuffix(said, "> list for-push\n") {
			t.Errorf("push %s: git and the helper said\n%s", args, said)
		}
	}
}

// `--depth` and `--filter` bring everything and say so once, not again for the tags; a plain fetch says nothing of the kind.
func TestWithoutEffect(t *testing.T) {
	for option, want := range map[string]string{"--depth=1": noEffect, "--filter=blob:none": noEffect, "--refetch": noEffect, "-4": noEffect, "--no-auto-gc": ""} {
		src, dst := peer(t), gittest.New(t)
		c := newClient(t)
		dst.Git("remote", "add", "bob", "aigtest::"+src.Dir)
		_, stderr := c.git(dst.Dir, "fetch", "-q", option, "bob", "main")
		c.equal(option, stderr, want)
		c.equal("the history", dst.Git("rev-list", "--count", "FETCH_HEAD"), "2")
	}
}

// A fetch that fails shows the helper's one line, and git's exit status.
func TestFetchFails(t *testing.T) {
	src, dst := peer(t), gittest.New(t)
	c := newClient(t)
	c.Env = append(c.Env, failsToFetch+"=1")
	_, stderr, status := c.try(dst.Dir, "fetch", "aigtest::"+src.Dir)
	c.equal("standard error", stderr, "fatal: the pipe broke\n")
	if status != 128 {
		t.Errorf("exit status %d", status)
	}
	_, stderr, status = c.try(dst.Dir, "fetch", "aigtest::"+t.TempDir())
	c.contains("standard error", stderr, "\nfatal: the peer has no repository: exit status 128\n")
	if status != 128 {
		t.Errorf("exit status %d", status)
	}
}
