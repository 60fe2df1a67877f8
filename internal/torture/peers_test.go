package torture

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/app"
	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/identity"
	"aig/internal/intake"
	"aig/internal/objects"
	"aig/internal/oid"
	"aig/internal/ref"
	"aig/internal/refs"
	"aig/internal/session"
	"aig/internal/wire"
)

// A peerSide is one of two people, with a repository.
type peerSide struct {
	name    string
	dir     string // a bare repository
	format  oid.Format
	env     []string
	store   *intake.Store
	refs    []ref.Ref
	signer  ssh.Signer
	trust   identity.Trust
	context string
	holds   bool // it is git-remote-aig, which looks at the references and then pulls

	before map[string]string // every file of the repository with its content
	had    []string          // the names of its objects, ascending
	due    []string          // the same after a complete session
}

// peers are two people who trust each other.
type peers struct {
	sides [2]*peerSide
}

// drifted is what one side has and the other lacks.
type drifted struct {
	commits int // each with a file; a tag and a branch point to the last one
	blobs   int // dangling blobs in packs
	loose   int // loose dangling blobs
	size    int // of each of these blobs, which are random, in bytes
	config  [2]string
}

// newPeers makes two repositories that have a few commits and a tag in common.
func newPeers(t testing.TB, random *mathrand.Rand, drift [2]drifted) *peers {
	t.Helper()
	return newPeersOf(t, oid.SHA1, random, drift)
}

// newPeersOf is newPeers with the given object format.
func newPeersOf(t testing.TB, format oid.Format, random *mathrand.Rand, drift [2]drifted) *peers {
	t.Helper()
	p := new(peers)
	keys := [2]ssh.Signer{newKey(t), newKey(t)}
	for i, name := range []string{"alice", "bob"} {
		d := drift[i]
		repo := gittest.New(t, "--bare", "--template=", "--initial-branch=common",
			"--object-format="+string(format))
		fastImport(repo, history("common", "both", 3))
		if d.commits+d.blobs > 0 {
			fastImport(repo, history(name, name, d.commits)+blobs(random, d.blobs, d.size))
		}
		if d.loose > 0 {
			repo.GitIn(blobs(random, d.loose, d.size), "fast-import", "--quiet")
		}
		if d.config[0] != "" {
			repo.Git("config", d.config[0], d.config[1])
		}
		s := &peerSide{name: name, dir: repo.Dir, format: format, env: repo.Env, signer: keys[i], trust: trusting(t, keys[1-i])}
		var err error
		if s.before, err = files(s.dir); err == nil {
			s.had, err = s.objects()
		}
		if err != nil {
			t.Fatal(err)
		}
		p.sides[i] = s
	}
	return join(p.sides[0], p.sides[1])
}

// join makes peers of two sides, each of which is to get what the other has.
func join(a, b *peerSide) *peers {
	p := &peers{sides: [2]*peerSide{a, b}}
	union := slices.Concat(a.had, b.had)
	slices.Sort(union)
	union = slices.Compact(union)
	for i, s := range p.sides {
		c := *s
		c.due = union
		p.sides[i] = &c
	}
	return p
}

// fetching lets Alice's git fetch from Bob: nothing goes from her to him.
func (p *peers) fetching() *peers {
	alice, bob := *p.sides[0], *p.sides[1]
	alice.holds, bob.due = true, bob.had
	return &peers{sides: [2]*peerSide{&alice, &bob}}
}

// fastImport imports a stream as a pack.
func fastImport(repo *gittest.Repo, stream string) {
	repo.GitIn(stream, "-c", "fastimport.unpackLimit=1", "fast-import", "--quiet")
}

// history returns commits on a branch and an annotated tag, for git fast-import.
func history(branch, what string, commits int) string {
	const who = "committer A U Thor <author@example.com> 1112911993 -0700\n"
	var s strings.Builder
	for i := range commits {
		text := fmt.Sprintf("%s %d\n", what, i)
		fmt.Fprintf(&s, "commit refs/heads/%s\n%sdata %d\n%s", branch, who, len(text), text)
		if branch != "common" && i == 0 {
			s.WriteString("from refs/heads/common\n")
		}
		fmt.Fprintf(&s, "M 100644 inline %s\ndata %d\n%s\n", what, len(text), text)
	}
	if commits > 0 {
		fmt.Fprintf(&s, "tag of-%s\nfrom refs/heads/%s\ntagger A U Thor <author@example.com> 1112911993 -0700\ndata 0\n\n", branch, branch)
	}
	return s.String()
}

// blobs returns blobs of random content, for git fast-import.
func blobs(random *mathrand.Rand, n, size int) string {
	var s strings.Builder
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(random.Uint32())
	}
	source := mathrand.NewChaCha8(seed)
	b := make([]byte, size)
	for range n {
		source.Read(b)
		fmt.Fprintf(&s, "blob\ndata %d\n%s\n", size, b)
	}
	return s.String()
}

// newKey makes a key, and trusting the trust in one, as users have them.
func newKey(t testing.TB) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "id")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := identity.Load(t.Context(), file, identity.AskPassphrase)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func trusting(t testing.TB, key ssh.Signer) identity.Trust {
	t.Helper()
	trust, err := identity.ParseTrust([]string{ssh.FingerprintSHA256(key.PublicKey())})
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

// copyOf returns the same two people with copies of the repositories, ready to be synchronised.
func (p *peers) copyOf(t testing.TB) *peers {
	t.Helper()
	dir := t.TempDir()
	q := new(peers)
	for i, s := range p.sides {
		c := *s
		c.dir = filepath.Join(dir, s.name)
		if err := os.CopyFS(c.dir, os.DirFS(s.dir)); err != nil {
			t.Fatal(err)
		}
		if err := c.open(t.Context()); err != nil {
			t.Fatal(err)
		}
		q.sides[i] = &c
	}
	return q
}

// open does what every session can share, since it doesn't depend on the wire.
func (s *peerSide) open(ctx context.Context) error {
	var err error
	if s.store, err = intake.Open(ctx, s.children()); err != nil {
		return err
	}
	s.refs, err = refs.List(ctx, s.store.Repo)
	return err
}

func (s *peerSide) children() git.Git {
	return git.Git{Dir: s.dir, Env: s.env, Settings: new(git.Settings)}
}

// ended is how a session ended for one side.
type ended struct {
	met  bool  // the peer has been authenticated
	err  error // nil means that the report ended with its dot
	took time.Duration
}

// sync does what git aig-sync does between its command line and its report, with `-` for a transport, or what git-remote-aig
// does between git's two commands. It uses the same parts and lets them decide.
func (s *peerSide) sync(ctx context.Context, e end, timeout time.Duration) (r ended) {
	began := time.Now()
	defer func() { r.took = time.Since(began) }()
	type listing struct {
		objects *oid.List
		err     error
	}
	listed := make(chan listing, 1)
	list := func() listing { // may be called twice
		l := <-listed
		listed <- l
		return l
	}
	arrived := false
	link, err := app.Open(ctx, app.LinkOptions{
		Config: app.Config{Transport: "-", Stdin: e.in, Stdout: e.out, Wait: timeout, Timeout: timeout, Git: s.children()},
		Signer: s.signer, Trust: s.trust, Screen: io.Discard,
		Arrived: func() {
			arrived = true
			go func() {
				objects, err := objects.List(ctx, s.store.Repo)
				listed <- listing{objects, err}
			}()
		},
	})
	if err != nil {
		return ended{err: err}
	}
	defer func() {
		link.Close()
		e.in.Close() // as the end of our process would
		e.out.Close()
		if arrived {
			list() // wait for its end
		}
	}()
	conn, err := link.Meet(ctx)
	if err != nil {
		return ended{err: link.Explain(err)}
	}
	defer conn.Close()
	o := session.Options{
		Store: s.store, Direction: wire.Both, Context: s.context, Refs: func(context.Context) ([]ref.Ref, error) { return s.refs, nil },
		Objects: func(context.Context) (*oid.List, error) { l := list(); return l.objects, l.err },
		Secret:  conn.SessionID(), Server: conn.Server, Timeout: timeout, Agent: "aig/torture",
		Common: func(uint64) {}, Warn: func(string) {},
	}
	if s.holds {
		o.Store, o.Objects, o.Refs, o.Direction = nil, nil, nil, wire.Pull
		o.Hold = func(context.Context, session.Offer) (*intake.Store, error) { return s.store, nil }
	}
	_, err = session.Run(ctx, conn, o)
	return ended{met: true, err: link.Explain(err)}
}

// files returns every file below a directory with its content, and every temporary directory.
func files(dir string) (map[string]string, error) {
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && !strings.Contains(d.Name(), "tmp") {
			return err
		}
		var b []byte
		if !d.IsDir() {
			if b, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		all[path[len(dir)+1:]] = string(b)
		return nil
	})
	return all, err
}

// objects returns the names of all objects, ascending.
func (s *peerSide) objects() ([]string, error) {
	out, err := s.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)", "--buffer")
	return strings.Fields(out), err
}

// git runs git in the repository and returns all its output.
func (s *peerSide) git(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = s.dir, s.env
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("git %s: %w: %s", args[0], err, said.String())
	}
	return said.String(), err
}
