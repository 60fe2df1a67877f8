package links

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"aig/internal/oid"
)

// treeOf returns a tree of entries "mode path target", where the target is one letter.
func treeOf(entries ...string) []byte {
	var tree []byte
	for _, entry := range entries {
		at := strings.LastIndexByte(entry, ' ')
		tree = append(tree, entry[:at]+"\x00"+strings.Repeat(entry[at+1:], 20)...)
	}
	return tree
}

// told reads trees, and returns the links that are told for each.
func told(all ...[]byte) (links []string) {
	var said []string
	l := reader{format: oid.SHA1, told: make([]link, 1<<toldBits), buffer: bufio.NewReaderSize(nil, 32)}
	l.visit = func(_ int, target []byte, kind Kind) error {
		said = append(said, fmt.Sprintf("%s %c", kind, target[0]))
		return nil
	}
	for _, tree := range all {
		said = nil
		text := fmt.Sprintf("tree %d\n%s\n", len(tree), tree)
		answer(bufio.NewReader(strings.NewReader(text)), func(o Object) error { return l.object(0, o) })
		links = append(links, strings.Join(said, ", "))
	}
	return links
}

// A tree tells what none before it has told, in the order of its entries, up to the first that isn't whole.
func TestTreesThatRepeat(t *testing.T) {
	long := strings.Repeat("x", 1<<16)
	for _, c := range []struct {
		trees [][]byte
		want  []string
	}{
		{[][]byte{treeOf("100644 a 1", "100644 b 2", "40000 c 3"), treeOf("100644 a 1", "100644 b 4", "40000 c 3")},
			[]string{"blob 1, blob 2, tree 3", "blob 4"}},
		{[][]byte{treeOf("100644 a 1", "120000 b 2", "160000 c 3"), treeOf("100644 z 1", "0100755 b 2")}, []string{"blob 1, blob 2", ""}},
		// The same target under another mode is another link.
		{[][]byte{treeOf("100644 a 1", "100644 b 2"), treeOf("100644 a 1", "40000 b 2")}, []string{"blob 1, blob 2", "tree 2"}},
		// What isn't whole, or has no mode, is no link, nor is what follows it, or what looks like an entry at the end of a path.
		{[][]byte{treeOf("100644 a 1", "100644 b 2")[:40], treeOf("100644 a 1", "100644 b 2")}, []string{"blob 1", "blob 2"}},
		{[][]byte{treeOf("100644 a 1", "x b 2", "100644 c 3"), treeOf("100644 c 3")}, []string{"blob 1", "blob 3"}},
		{[][]byte{treeOf("40000 " + long + "100644 b 1"), treeOf("100644 "+long+" 2", "100644 a 1")}, []string{"tree 1", "blob 2, blob 1"}},
	} {
		if got := told(c.trees...); !slices.Equal(got, c.want) {
			t.Errorf("%.200q: %q, want %q", c.trees, got, c.want)
		}
	}
}

// Whatever the trees, each of their links is told at least once.
func TestTreesTellAll(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		var all [][]byte
		want := make(map[string]bool)
		for range 1 + random.IntN(50) {
			var entries []string
			for _, path := range "abcdefgh"[random.IntN(7):] {
				if random.IntN(4) > 0 {
					target := string("0123456789"[random.IntN(10)])
					mode, kind := "100644", "blob "
					if random.IntN(4) == 0 {
						mode, kind = "40000", "tree "
					}
					entries = append(entries, mode+" "+strings.Repeat(string(path), 1+random.IntN(3)*random.IntN(30000))+" "+target)
					want[kind+target] = true
				}
			}
			all = append(all, treeOf(entries...))
		}
		for _, said := range told(all...) {
			for link := range strings.SplitSeq(said, ", ") {
				delete(want, link)
			}
		}
		if len(want) > 0 {
			t.Fatalf("not told: %v", want)
		}
	}
}
