package links

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/oid"
)

// chain returns a store with a tree, which names the first of a chain of deltas, and the objects' names and types in an order in which
// bases come before, between and after their deltas.
func chain(t *testing.T, depth int) (*git.Repo, *oid.List, []Kind) {
	t.Helper()
	r := gittest.New(t)
	content := func(i int) []byte { return fmt.Appendf(nil, "%s%08d", strings.Repeat("x", 60), i) }
	pack := new(gittest.Pack)
	first := pack.Object(gittest.PackBlob, content(0))
	last := 12
	for i := range depth {
		at := pack.Offset()
		pack.OfsDelta(uint64(at-last), gittest.Delta(68, 68, gittest.Copy(0, 60), gittest.Insert(string(content(i + 1)[60:]))))
		last = at
	}
	tree := pack.Object(gittest.PackTree, gittest.TreeEntry("100644", "file", first))
	r.GitIn(string(pack.Bytes()), "index-pack", "--stdin")
	repo, err := git.Open(t.Context(), git.Git{Dir: r.Dir, Env: r.Env})
	if err != nil {
		t.Fatal(err)
	}
	names := oid.NewList(repo.Format)
	names.Append(tree)
	kinds := []Kind{Tree}
	for i := range depth {
		names.Append(pack.Name(gittest.PackBlob, content((i*7919)%depth)))
		kinds = append(kinds, Blob)
	}
	return repo, names, kinds
}

// The types of a long delta chain take time in proportion to its length, and each is that of the chain's head; an object that isn't
// here has none.
func TestKindsOfDeepChains(t *testing.T) {
	const deep = 50_000
	took := func(depth int) time.Duration {
		repo, names, want := chain(t, depth)
		names.Append(make([]byte, repo.Format.Size()))
		want = append(want, 0)
		best := time.Hour
		for range 3 {
			began := time.Now()
			kinds, err := Kinds(t.Context(), repo, names)
			best = min(best, time.Since(began))
			if err != nil || len(kinds) != len(want) {
				t.Fatalf("%d of %d types, %v", len(kinds), len(want), err)
			}
			for i := range want {
				if kinds[i] != want[i] {
					t.Fatalf("object %d is a %q", i, kinds[i])
				}
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

// The way to a head ends, also where objects are deltas against each other.
func TestHead(t *testing.T) {
	base := []uint32{1, 2, 0, 3, 3, 4}
	for i := range base {
		head := Head(base, uint32(i))
		if base[head] != head || (i > 2) != (head == 3) {
			t.Errorf("the head of %d is %d", i, head)
		}
	}
}
