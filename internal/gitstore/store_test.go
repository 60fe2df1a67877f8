package gitstore

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"

	"aig/internal/gittest"
	"aig/internal/oid"
)

func open(t *testing.T, r *gittest.Repo, env ...string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Git{Dir: r.Dir, Env: append(slices.Clone(r.Env), env...), Settings: new(Settings)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func list(t *testing.T, s *Store) *oid.List {
	t.Helper()
	l, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func hexNames(names oid.Names) string {
	var all []string
	for i := range names.Len() {
		all = append(all, hex.EncodeToString(names.At(i)))
	}
	return strings.Join(all, "\n")
}

func all(l *oid.List) oid.Selection {
	s := oid.Selection{List: l}
	for i := range l.Len() {
		s.Index = append(s.Index, uint32(i))
	}
	return s
}

// pack is one pack of the given objects.
func pack(t *testing.T, s *Store, names oid.Selection) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.PackPiece(t.Context(), NewPiece(names.List, names.Index), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// receive takes a pack into the quarantine.
func receive(t *testing.T, s *Store, pack []byte) (*Incoming, error) {
	t.Helper()
	in, err := s.Receive(t.Context(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Discard)
	in.Write(pack) // a failure shows in Finish
	return in, in.Finish()
}

// The list is what git lists, whatever shape the repository has and wherever in it one stands.
func TestListOfEveryShape(t *testing.T) {
	t.Parallel()
	origin := gittest.New(t)
	for i := range 3 {
		origin.Commit("file", strings.Repeat("line\n", i+1))
	}
	origin.Git("repack", "-adq")
	origin.Commit("loose", "loose")
	url := "file://" + origin.Dir
	clone := func(args ...string) *gittest.Repo {
		c := *origin
		c.Dir = filepath.Join(t.TempDir(), "a:b \"c\n")
		origin.Git(append(append([]string{"clone", "-q"}, args...), c.Dir)...)
		return &c
	}
	origin.Git("config", "uploadpack.allowFilter", "true")
	worktree := *origin
	worktree.Dir = filepath.Join(t.TempDir(), "tree")
	origin.Git("worktree", "add", "-q", worktree.Dir)
	for name, r := range map[string]*gittest.Repo{
		"plain": origin, "worktree": &worktree, "empty": gittest.New(t), "sha256": gittest.New(t, "--object-format=sha256"),
		"bare": clone("--bare", url), "shallow": clone("--depth=1", url), "alternates": clone("--shared", origin.Dir),
		"partial": clone("--no-checkout", "--filter=blob:none", url),
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, r)
			if got, want := hexNames(list(t, s)), r.Objects(); got != want {
				t.Errorf("listed\n%s\nwant\n%s", got, want)
			}
			// What is listed can be packed, and is taken in by an empty store of the same format.
			to := gittest.New(t, "--object-format="+string(s.Format()))
			if list(t, s).Len() > 0 {
				in, err := receive(t, open(t, to), pack(t, s, all(list(t, s))))
				if err != nil {
					t.Fatal(err)
				}
				if err := in.Install(); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := to.Objects(), r.Objects(); got != want {
				t.Errorf("arrived\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// In a partial clone nothing is fetched to find, to pack or to verify what is not there: a transport would run.
func TestNothingIsFetchedLazily(t *testing.T) {
	origin := gittest.New(t)
	origin.Git("config", "uploadpack.allowFilter", "true")
	origin.Commit("file", "content")
	blob := origin.Git("rev-parse", "HEAD:file")
	partial := *origin
	partial.Dir = t.TempDir()
	origin.Git("clone", "-q", "--no-checkout", "--filter=blob:none", "file://"+origin.Dir, partial.Dir)
	ran := filepath.Join(t.TempDir(), "ran")
	partial.Git("config", "protocol.ext.allow", "always")
	partial.Git("config", "remote.origin.url", "ext::touch "+ran)
	s := open(t, &partial)
	if strings.Contains(hexNames(list(t, s)), blob) {
		t.Fatal("the absent blob is listed")
	}
	name, err := hex.DecodeString(blob)
	if err != nil {
		t.Fatal(err)
	}
	absent := oid.NewList(oid.SHA1)
	absent.Append(name)
	if err := s.PackPiece(t.Context(), NewPiece(absent, []uint32{0}), io.Discard); err == nil {
		t.Error("an absent blob was packed")
	}
	var reasons []string
	if err := s.Verify(t.Context(), absent, func(_ int, reason string) { reasons = append(reasons, reason) }); err != nil {
		t.Fatal(err)
	}
	if len(reasons) != 1 {
		t.Errorf("verified as %q", reasons)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a transport ran")
	}
}

// An object keeps the name of its own content, replace references or not.
func TestReplaceRefsAreIgnored(t *testing.T) {
	r := gittest.New(t)
	blobs := r.Blobs("blob", 2)
	r.Git("replace", blobs[0], blobs[1])
	s := open(t, r)
	if err := s.Verify(t.Context(), list(t, s), func(i int, reason string) { t.Errorf("%d: %s", i, reason) }); err != nil {
		t.Fatal(err)
	}
}

// A pack is in the store after Install and not before; nothing is left of the quarantine after Discard, in either case;
// and a reader that is not git finds the object there.
func TestQuarantine(t *testing.T) {
	from, to := gittest.New(t), gittest.New(t)
	blob := from.Blobs("blob", 1)[0]
	s := open(t, from)
	bytes := pack(t, s, all(list(t, s)))
	for _, install := range []bool{false, true} {
		in, err := receive(t, open(t, to), bytes)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for name, err := range in.Names() {
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, hex.EncodeToString(name))
		}
		if !slices.Equal(names, []string{blob}) {
			t.Errorf("the pack holds %v", names)
		}
		if to.Objects() != "" {
			t.Error("the object can be seen before it is installed")
		}
		if install {
			if err := in.Install(); err != nil {
				t.Fatal(err)
			}
		}
		in.Discard()
		if left := to.Quarantines(); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	repo, err := gogit.PlainOpen(to.Dir)
	if err != nil {
		t.Fatal(err)
	}
	object, err := repo.BlobObject(plumbing.NewHash(blob))
	if err != nil || object.Size != int64(len("blob 0\n")) {
		t.Errorf("go-git reads %v, %v", object, err)
	}
	to.Git("fsck", "--strict")
	to.Git("gc", "-q", "--prune=now")
	if to.Objects() != "" {
		t.Error("git gc --prune=now does not drop what was received")
	}
}

// Taking in the same objects again changes no file of the store, neither packs nor loose objects.
func TestInstallReplacesNothing(t *testing.T) {
	for _, limit := range []string{"1", "100"} {
		from, to := gittest.New(t), gittest.New(t)
		to.Git("config", "fetch.unpackLimit", limit)
		from.Blobs("blob", 3)
		s := open(t, from)
		bytes := pack(t, s, all(list(t, s)))
		before := make(map[string]os.FileInfo)
		for round := range 2 {
			in, err := receive(t, open(t, to), bytes)
			if err != nil {
				t.Fatal(err)
			}
			if err := in.Install(); err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(filepath.Join(to.ObjectDir(), "??*", "*"))
			if files = slices.DeleteFunc(files, func(f string) bool { return strings.Contains(f, "tmp_objdir") }); err != nil || len(files) < 2 {
				t.Fatalf("%v, %v", files, err)
			}
			for _, file := range files {
				info, err := os.Stat(file)
				if err != nil {
					t.Fatal(err)
				}
				if round == 0 {
					before[file] = info
				} else if len(files) != len(before) || !os.SameFile(info, before[file]) {
					t.Errorf("%s was replaced", file)
				}
			}
		}
	}
}

// Packs that are cut short, malformed or hold a malformed object are the sender's fault, and leave nothing.
func TestBadPacks(t *testing.T) {
	t.Parallel()
	from := gittest.New(t)
	from.Commit("file", "content")
	s := open(t, from)
	good := pack(t, s, all(list(t, s)))
	flipped := slices.Clone(good)
	flipped[len(flipped)/2] ^= 1
	malformed := gittest.New(t)
	malformed.GitIn("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nnonsense\n",
		"hash-object", "-w", "-t", "commit", "--literally", "--stdin")
	sm := open(t, malformed)
	for name, pack := range map[string][]byte{
		"empty": {}, "cut": good[:len(good)-30], "flipped": flipped, "not a pack": []byte("HTTP/1.1 200 OK"),
		"malformed commit": pack(t, sm, all(list(t, sm))),
	} {
		to := gittest.New(t)
		in, err := receive(t, open(t, to), pack)
		if !OfPeer(err) {
			t.Errorf("%s: %v", name, err)
		}
		in.Discard()
		if left := to.Quarantines(); len(left) > 0 || to.Objects() != "" {
			t.Errorf("%s: left behind: %v, %v", name, left, to.Objects())
		}
	}
	// Who has switched the checks off gets what git fetch would take: fetch.fsckObjects counts, and where it is not set,
	// transfer.fsckObjects.
	bad := pack(t, sm, all(list(t, sm)))
	for _, c := range []struct {
		fetch, transfer string
		taken           bool
	}{{"", "false", true}, {"false", "", true}, {"false", "true", true}, {"true", "false", false}, {"", "true", false}} {
		to := gittest.New(t)
		for key, value := range map[string]string{"fetch.fsckObjects": c.fetch, "transfer.fsckObjects": c.transfer} {
			if value != "" {
				to.Git("config", key, value)
			}
		}
		in, err := receive(t, open(t, to), bad)
		if taken := err == nil; taken != c.taken || !taken && !OfPeer(err) {
			t.Errorf("with fetch.fsckObjects=%s and transfer.fsckObjects=%s: %v", c.fetch, c.transfer, err)
		}
		in.Discard()
	}
}

// Outside a repository there is one error, and git's own words are kept for the rest.
func TestOpenElsewhere(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(t.Context(), Git{Dir: dir, Env: append(gittest.Env(t), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))}); !errors.Is(err, ErrNotRepository) {
		t.Errorf("outside: %v", err)
	}
	_, err := Open(t.Context(), Git{Dir: dir, Env: append(gittest.Env(t), "GIT_DIR="+dir)})
	if err == nil || !strings.Contains(err.Error(), "not a git repository") {
		t.Errorf("bad GIT_DIR: %v", err)
	}
	_, err = Open(t.Context(), Git{Dir: dir, Env: []string{"PATH=" + dir}})
	if err == nil {
		t.Error("a repository was found without git")
	}
}

// Configuration comes as git has it: unset, set, of a type, several values, values with line ends.
func TestConfig(t *testing.T) {
	for _, settings := range []bool{false, true} {
		testConfig(t, settings)
	}
}

func testConfig(t *testing.T, settings bool) {
	r := gittest.New(t)
	g := Git{Dir: r.Dir, Env: r.Env}
	fresh := func() {
		if settings {
			g.Settings = new(Settings)
		}
	}
	fresh()
	if v, ok, err := g.Config(t.Context(), "aig.identity", "path"); ok || err != nil {
		t.Errorf("unset: %q, %v, %v", v, ok, err)
	}
	r.Git("config", "aig.identity", "~/key\nx")
	r.Git("config", "remote.A.b C.aigTrust", "of a remote")
	fresh()
	if v, ok, err := g.Config(t.Context(), "Remote.A.b C.aigtrust", ""); !ok || err != nil || v != "of a remote" {
		t.Errorf("subsection: %q, %v, %v", v, ok, err)
	}
	if v, ok, err := g.Config(t.Context(), "remote.a.b c.aigTrust", ""); ok || err != nil {
		t.Errorf("another subsection: %q, %v, %v", v, ok, err)
	}
	if v, ok, err := g.Config(t.Context(), "aig.identity", "path"); !ok || err != nil || !strings.HasSuffix(v, "/key\nx") || v[0] != '/' {
		t.Errorf("path: %q, %v, %v", v, ok, err)
	}
	r.Git("config", "--add", "aig.trust", "a")
	r.Git("config", "--add", "aig.trust", "b")
	fresh()
	if v, err := g.ConfigAll(t.Context(), "aig.trust"); err != nil || !slices.Equal(v, []string{"a", "b"}) {
		t.Errorf("several: %q, %v", v, err)
	}
	r.Git("config", "fetch.fsckObjects", "perhaps")
	fresh()
	if _, err := Open(t.Context(), g); err == nil || !strings.Contains(err.Error(), "fetch.fsckobjects") {
		t.Errorf("a bad boolean: %v", err)
	}
}

// What ties git to one repository does not get into a transport's environment; the rest does.
func TestWithoutLocalEnv(t *testing.T) {
	env := []string{"HOME=/x", "GIT_DIR=/y", "GIT_OBJECT_DIRECTORY=/z", "GIT_SSH=ssh", "GIT_CONFIG_PARAMETERS='a.b=c'"}
	got, err := Git{Env: gittest.Env(t)}.WithoutLocalEnv(t.Context(), env)
	if err != nil || !slices.Equal(got, []string{"HOME=/x", "GIT_SSH=ssh"}) {
		t.Errorf("%q, %v", got, err)
	}
}
