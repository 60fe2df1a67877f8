package objects

import (
	"bufio"
	"encoding/hex"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/intake"
	"aig/internal/oid"
)

func open(t testing.TB, r *gittest.Repo, env ...string) *git.Repo {
	t.Helper()
	repo, err := git.Open(t.Context(), git.Git{Dir: r.Dir, Env: append(slices.Clone(r.Env), env...), Settings: new(git.Settings)})
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func list(t *testing.T, repo *git.Repo) *oid.List {
	t.Helper()
	l, err := List(t.Context(), repo)
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

// pack returns one pack of the given objects.
func pack(t *testing.T, repo *git.Repo, names oid.Selection) []byte {
	t.Helper()
	return packPiece(t, repo, NewPiece(names.List.(*oid.List), names.Index))
}

// receive takes a pack into a quarantine.
func receive(t *testing.T, repo *git.Repo, pack []byte) (*intake.Incoming, error) {
	t.Helper()
	s, err := intake.Open(t.Context(), repo.Git)
	if err != nil {
		t.Fatal(err)
	}
	in, err := s.Receive(t.Context(), 1<<20, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Discard)
	in.Write(pack) // a failure shows in Finish
	return in, in.Finish()
}

// The list is what git lists, whatever the repository's shape, and wherever in it we run.
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
			// What is listed can be packed, and received by an empty store of the same format.
			to := gittest.New(t, "--object-format="+string(s.Format))
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

// In a partial clone, absent objects are not fetched to list, pack or verify them: that would run a transport.
func TestNothingIsFetchedLazily(t *testing.T) {
	origin := gittest.New(t)
	origin.Commit("file", "content")
	blob := origin.Git("rev-parse", "HEAD:file")
	partial := origin.IncompleteClone("--filter=blob:none")
	s := open(t, partial)
	if strings.Contains(hexNames(list(t, s)), blob) {
		t.Fatal("the absent blob is listed")
	}
	name, err := hex.DecodeString(blob)
	if err != nil {
		t.Fatal(err)
	}
	absent := oid.NewList(oid.SHA1)
	absent.Append(name)
	if err := Pack(t.Context(), s, NewPiece(absent, []uint32{0}), bufio.NewWriter(io.Discard)); err == nil {
		t.Error("an absent blob was packed")
	}
	var reasons []string
	if err := Verify(t.Context(), s, absent, func(_ int, reason string) { reasons = append(reasons, reason) }); err != nil {
		t.Fatal(err)
	}
	if len(reasons) != 1 {
		t.Errorf("verified as %q", reasons)
	}
}

// An object keeps the name of its own content, replace references or not.
func TestReplaceRefsAreIgnored(t *testing.T) {
	r := gittest.New(t)
	blobs := r.Blobs("blob", 2)
	r.Git("replace", blobs[0], blobs[1])
	s := open(t, r)
	if err := Verify(t.Context(), s, list(t, s), func(i int, reason string) { t.Errorf("%d: %s", i, reason) }); err != nil {
		t.Fatal(err)
	}
}

// An object is not called bad because somebody has killed the git that was reading it.
func TestVerifyKilled(t *testing.T) {
	r := gittest.New(t)
	r.Blobs("sound", 3)
	s := open(t, r)
	names := all(list(t, s))
	gittest.Instead(t, "cat-file", "kill -9 $$")
	err := Verify(t.Context(), s, names, func(i int, reason string) { t.Errorf("object %x is called bad: %s", names.At(i), reason) })
	var failed *git.Error
	if !errors.As(err, &failed) {
		t.Errorf("error %v", err)
	}
}
