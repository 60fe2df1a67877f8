package app

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/wire"
)

// asPeer is the variable that makes the test binary the peer behind a transport. It holds a Config in JSON.
const asPeer = "AIG_TEST_PEER"

func TestMain(m *testing.M) {
	words, ok := os.LookupEnv(asPeer)
	if !ok {
		os.Exit(gittest.Main(m))
	}
	var c Config
	err := json.Unmarshal([]byte(words), &c)
	c.Transport, c.Stdin, c.Stdout, c.Stderr = "-", os.Stdin, os.Stdout, os.Stderr
	c.Git.Settings = new(git.Settings)
	if err == nil {
		err = Sync(context.Background(), c)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "fatal: %v\n", err)
		os.Exit(128)
	}
	os.Exit(0)
}

// person is somebody with a key and a repository.
type person struct {
	*gittest.Repo
	t           *testing.T
	key         string // the private key's file
	fingerprint string
}

func newPerson(t *testing.T) *person {
	t.Helper()
	p := &person{Repo: gittest.New(t, "-b", "main"), t: t, key: filepath.Join(t.TempDir(), "key")}
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", p.key).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	c := p.config()
	fp, err := Fingerprint(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	p.fingerprint = fp
	return p
}

// config returns a run by that person, who trusts the others.
func (p *person) config(trusted ...*person) Config {
	c := Config{Git: git.Git{Dir: p.Dir, Env: p.Env}, Timeout: DefaultTimeout, Direction: wire.Both}
	c.Identity = p.key
	for _, other := range trusted {
		c.Trust = append(c.Trust, other.fingerprint)
	}
	return c
}

// leadsTo returns a shell expression that leads to such a run, in a process of its own.
func leadsTo(t *testing.T, c Config) string {
	t.Helper()
	words, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "peer")
	quoted := strings.ReplaceAll(string(words), "'", `'\''`)
	if err := os.WriteFile(script, fmt.Appendf(nil, "%s='%s' GOCOVERDIR=%s exec '%s'\n", asPeer, quoted, t.TempDir(), self), 0o600); err != nil {
		t.Fatal(err)
	}
	return "sh '" + script + "'"
}

// outcome is what a run said and how it ended.
type outcome struct {
	stdout, stderr string
	err            error
}

// start starts a run, with files for its output unless c has them. The function that it returns waits for the end.
func start(t *testing.T, c Config, stdin *os.File, run func(context.Context, Config) error) (wait func() outcome) {
	t.Helper()
	c.Stdin = stdin
	c.Git.Settings = new(git.Settings)
	var files [2]*os.File
	for i, f := range []**os.File{&c.Stdout, &c.Stderr} {
		if *f == nil {
			var err error
			if files[i], err = os.CreateTemp(t.TempDir(), ""); err != nil {
				t.Fatal(err)
			}
			*f = files[i]
		}
	}
	done := make(chan error, 1)
	go func() { done <- run(t.Context(), c) }()
	return func() (o outcome) {
		t.Helper()
		select {
		case o.err = <-done:
		case <-time.After(2 * time.Minute):
			t.Fatal("the run hangs")
		}
		for i, to := range []*string{&o.stdout, &o.stderr} {
			if files[i] != nil {
				content, err := os.ReadFile(files[i].Name())
				if err != nil {
					t.Fatal(err)
				}
				*to = string(content)
				files[i].Close()
			}
		}
		return o
	}
}

func syncNow(t *testing.T, c Config) outcome {
	t.Helper()
	return start(t, c, nil, Sync)()
}

// A branch whose commit is damaged stops nothing: the commit is named and left out, and everything else arrives.
func TestDamagedTip(t *testing.T) {
	alice, bob := newPerson(t), newPerson(t)
	sound := alice.Commit("a", "of Alice")
	damaged := alice.Commit("b", "of Alice too")
	file := alice.LooseFile(damaged)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(file)
	if err := os.WriteFile(file, content[:len(content)/2], 0o444); err != nil {
		t.Fatal(err)
	}
	all := alice.Git("rev-parse", sound, sound+"^{tree}", sound+":a")
	c := alice.config(bob)
	c.Transport = leadsTo(t, bob.config(alice))
	o := syncNow(t, c)
	if o.err == nil || !strings.Contains(o.err.Error(), "everything else is stored") || !strings.Contains(o.stderr, damaged+" cannot be given") {
		t.Errorf("%v\n%s", o.err, o.stderr)
	}
	if has := bob.Objects(); strings.Contains(has, damaged) {
		t.Error("a damaged object was given")
	} else {
		for name := range strings.FieldsSeq(all) {
			if !strings.Contains(has, name) {
				t.Errorf("Bob has no %s", name)
			}
		}
	}
}

// Two sides whose pipe is their own standard input and output, in one process: both reports are true, and the stores are equal.
func TestSyncOverStandardInputAndOutput(t *testing.T) {
	alice, bob := newPerson(t), newPerson(t)
	alice.Commit("a", "of Alice")
	bob.Commit("b", "of Bob")
	aliceIn, bobOut := pipe(t)
	bobIn, aliceOut := pipe(t)
	a, b := alice.config(bob), bob.config(alice)
	a.Transport, a.Stdout, a.Report = "-", aliceOut, ReportFull
	b.Transport, b.Stdout, b.Report = "-", bobOut, ReportSummary
	waitA, waitB := start(t, a, aliceIn, Sync), start(t, b, bobIn, Sync)
	ofA, ofB := waitA(), waitB()
	if ofA.err != nil || ofB.err != nil {
		t.Fatalf("%v, %v", ofA.err, ofB.err)
	}
	if alice.Objects() != bob.Objects() {
		t.Error("the stores differ")
	}
	if !strings.HasPrefix(ofB.stderr, "= 0\n> 3\n< 3\n.\n") {
		t.Errorf("Bob's report:\n%s", ofB.stderr)
	}
	if strings.Contains(ofA.stderr+ofB.stderr, "git ") {
		t.Errorf("advice that the other side reads:\n%s%s", ofA.stderr, ofB.stderr)
	}
	sent := ""
	for _, name := range strings.Fields(alice.Git("rev-list", "--objects", "--no-object-names", "main")) {
		sent += "> obj:sha1:" + name + "\n"
	}
	if got := strings.Join(lines(ofA.stderr, "> "), ""); got != sorted(sent) {
		t.Errorf("Alice's report says that\n%swas sent, and it was\n%s", got, sorted(sent))
	}
}

// Each form of the report, of the same news.
func TestReport(t *testing.T) {
	for _, tt := range []struct {
		name           string
		change         func(*Config)
		stdout, stderr string // "*" stands for anything
	}{
		{"lines", func(*Config) {}, "= 0\n< obj:sha1:*\n.\n", "main  *new; \"add b\", A U Thor, * ago\n    git merge --ff-only *\n"},
		{"summary", func(c *Config) { c.Report = ReportSummary }, "= 0\n> 0\n< 3\n.\n", "main  *"},
		{"quiet", func(c *Config) { c.Quiet = true }, "", ""},
		{"porcelain", func(c *Config) { c.Report, c.Branches = ReportSummary, BranchPorcelain },
			"= 0\n> 0\n< 3\n.\n# aig refs 1\nref new - *refs/heads/main\nend\n", ""},
		{"no branches", func(c *Config) { c.Report, c.Branches = ReportSummary, BranchesOff }, "= 0\n> 0\n< 3\n.\n", ""},
		{"pull", func(c *Config) { c.Report, c.Direction = ReportSummary, wire.Pull }, "= 0\n> 0\n< 3\n.\n", "main  *"},
		{"push", func(c *Config) { c.Report, c.Direction = ReportSummary, wire.Push }, "= 0\n> 0\n< 0\n.\n", "main  *"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			alice, bob := newPerson(t), newPerson(t)
			bob.Commit("b", "of Bob")
			c := alice.config(bob)
			c.Transport = leadsTo(t, bob.config(alice)) // which says nothing
			tt.change(&c)
			o := syncNow(t, c)
			if o.err != nil || !like(o.stdout, tt.stdout) || !like(o.stderr, tt.stderr) {
				t.Errorf("%v\nstandard output:\n%s\nstandard error:\n%s", o.err, o.stdout, o.stderr)
			}
		})
	}
}

// git's side: what it is told, what is then in the store, and that looking takes nothing.
func TestFetch(t *testing.T) {
	alice, bob := newPerson(t), newPerson(t)
	main := bob.Commit("b", "of Bob")
	peer := bob.config(alice)
	peer.Quiet = true
	c := alice.config(bob)
	c.Transport = leadsTo(t, peer)
	for _, tt := range []struct {
		git, answers string
		objects      int
	}{
		{"list\n\n", "@refs/heads/main HEAD\n" + main + " refs/heads/main\n\n", 0},
		{"option progress true\nlist\nfetch " + main + " HEAD\n\n\n", "ok\n@refs/heads/main HEAD\n" + main + " refs/heads/main\n\n\n", 3},
	} {
		in, git := pipe(t)
		io.WriteString(git, tt.git)
		o := start(t, c, in, func(ctx context.Context, c Config) error { return Fetch(ctx, c, "aig::"+c.Transport) })()
		if o.err != nil || o.stdout != tt.answers {
			t.Errorf("%v\ngit reads\n%s", o.err, o.stdout)
		}
		if n := len(strings.Fields(alice.Objects())); n != tt.objects {
			t.Errorf("%d objects, not %d", n, tt.objects)
		}
	}
}

// A git that goes ends the wait for a peer, and a fetch, of which the peer is told why.
func TestFetchWithoutGit(t *testing.T) {
	alice, bob := newPerson(t), newPerson(t)
	main := bob.Commit("b", "of Bob")
	const gone = "git went away before it had its answer"
	c := alice.config(bob)
	c.Transport = "echo here >&2; cat >/dev/null; exit"
	in, git := pipe(t)
	stderr, said := pipe(t)
	c.Stderr = said
	io.WriteString(git, "list\n")
	wait := start(t, c, in, func(ctx context.Context, c Config) error { return Fetch(ctx, c, "aig::"+c.Transport) })
	if line, err := bufio.NewReader(stderr).ReadString('\n'); err != nil || !strings.Contains(line, "here") {
		t.Fatalf("%q, %v", line, err)
	}
	git.Close()
	if o := wait(); o.err == nil || o.err.Error() != gone {
		t.Errorf("error %v", o.err)
	}

	c.Transport, c.Stderr = leadsTo(t, bob.config(alice)), nil
	in, git = pipe(t)
	io.WriteString(git, "list\nfetch "+main+" HEAD\n\n") // without the line that ends the conversation
	git.Close()
	o := start(t, c, in, func(ctx context.Context, c Config) error { return Fetch(ctx, c, "aig::"+c.Transport) })()
	if o.err == nil || o.err.Error() != gone || !strings.Contains(o.stderr, "the peer gave up: \\\""+gone) {
		t.Errorf("error %v; Bob reads\n%s", o.err, o.stderr)
	}
}

// If our store can't be opened, git's user reads why, and the peer only that.
func TestFetchWithoutStore(t *testing.T) {
	alice, bob := newPerson(t), newPerson(t)
	main := bob.Commit("b", "of Bob")
	alice.Git("config", "aig.maxPartial", "-77")
	c := alice.config(bob)
	c.Transport = leadsTo(t, bob.config(alice))
	in, git := pipe(t)
	io.WriteString(git, "list\nfetch "+main+" HEAD\n\n\n")
	o := start(t, c, in, func(ctx context.Context, c Config) error { return Fetch(ctx, c, "aig::"+c.Transport) })()
	if o.err == nil || !strings.Contains(o.err.Error(), "-77") {
		t.Errorf("error %v", o.err)
	}
	if !strings.Contains(o.stderr, "opening our store failed on this side; see its own message") || strings.Contains(o.stderr, "-77") {
		t.Errorf("Bob reads\n%s", o.stderr)
	}
}

// How long we wait for a peer: as the option says, else the remote's setting, else the general one; else a minute if git
// started us and nobody looks on, since git holds locks meanwhile.
func TestWait(t *testing.T) {
	for _, tt := range []struct {
		option            time.Duration
		ofRemote, general string
		byGit             bool
		want              time.Duration
		wrong             string
	}{
		{want: 0},
		{byGit: true, want: time.Minute},
		{byGit: true, general: "2h", want: 2 * time.Hour},
		{byGit: true, general: "0", want: 0},
		{byGit: true, ofRemote: "5s", general: "2h", want: 5 * time.Second},
		{byGit: true, ofRemote: "0", general: "2h", want: 0},
		{option: time.Second, ofRemote: "5s", want: time.Second},
		{option: -1, general: "5s", want: 0},
		{general: "soon", wrong: `"soon" is not a duration`},
		{ofRemote: "-1s", wrong: `"-1s" is not a duration`},
	} {
		repo := gittest.New(t)
		for key, value := range map[string]string{"remote.bob.aigWait": tt.ofRemote, "aig.wait": tt.general} {
			if value != "" {
				repo.Git("config", key, value)
			}
		}
		c := Config{Git: git.Git{Dir: repo.Dir, Env: repo.Env}, Wait: tt.option}
		otherwise := time.Duration(0)
		if tt.byGit {
			otherwise = helperWait
		}
		err := c.completeWait(t.Context(), "bob", otherwise)
		if tt.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wrong) {
				t.Errorf("%+v: error %v", tt, err)
			}
		} else if got := max(c.Wait, 0); err != nil || got != tt.want {
			t.Errorf("%+v: %v, %v", tt, got, err)
		}
	}
}

// What fails before there is a peer says why, and prints no promise.
func TestFailures(t *testing.T) {
	alice, bob := newPerson(t), newPerson(t)
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"the transport ends", func(c *Config) { c.Transport = "exit 7" }, "the transport ended before a peer came, with exit status 7"},
		{"the transport's last words", func(c *Config) { c.Transport = "echo first >&2; echo no route to '\033' >&2; echo >&2; exit 255" },
			`with exit status 255: "no route to \x1b"`},
		{"a token is no last word", func(c *Config) { c.Transport = "echo 17e58 >&2; exit 255" }, "came, with exit status 255"},
		{"no peer", func(c *Config) { c.Transport = "echo HTTP/1.1 400" }, `HTTP/1.1 400`},
		{"nobody trusted", func(c *Config) { c.Trust = nil }, "no peer's key is trusted"},
		{"no fingerprint", func(c *Config) { c.Trust = []string{"nonsense"} }, `"nonsense"`},
		{"no key", func(c *Config) { c.Identity = "/nowhere/key" }, "/nowhere/key"},
		{"no repository", func(c *Config) { c.Git.Dir = "/" }, "repository"},
		{"a wait", func(c *Config) { c.Transport, c.Wait = "exec sleep 100", time.Millisecond }, "within 1ms: remote.<name>.aigWait"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := alice.config(bob)
			c.Transport = "true"
			tt.change(&c)
			o := syncNow(t, c)
			if o.err == nil || !strings.Contains(o.err.Error(), tt.want) || strings.Contains(o.err.Error(), "17e58") || strings.Contains(o.stdout, ".\n") {
				t.Errorf("error %v\n%s", o.err, o.stdout)
			}
		})
	}
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	return r, w
}

// lines returns those lines of s that begin with the prefix.
func lines(s, prefix string) (found []string) {
	for line := range strings.Lines(s) {
		if strings.HasPrefix(line, prefix) {
			found = append(found, line)
		}
	}
	return found
}

// like reports whether s is the pattern, in which a star stands for any text.
func like(s, pattern string) bool {
	parts := strings.Split(pattern, "*")
	rest, ok := strings.CutPrefix(s, parts[0])
	for _, part := range parts[1:] {
		i := strings.Index(rest, part)
		if ok = ok && i >= 0; !ok {
			return false
		}
		rest = rest[i+len(part):]
	}
	return ok && (rest == "" || strings.HasSuffix(pattern, "*"))
}

func sorted(s string) string {
	all := strings.SplitAfter(s, "\n")
	slices.Sort(all)
	return strings.Join(all, "")
}
