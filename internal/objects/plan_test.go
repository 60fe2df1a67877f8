package objects

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/intake"
	"aig/internal/oid"
)

// missing returns the positions in l of the objects that to lacks.
func missing(t testing.TB, l *oid.List, to *gittest.Repo) []uint32 {
	t.Helper()
	has := make(map[string]bool)
	for name := range strings.FieldsSeq(to.Objects()) {
		has[name] = true
	}
	var give []uint32
	for i := range l.Len() {
		if !has[hex.EncodeToString(l.At(i))] {
			give = append(give, uint32(i))
		}
	}
	return give
}

// planned plans, and checks what holds for every plan: each position is in exactly one piece, and no piece is empty.
func planned(t *testing.T, s *git.Repo, l *oid.List, give []uint32, max limits) []Piece {
	t.Helper()
	pieces, err := plan(t.Context(), s, l, give, max)
	if err != nil {
		t.Fatal(err)
	}
	var got []uint32
	for _, p := range pieces {
		if p.Len() == 0 {
			t.Error("a piece of no objects")
		}
		got = append(got, p.Index...)
	}
	slices.Sort(got)
	if !slices.Equal(got, give) {
		t.Fatalf("the pieces hold %d positions, not the %d given", len(got), len(give))
	}
	return pieces
}

func packPiece(t testing.TB, s *git.Repo, p Piece) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Pack(t.Context(), s, p, bufio.NewWriter(&b)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// install receives and installs a pack.
func install(t *testing.T, to *gittest.Repo, pack []byte) *intake.Incoming {
	t.Helper()
	in, err := receive(t, open(t, to), pack)
	if err == nil {
		err = in.Install()
	}
	if err != nil {
		t.Fatal(err)
	}
	in.Discard()
	return in
}

// thinSize returns the size of git's own thin pack of a range.
func thinSize(t testing.TB, r *gittest.Repo, from, to string) int {
	return len(r.GitIn(to+"\n^"+from+"\n", "pack-objects", "--revs", "--thin", "--stdout", "--delta-base-offset", "-q"))
}

// A drift takes at most 1.05 times the bytes of git's own thin pack of it, and arrives whole.
func TestThinPackByListIsAsSmallAsGitsOwn(t *testing.T) {
	t.Parallel()
	from, to := gittest.New(t), gittest.New(t)
	gittest.History(t, from, 1, 300, 700)
	to.Git("fetch", "-q", from.Dir, from.Git("rev-parse", "main~300"))
	s := open(t, from)
	l := list(t, s)
	give := missing(t, l, to)
	pieces := planned(t, s, l, give, defaultLimits)
	if len(pieces) != 1 || len(pieces[0].Bases) == 0 {
		t.Fatalf("%d pieces", len(pieces))
	}
	got := packPiece(t, s, pieces[0])
	git := thinSize(t, from, "main~300", "main")
	bare := pack(t, s, oid.Selection{List: l, Index: give})
	ratio := float64(len(got)) / float64(git)
	t.Logf("%d objects: %d bytes, %.3f of git's %d; without hints and bases %d", len(give), len(got), ratio, git, len(bare))
	if ratio > 1.05 {
		t.Errorf("the pack has %d bytes, %.3f times git's own", len(got), ratio)
	}
	in := install(t, to, got)
	if int(in.Objects()) != len(give) {
		t.Errorf("the header says %d objects, not %d", in.Objects(), len(give))
	}
	if to.Objects() != from.Objects() {
		t.Error("the stores are not equal")
	}
	to.Git("fsck", "--strict", "--no-dangling")
}

// BenchmarkThinPack compares, for the repository that AIG_BENCH_REPO names, the packs of a drift of 5 to 500 commits of
// its first-parent history with git's own thin ones.
func BenchmarkThinPack(b *testing.B) {
	dir := os.Getenv("AIG_BENCH_REPO")
	if dir == "" {
		b.Skip("AIG_BENCH_REPO names no repository")
	}
	for _, n := range []int{5, 50, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			run := func(stdin string, args ...string) []byte {
				cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
				cmd.Stdin = strings.NewReader(stdin)
				out, err := cmd.Output()
				if err != nil {
					b.Fatal(err)
				}
				return out
			}
			oldest := strings.TrimSpace(string(run("", "rev-list", "--max-count=1", fmt.Sprintf("--skip=%d", n), "--first-parent", "HEAD")))
			if oldest == "" {
				b.Skipf("the history is shorter than %d commits", n)
			}
			s, err := git.Open(b.Context(), git.Git{Dir: dir, Env: os.Environ()})
			if err != nil {
				b.Fatal(err)
			}
			l, err := List(b.Context(), s)
			if err != nil {
				b.Fatal(err)
			}
			var give []uint32
			name := make([]byte, s.Format.Size())
			for field := range bytes.FieldsSeq(run("", "rev-list", "--objects", "--no-object-names", oldest+"..HEAD")) {
				if err := s.Format.Parse(name, field); err != nil {
					b.Fatal(err)
				}
				i, _ := l.Search(name)
				give = append(give, uint32(i))
			}
			slices.Sort(give)
			size := 0
			for b.Loop() {
				pieces, err := Plan(b.Context(), s, l, give)
				if err != nil {
					b.Fatal(err)
				}
				size = 0
				for _, p := range pieces {
					size += len(packPiece(b, s, p))
				}
			}
			thin := len(run("HEAD\n^"+oldest+"\n", "pack-objects", "--revs", "--thin", "--stdout", "--delta-base-offset", "-q"))
			b.ReportMetric(float64(len(give)), "objects")
			b.ReportMetric(float64(size), "bytes")
			b.ReportMetric(float64(size)/float64(thin), "of-thin")
		})
	}
}

// passes gives to all that it lacks of from, in pieces, and checks that it has arrived. A piece that fails with bases is
// packed again without, as session does.
func passes(t *testing.T, from, to *gittest.Repo, max limits) []Piece {
	t.Helper()
	s := open(t, from)
	l := list(t, s)
	pieces := planned(t, s, l, missing(t, l, to), max)
	receiver := open(t, to)
	for i, p := range pieces {
		var b bytes.Buffer
		var in *intake.Incoming
		err := Pack(t.Context(), s, p, bufio.NewWriter(&b))
		if err == nil {
			in, err = receive(t, receiver, b.Bytes())
		}
		if err != nil && len(p.Bases) > 0 {
			if in != nil {
				in.Discard()
			}
			p.Bases = nil
			pieces[i] = p
			in, err = receive(t, receiver, packPiece(t, s, p))
		}
		if err != nil {
			t.Fatal(err)
		}
		if int(in.Objects()) != p.Len() {
			t.Errorf("the header says %d objects, not %d", in.Objects(), p.Len())
		}
		if err := in.Install(); err != nil {
			t.Fatal(err)
		}
		in.Discard()
	}
	if left := missing(t, l, to); len(left) > 0 {
		t.Errorf("%d objects have not arrived", len(left))
	}
	if left := to.Quarantines(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	return pieces
}

// copyObjects stores the named objects of from in to, and nothing else.
func copyObjects(t *testing.T, from, to *gittest.Repo, names []string) {
	t.Helper()
	s := open(t, from)
	l := oid.NewList(s.Format)
	for _, text := range names {
		name, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		l.Append(name)
	}
	install(t, to, pack(t, s, all(l)))
}

// A peer that has a commit, and all, some or nothing of what is behind it, gets everything: in thin packs if it has their
// bases, otherwise in packs that are self-contained.
func TestPeersThatLackBases(t *testing.T) {
	t.Parallel()
	from := gittest.New(t)
	from.Git("config", "uploadpack.allowFilter", "true")
	gittest.History(t, from, 2, 30, 40)
	behind := strings.Fields(from.Git("rev-list", "--objects", "--no-object-names", "main~10"))
	entries := strings.Fields(from.Git("ls-tree", "-r", "-t", "--object-only", "main~10"))
	fetch := func(args ...string) func(*gittest.Repo) {
		return func(to *gittest.Repo) {
			to.Git("config", "remote.o.url", "file://"+from.Dir)
			to.Git(append(append([]string{"fetch", "-q"}, args...), "o", behind[0]+":refs/heads/base")...)
		}
	}
	without := func(absent ...string) func(*gittest.Repo) {
		return func(to *gittest.Repo) {
			copyObjects(t, from, to, slices.DeleteFunc(slices.Clone(behind), func(name string) bool { return slices.Contains(absent, name) }))
		}
	}
	for name, c := range map[string]struct {
		peer func(*gittest.Repo)
		thin bool
	}{
		"whole":             {fetch(), true},
		"shallow":           {fetch("--depth=1"), true},
		"no blobs":          {fetch("--filter=blob:none"), false},
		"no trees":          {fetch("--filter=tree:0"), false},
		"commits only":      {func(to *gittest.Repo) { copyObjects(t, from, to, []string{behind[0]}) }, false},
		"a blob less":       {without(entries[len(entries)-1]), false},
		"a tree less":       {without(entries[0]), false},
		"the root less":     {without(from.Git("rev-parse", "main~10^{tree}")), false},
		"nothing":           {func(*gittest.Repo) {}, false},
		"something foreign": {func(to *gittest.Repo) { to.Blobs("blob", 3) }, false},
	} {
		for size, max := range map[string]limits{"one piece": defaultLimits, "pieces": {bytes: 48 << 10, least: 24 << 10, share: 1, pieces: 1 << 20, named: 1 << 16, hinted: 1 << 16}} {
			t.Run(name+", "+size, func(t *testing.T) {
				to := gittest.New(t)
				c.peer(to)
				pieces := passes(t, from, to, max)
				if got := len(pieces[0].Bases) > 0; got != c.thin {
					t.Errorf("thin: %v, want %v", got, c.thin)
				}
			})
		}
	}
}

// Without its bases a piece is self-contained, for a peer that turns out to lack them.
func TestWithoutBases(t *testing.T) {
	from, to, empty := gittest.New(t), gittest.New(t), gittest.New(t)
	gittest.History(t, from, 3, 10, 10)
	to.Git("fetch", "-q", from.Dir, from.Git("rev-parse", "main~5"))
	s := open(t, from)
	l := list(t, s)
	p := planned(t, s, l, missing(t, l, to), defaultLimits)[0]
	_, err := receive(t, open(t, empty), packPiece(t, s, p))
	if !errors.As(err, new(*intake.PackError)) || !strings.Contains(err.Error(), "unresolved delta") {
		t.Fatalf("a peer without the bases took the thin pack: %v", err)
	}
	p.Bases = nil
	for _, p := range []Piece{p, NewPiece(l, p.Index)} {
		if in, err := receive(t, open(t, empty), packPiece(t, s, p)); err != nil || int(in.Objects()) != p.Len() {
			t.Errorf("%v", err)
		}
	}
}

// A large give is cut, every piece is self-contained or thin against what the peer had before, so that each can arrive in
// any order and alone; and the cut loses no delta that was there.
func TestPieces(t *testing.T) {
	t.Parallel()
	from := gittest.New(t)
	gittest.History(t, from, 4, 60, 200)
	small := limits{bytes: 64 << 10, least: 32 << 10, share: 1, pieces: 1 << 20, named: 10, hinted: 1 << 16}
	s := open(t, from)
	l := list(t, s)
	everything := all(l).Index
	pieces := planned(t, s, l, everything, small)
	if len(pieces) < 4 {
		t.Fatalf("%d pieces", len(pieces))
	}
	sum := 0
	for _, p := range pieces {
		bytes := packPiece(t, s, p)
		sum += len(bytes)
		if _, err := receive(t, open(t, gittest.New(t)), bytes); err != nil {
			t.Errorf("alone: %v", err)
		}
	}
	of := make(map[string]int)
	for i, p := range pieces {
		for _, at := range p.Index {
			of[hex.EncodeToString(l.At(int(at)))] = i
		}
	}
	deltas := 0
	for line := range strings.Lines(from.Git("cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(deltabase)")) {
		name, base, _ := strings.Cut(strings.TrimSpace(line), " ")
		if at, isDelta := of[base]; isDelta {
			if deltas++; at != of[name] {
				t.Errorf("%s is in another piece than its base %s", name, base)
			}
		}
	}
	if deltas < 100 {
		t.Errorf("%d deltas", deltas)
	}
	if one := len(pack(t, s, all(l))); sum > one+one/50 {
		t.Errorf("%d pieces have %d bytes together, and one pack %d", len(pieces), sum, one)
	}
	base := gittest.New(t)
	base.Git("fetch", "-q", from.Dir, from.Git("rev-parse", "main~150"))
	pieces = planned(t, s, l, missing(t, l, base), small)
	if len(pieces) < 3 {
		t.Fatalf("%d pieces", len(pieces))
	}
	receiver := open(t, base)
	for _, p := range slices.Backward(pieces) {
		if len(p.Bases) == 0 {
			t.Error("a piece is not thin")
		}
		in, err := receive(t, receiver, packPiece(t, s, p))
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Install(); err != nil {
			t.Fatal(err)
		}
	}
	if base.Objects() != from.Objects() {
		t.Error("the stores are not equal")
	}
	// However small a piece may be, their number is bounded.
	small.pieces = 4
	if pieces := planned(t, s, l, everything, small); len(pieces) > 8 {
		t.Errorf("%d pieces", len(pieces))
	}
}

// Two objects that are deltas against each other, as two packs may have them, are one chain, and so are bases that come
// late; an object that comes twice is added once.
func TestChains(t *testing.T) {
	f := newChains(6)
	for _, o := range []struct{ rank, base uint32 }{{3, 4}, {4, 3}, {0, 1}, {5, 5}, {1, 2}, {2, 2}, {0, 0}} {
		f.add(o.rank, o.base, 10)
	}
	order, ends, _ := f.pieces([]uint32{10, 11, 12, 13, 14, 15}, limits{bytes: 2 * (10 + objectBytes), least: 10 + objectBytes, share: 1, pieces: 100})
	if !slices.Equal(order, []uint32{13, 14, 10, 11, 12, 15}) || !slices.Equal(ends, []int{2, 5, 6}) {
		t.Errorf("order %v, ends %v", order, ends)
	}
}

// SHA-256 names, hints and bases work the same way.
func TestThinPackOfSHA256(t *testing.T) {
	from, to := gittest.New(t, "--object-format=sha256"), gittest.New(t, "--object-format=sha256")
	gittest.History(t, from, 5, 20, 20)
	to.Git("fetch", "-q", from.Dir, from.Git("rev-parse", "main~10"))
	if pieces := passes(t, from, to, defaultLimits); len(pieces) != 1 || len(pieces[0].Bases) == 0 {
		t.Errorf("%d pieces", len(pieces))
	}
}

// A plan takes time in proportion to what it reads, however deep the delta chains are: for a chain four times as long, four times the
// time, not sixteen times.
func TestPlanOfDeepChains(t *testing.T) {
	const deep = 50_000
	took := func(depth int) time.Duration {
		r := gittest.New(t)
		r.Commit("file", "what the peer has as well\n")
		pack := new(gittest.Pack)
		content := []byte(strings.Repeat("x", 60) + "00000000")
		pack.Object(gittest.PackBlob, content)
		last := 0
		for i := range depth {
			at := pack.Offset()
			first := 12
			if i > 0 {
				first = last
			}
			pack.OfsDelta(uint64(at-first), gittest.Delta(68, 68, gittest.Copy(0, 60), gittest.Insert(fmt.Sprintf("%08d", i+1))))
			last = at
		}
		r.GitIn(string(pack.Bytes()), "index-pack", "--stdin")
		repo, err := git.Open(t.Context(), git.Git{Dir: r.Dir, Env: r.Env})
		if err != nil {
			t.Fatal(err)
		}
		list, err := List(t.Context(), repo)
		if err != nil {
			t.Fatal(err)
		}
		give := make([]uint32, list.Len()-1)
		for i := range give {
			give[i] = uint32(i) + 1
		}
		best := time.Hour
		for range 3 {
			began := time.Now()
			pieces, err := Plan(t.Context(), repo, list, give)
			best = min(best, time.Since(began))
			if err != nil || len(pieces) != 1 || pieces[0].Len() != len(give) {
				t.Fatalf("%d pieces, %v", len(pieces), err)
			}
		}
		return best
	}
	short, long := took(deep/4), took(deep)
	if long > 12*short { // on a busy machine
		t.Errorf("a chain of %d takes %v, one of %d takes %v", deep/4, short, deep, long)
	}
	t.Logf("a chain of %d: %v; of %d: %v", deep/4, short, deep, long)
}
