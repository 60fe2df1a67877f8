package torture

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"aig/internal/gittest"
)

// The two sides.
const (
	alice = iota
	bob
)

var names = [2]string{"alice", "bob"}

// machine holds the programs, two people with a key each who trust each other, and two pairs of their repositories, which have
// drifted apart. Tests work on copies of the pairs.
type machine struct {
	bin          string
	dir          string
	home         [2]string
	key          [2]string // fingerprint
	seed         uint64
	small, large *pair
	lasting      *lasting
}

// lasting is how long an undisturbed sync of a pair takes.
type lasting struct {
	sync.Mutex
	of map[*pair]time.Duration
}

// newMachine also lets the test run in parallel with others of its kind: they mostly wait.
func newMachine(t *testing.T) *machine {
	t.Helper()
	t.Parallel()
	m, err := theMachine()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("AIG_TORTURE_SEED=%d", m.seed)
	return m
}

func makeMachine(dir string) (*machine, error) {
	m := &machine{
		bin: filepath.Join(dir, "bin"), dir: dir, seed: uint64(time.Now().UnixNano()),
		lasting: &lasting{of: make(map[*pair]time.Duration)},
	}
	if s := os.Getenv("AIG_TORTURE_SEED"); s != "" { // to reproduce a failure
		var err error
		if m.seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			return nil, err
		}
	}
	if err := build(m.bin); err != nil {
		return nil, err
	}
	for who, name := range names {
		m.home[who] = filepath.Join(dir, name)
		key := filepath.Join(m.home[who], ".ssh", "id_ed25519")
		if err := os.MkdirAll(filepath.Dir(key), 0o700); err != nil {
			return nil, err
		}
		if _, err := run(exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key)); err != nil {
			return nil, err
		}
		said, err := run(exec.Command("ssh-keygen", "-lf", key))
		if err != nil {
			return nil, err
		}
		m.key[who] = strings.Fields(said)[1]
	}
	var err error
	if m.small, err = m.newPair(filepath.Join(dir, "small"), smallDrift); err == nil {
		m.large, err = m.newPair(filepath.Join(dir, "large"), largeDrift)
	}
	return m, err
}

// random returns a round's source of random numbers.
func (m *machine) random(round int) *rand.Rand { return rand.New(rand.NewPCG(m.seed, uint64(round))) }

// env returns a person's environment, without any of the machine's own variables that git, ssh or we would heed.
func (m *machine) env(who int, more ...string) []string {
	var env []string
	for _, kv := range os.Environ() {
		switch name, _, _ := strings.Cut(kv, "="); {
		case strings.HasPrefix(name, "GIT_"), strings.HasPrefix(name, "SSH_"), strings.HasPrefix(name, "AIG_"):
		case name == "PATH" || name == "HOME" || name == "TRUST" || name == "DISPLAY":
		default:
			env = append(env, kv)
		}
	}
	env = append(env, "PATH="+m.bin+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+m.home[who], "TRUST="+m.key[1-who],
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)
	return append(env, more...)
}

// run runs a command and returns its standard output.
func run(cmd *exec.Cmd) (string, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%v: %w\n%s", cmd.Args, err, stderr.Bytes())
	}
	return string(out), err
}

func mustRun(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	out, err := run(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// pair is two repositories that have drifted apart, and what they held when they were made.
type pair struct {
	dir     [2]string
	via     [2][]string // the prefix of commands on them, if they need one
	root    [2]string   // where this process sees their root directory
	objects [2][]string // ascending
	union   []string    // of both
	outside [2]string   // a checksum of all files that aren't objects
}

// drift is how far two repositories have drifted apart.
type drift struct {
	commits int // on each side
	blobs   int // random ones, which no delta makes smaller, in one more commit
	size    int // of each of them
	loose   int // dangling blobs
}

var (
	// A few objects, which are unpacked to loose ones.
	smallDrift = drift{commits: 5, blobs: 5, size: 2 << 10, loose: 5}
	// One pack each way, or several in the long form, with deltas against what both have.
	largeDrift = drift{commits: 40, blobs: gittest.Rounds(70, 200), size: 60 << 10, loose: 20}
)

// newPair makes two bare repositories with a common past in a directory.
func (m *machine) newPair(dir string, d drift) (*pair, error) {
	rng := m.random(1 << 30)
	var failed error
	git := func(dir, stdin string, args ...string) {
		if failed == nil {
			cmd := exec.Command("git", args...)
			cmd.Dir, cmd.Env, cmd.Stdin = dir, m.env(alice), strings.NewReader(stdin)
			_, failed = run(cmd)
		}
	}
	base := filepath.Join(dir, "base")
	git("", "", "init", "-q", "--bare", "-b", "main", base)
	git(base, past(rng, "refs/heads/main", "", 60, 0, 0), "fast-import", "--quiet")
	p := &pair{}
	for who, name := range names {
		p.dir[who] = filepath.Join(dir, name+".git")
		if failed == nil {
			failed = link(base, p.dir[who])
		}
		git(p.dir[who], past(rng, "refs/heads/main", "refs/heads/main^0", d.commits, d.blobs, d.size), "fast-import", "--quiet")
		git(p.dir[who], past(rng, "refs/heads/"+name, "refs/heads/main^0", 2, 0, 0), "fast-import", "--quiet")
		git(p.dir[who], "", "-c", "user.name=x", "-c", "user.email=x@example.com", "tag", "-a", "-m", name, "of-"+name)
		for range d.loose {
			git(p.dir[who], fmt.Sprint(rng.Uint64()), "hash-object", "-w", "--stdin")
		}
	}
	if failed == nil {
		failed = p.look(m)
	}
	return p, failed
}

// look notes what the repositories hold.
func (p *pair) look(m *machine) error {
	p.union = nil
	for who := range names {
		var err error
		if p.objects[who], err = m.objects(p, who); err != nil {
			return err
		}
		if p.outside[who], err = outside(p.files(who)); err != nil {
			return err
		}
		p.union = append(p.union, p.objects[who]...)
	}
	slices.Sort(p.union)
	p.union = slices.Compact(p.union)
	return nil
}

// past returns a history for git fast-import.
func past(rng *rand.Rand, ref, from string, commits, blobs, size int) string {
	var b strings.Builder
	text := func() string {
		var b strings.Builder
		for range 40 {
			fmt.Fprintf(&b, "%x\n", rng.Uint64())
		}
		return b.String()
	}
	commit := func(message string) {
		fmt.Fprintf(&b, "commit %s\ncommitter C <c@example.com> %d +0000\ndata %d\n%s\n", ref, 1112911993+rng.IntN(1e6), len(message), message)
		if from != "" {
			fmt.Fprintf(&b, "from %s\n", from)
			from = ""
		}
	}
	same := text()
	for i := range commits {
		commit(fmt.Sprint("commit ", i))
		content := same + text()[:100] // so that it is a small delta against the version before
		fmt.Fprintf(&b, "M 100644 inline dir%d/file%d\ndata %d\n%s\n", i%5, i%20, len(content), content)
	}
	if blobs > 0 {
		commit("blobs")
		block := make([]byte, size)
		for i := range blobs {
			for j := 0; j+8 <= len(block); j += 8 {
				*(*[8]byte)(block[j:]) = word(rng.Uint64())
			}
			fmt.Fprintf(&b, "M 100644 inline blobs/%d-%x\ndata %d\n%s\n", i, rng.Uint32(), len(block), block)
		}
	}
	return b.String()
}

func word(n uint64) (b [8]byte) {
	for i := range b {
		b[i] = byte(n >> (8 * i))
	}
	return b
}

// link copies a repository as hard links to its files: git replaces files, and never modifies one.
func link(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o777)
		}
		return os.Link(path, filepath.Join(to, rel))
	})
}

// copyOf returns a copy of the pair, which may be ruined.
func (p *pair) copyOf(t testing.TB, dir string) *pair {
	t.Helper()
	c := *p
	for who, name := range names {
		c.dir[who] = filepath.Join(dir, name+".git")
		if err := link(p.dir[who], c.dir[who]); err != nil {
			t.Fatal(err)
		}
	}
	return &c
}

// files returns where this process sees the files of a repository.
func (p *pair) files(who int) string { return p.root[who] + p.dir[who] }

// git returns a git command in a repository.
func (m *machine) git(p *pair, who int, args ...string) *exec.Cmd {
	args = append(append(slices.Clone(p.via[who]), "git", "-C", p.dir[who]), args...)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = m.env(who)
	return cmd
}

// objects returns the names of all objects of a store, ascending.
func (m *machine) objects(p *pair, who int) ([]string, error) {
	out, err := run(m.git(p, who, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)", "--buffer"))
	return strings.Fields(out), err
}

// fsck returns what git, or else go-git, finds wrong with a store.
func (m *machine) fsck(p *pair, who int) string {
	out, err := m.git(p, who, "fsck", "--full", "--strict", "--no-dangling", "--no-progress").CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%s%v", out, err)
	}
	if _, err := gittest.Reread(p.files(who)); err != nil {
		return fmt.Sprintf("%s%v", out, err)
	}
	return string(out)
}

// outside returns a checksum of everything in a bare repository that is not an object.
func outside(dir string) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		if rel == "objects" {
			return fs.SkipDir
		}
		fmt.Fprintln(h, rel)
		if d.Type().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(h, "%d\n%s", len(content), content)
		}
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// leftovers returns the temporary files and directories in an object directory.
func (p *pair) leftovers(who int) []string {
	var all []string
	for _, pattern := range []string{"tmp_*", "pack/tmp_*", "pack/.tmp*", "??/tmp_*"} {
		found, _ := filepath.Glob(filepath.Join(p.files(who), "objects", pattern))
		all = append(all, found...)
	}
	return all
}

// without returns what is in all but not in some; both are ascending.
func without(all, some []string) []string {
	var rest []string
	for _, s := range all {
		if _, found := slices.BinarySearch(some, s); !found {
			rest = append(rest, s)
		}
	}
	return rest
}
