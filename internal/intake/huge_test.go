package intake

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"aig/internal/branches"
	"aig/internal/gittest"
)

// cost says what git index-pack has used. Its peak of memory is never less than ours when it started.
func cost(in *Incoming) string {
	state := in.index.ProcessState
	return fmt.Sprintf("git index-pack used at most %d MiB and %.1f s", maxMemory(state)>>20, (state.UserTime() + state.SystemTime()).Seconds())
}

// forward sends a store what it lacks of another's objects, as a session does, and checks that they are equal after that.
func forward(t *testing.T, from, to *gittest.Repo) {
	t.Helper()
	s, r := open(t, from), open(t, to)
	l := list(t, s)
	for _, pack := range plan(t, s, l, missing(t, l, to)) {
		in, err := receive(t, r, pack)
		if err == nil {
			err = in.Install()
		}
		in.Discard()
		if err != nil {
			t.Fatal(err)
		}
	}
	if from.Objects() != to.Objects() {
		t.Error("the stores are not equal")
	}
}

// takeIn receives and installs a pack of n objects.
func takeIn(t *testing.T, to *gittest.Repo, pack []byte, n int) *Incoming {
	t.Helper()
	in, err := receive(t, open(t, to), pack)
	if err != nil {
		t.Fatal(err)
	}
	if names, _, err := in.Names(); err != nil || names.Len() != n {
		t.Errorf("%d objects of %d: %v", names.Len(), n, err)
	}
	if err := in.Install(); err != nil {
		t.Fatal(err)
	}
	in.Discard()
	if children := gittest.Children(t); len(children) > 0 {
		t.Errorf("children are left: %v", children)
	}
	return in
}

// Delta chains far deeper than git makes them can be received, read, and sent on.
func TestTortureDeepDeltas(t *testing.T) {
	depth := gittest.Rounds(300, 10000)
	var p gittest.Pack
	const size = 1000
	last := p.Offset()
	content := bytes.Repeat([]byte("x"), size)
	p.Object(gittest.PackBlob, content)
	for i := range depth {
		text := fmt.Sprintf("%08d", i)
		here := p.Offset()
		p.OfsDelta(uint64(here-last), gittest.Delta(size, size, gittest.Insert(text), gittest.Copy(8, size-8)))
		last = here
		copy(content, text)
	}
	start := time.Now()
	to := gittest.New(t)
	in := takeIn(t, to, p.Bytes(), depth+1)
	deepest := hex.EncodeToString(p.Name(gittest.PackBlob, content))
	if got := to.Git("cat-file", "-p", deepest); got != string(content) {
		t.Errorf("the deepest one is %.20q", got)
	}
	forward(t, to, gittest.New(t))
	gittest.Figures(t, "deltas on top of each other", depth, "taken in, read and sent on in %.1f s; %s", time.Since(start).Seconds(), cost(in))
}

// Trees nested so deep that some versions of git die walking them, and others refuse to, are received, and break nothing
// that we do with the store after that.
func TestTortureDeepTrees(t *testing.T) {
	depth := gittest.Rounds(3000, 100000)
	to, third := gittest.New(t), gittest.New(t)
	common := to.Commit("file", "of both\n")
	forward(t, to, third)
	var p gittest.Pack
	tree := p.Object(gittest.PackTree, gittest.TreeEntry("100644", "file", p.Object(gittest.PackBlob, []byte("bottom\n"))))
	for range depth {
		tree = p.Object(gittest.PackTree, gittest.TreeEntry("40000", "a", tree))
	}
	const by = " A <a@example.com> 1112911993 +0000\n"
	commit := hex.EncodeToString(p.Object(gittest.PackCommit,
		fmt.Appendf(nil, "tree %x\nparent %s\nauthor%scommitter%s\ndeep\n", tree, common, by, by)))
	start := time.Now()
	in := takeIn(t, to, p.Bytes(), depth+3)
	forward(t, to, third)
	s := open(t, third)
	r := branches.Report{Branches: []branches.Branch{{Ours: common, Theirs: commit}}}
	err := r.Relate(t.Context(), s.Repo, branches.Vetting{})
	if b := r.Branches[0]; err == nil && b.Unknown == "" && b.OnlyTheirs != 1 {
		t.Errorf("%+v", b)
	}
	gittest.Figures(t, "trees in each other", depth, "taken in and sent on in %.1f s; %s", time.Since(start).Seconds(), cost(in))
}

// The smallest of objects, a great many of them, can be received and sent on.
func TestTortureTinyObjects(t *testing.T) {
	n := gittest.Rounds(3000, 1000000)
	var p gittest.Pack
	content := make([]byte, 4)
	for i := range n {
		binary.BigEndian.PutUint32(content, uint32(i))
		p.Object(gittest.PackBlob, content)
	}
	pack := p.Bytes()
	start := time.Now()
	to := gittest.New(t)
	in := takeIn(t, to, pack, n)
	took := time.Since(start)
	forward(t, to, gittest.New(t))
	gittest.Figures(t, "objects of four bytes", n, "%d KiB of pack, taken in in %.1f s; %s", len(pack)>>10, took.Seconds(), cost(in))
}

// A huge object that takes almost no room in the pack is not held in memory if git streams it, and is not stored loose.
func TestTortureLargeObject(t *testing.T) {
	size := gittest.Size(20<<20, 4<<30+1)
	to := gittest.New(t)
	to.Git("config", "core.bigFileThreshold", "1m")
	to.Git("config", "aig.maxMemory", "48m")
	var p gittest.Pack
	z := deflatedZeros(size)
	p.Entry(gittest.PackBlob, uint64(size), nil, z)
	start := time.Now()
	in := takeIn(t, to, p.Bytes(), 1)
	if loose, packs := stored(t, to); loose != 0 || packs != 1 {
		t.Errorf("%d loose objects, %d packs", loose, packs)
	}
	name := strings.TrimSpace(to.Objects())
	if got := to.Git("cat-file", "-s", name); got != fmt.Sprint(size) {
		t.Errorf("%s bytes, want %d", got, size)
	}
	gittest.Figures(t, "bytes in an object", size, "%d KiB of pack, taken in in %.1f s; %s", len(z)>>10, time.Since(start).Seconds(), cost(in))
}

func deflatedZeros(n int64) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	zeros := make([]byte, 1<<20)
	for n > 0 {
		part := min(n, int64(len(zeros)))
		z.Write(zeros[:part])
		n -= part
	}
	z.Close()
	return b.Bytes()
}
