package intake

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"aig/internal/git"
	"aig/internal/gittest"
)

// bomb returns a small pack of n deltas, each of which makes another object of size bytes.
func bomb(n int, size uint64) []byte {
	const baseSize = 1 << 20
	var p gittest.Pack
	base := p.Offset()
	p.Object(gittest.PackBlob, make([]byte, baseSize))
	for i := range n {
		var copies [][]byte
		text := fmt.Sprintf("%08d", i)
		for left := size - uint64(len(text)); left > 0; {
			part := min(left, baseSize)
			copies = append(copies, gittest.Copy(0, uint32(part)))
			left -= part
		}
		copies = append(copies, gittest.Insert(text))
		p.OfsDelta(uint64(p.Offset()-base), gittest.Delta(baseSize, size, copies...))
	}
	return p.Bytes()
}

// unchanged fails if something in a repository has changed, or if a child of ours is left.
func unchanged(t *testing.T, what string, r *gittest.Repo, before gittest.Files) {
	t.Helper()
	if changed, added := before.Changed(r.Files()); len(changed)+len(added) > 0 {
		t.Errorf("%s: changed %v, added %v", what, changed, added)
	}
	if children := gittest.Children(t); len(children) > 0 {
		t.Errorf("%s: children are left: %v", what, children)
	}
}

// aig.maxInputSize bounds the bytes of all packs of one run together, whatever becomes of them.
func TestMaxInputSize(t *testing.T) {
	from, to := gittest.New(t), gittest.New(t)
	from.Blobs("blob", 500)
	s := open(t, from)
	good := pack(t, s, all(list(t, s)))
	before := to.Files()
	for _, c := range []struct {
		limit string
		packs int // that are received, of three
	}{
		{"", 3}, {"0", 3}, {fmt.Sprint(3 * len(good)), 3}, {fmt.Sprint(3*len(good) - 1), 2}, {fmt.Sprint(len(good)), 1}, {"1k", 0},
	} {
		if c.limit != "" {
			to.Git("config", "aig.maxInputSize", c.limit)
			before = to.Files()
		}
		store := open(t, to)
		for i := range 3 {
			in, err := store.Receive(t.Context(), 1<<20, false)
			if err != nil {
				t.Fatal(err)
			}
			for part := range bytes.Lines(good) {
				if _, err = in.Write(part); err != nil {
					break
				}
			}
			if err == nil {
				err = in.Finish()
			}
			var limit *git.LimitError
			switch {
			case i < c.packs && err != nil, i >= c.packs && !errors.As(err, &limit):
				t.Errorf("limit %q, pack %d: %v", c.limit, i, err)
			case err != nil && !strings.Contains(err.Error(), "aig.maxInputSize"):
				t.Errorf("limit %q: %v", c.limit, err)
			}
			in.Discard()
		}
		unchanged(t, "limit "+c.limit, to, before)
	}
}

// What is kept of a pack counts as well; and the limit is named, not the file.
func TestMaxInputSizeResumed(t *testing.T) {
	to := gittest.New(t)
	to.Git("config", "aig.maxInputSize", "1k")
	store := open(t, to)
	object := make([]byte, store.Format.Size())
	if err := os.WriteFile(store.partialPath(object), make([]byte, 2<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := store.Receive(t.Context(), 1, false)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Discard()
	if err := in.Keep(object, 2<<10); err == nil || !strings.HasPrefix(err.Error(), "the peer's packs exceed aig.maxInputSize") {
		t.Errorf("%v", err)
	}
}

// aig.maxMemory bounds the memory that git uses for a small pack that asks for much, and the error names it. It does so on
// Linux alone, as docs/security.md says.
func TestMaxMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		gittest.Skip(t, "aig.maxMemory is Linux's alone")
	}
	to := gittest.New(t)
	to.Git("config", "aig.maxMemory", "128m")
	to.Git("config", "pack.threads", "1") // several would hold their objects at the same time
	before := to.Files()
	var huge gittest.Pack // asks for it in the header of one object
	huge.Entry(gittest.PackCommit, 1<<40, nil, gittest.Deflate([]byte("short")))
	packs := map[string][]byte{
		"one delta": bomb(1, 400<<20), "many": bomb(5, 60<<20), "one header": huge.Bytes(),
		"a delta's size": func() []byte {
			var p gittest.Pack
			base := p.Object(gittest.PackBlob, []byte("base"))
			p.RefDelta(base, gittest.Delta(4, 1<<41, gittest.Copy(0, 4)))
			return p.Bytes()
		}(),
	}
	for name, pack := range packs {
		in, err := receive(t, open(t, to), pack)
		if name == "many" {
			// One at a time, each fits.
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else {
			var failed *git.Error
			if !errors.As(err, &failed) || !failed.OutOfMemory() || ofPeer(err) || !strings.Contains(err.Error(), "aig.maxMemory") ||
				!strings.Contains(err.Error(), "128.00 MiB") {
				t.Errorf("%s: %v", name, err)
			}
		}
		used := maxMemory(in.index.ProcessState)
		t.Logf("%s: %d bytes of pack, %d MiB used, in %s", name, len(pack), used>>20, in.index.ProcessState.UserTime())
		// This counts the program itself and its mappings too, and what we used when it was started (exec keeps the peak).
		if used > max(160<<20, ownMemory(t)) {
			t.Errorf("%s: git used %d MiB", name, used>>20)
		}
		in.Discard()
		unchanged(t, name, to, before)
	}
	// Threads count too: each has a stack.
	to.Git("config", "pack.threads", "64")
	in, err := receive(t, open(t, to), packs["many"])
	var failed *git.Error
	if !errors.As(err, &failed) || !failed.OutOfMemory() || !strings.Contains(err.Error(), "aig.maxMemory") {
		t.Errorf("64 threads: %v", err)
	}
	in.Discard()
	// Without the limit the first one is fine.
	to.Git("config", "aig.maxMemory", "0")
	to.Git("config", "--unset", "pack.threads")
	if _, err := receive(t, open(t, to), packs["one delta"]); err != nil {
		t.Errorf("without a limit: %v", err)
	}
}

// A few kilobytes of deltas that ask for gigabytes get no more than the limit, and the store is unchanged.
func TestTortureDeltaBombs(t *testing.T) {
	asked := gittest.Size(256<<20, 2<<30)
	to := gittest.New(t)
	to.Git("config", "aig.maxMemory", fmt.Sprint(asked/4))
	before := to.Files()
	pack := bomb(1, uint64(asked))
	in, err := receive(t, open(t, to), pack)
	var failed *git.Error
	if runtime.GOOS == "linux" && (!errors.As(err, &failed) || !failed.OutOfMemory()) {
		t.Errorf("%v", err)
	}
	in.Discard()
	unchanged(t, "memory", to, before)
	gittest.Figures(t, "bytes that deltas ask for", asked, "%d KiB of pack; git used at most %d MiB of the %d that it may",
		len(pack)>>10, maxMemory(in.index.ProcessState)>>20, asked/4>>20)

}

// Sizes are written as git writes them; an invalid one is an error that names the variable.
func TestConfiguredBudget(t *testing.T) {
	to := gittest.New(t)
	for _, value := range []string{"-1", "much"} {
		to.Git("config", "aig.maxInputSize", value)
		_, err := Open(t.Context(), git.Git{Dir: to.Dir, Env: to.Env})
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), "aig.maxinputsize") {
			t.Errorf("%s: %v", value, err)
		}
	}
	to.Git("config", "--unset", "aig.maxInputSize")
	if s := open(t, to); s.maxInput != 0 {
		t.Errorf("by default: %d", s.maxInput)
	}
	to.Git("config", "aig.maxInputSize", "3M")
	if s := open(t, to); s.maxInput != 3<<20 {
		t.Errorf("3M is %d", s.maxInput)
	}
}
