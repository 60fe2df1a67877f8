package links

import (
	"slices"
	"testing"

	"aig/internal/oid"
)

// The head of a chain is found whatever the order, and there is an end where two are deltas against each other.
func TestHeads(t *testing.T) {
	list := func(letters string) *oid.List {
		l := oid.NewList(oid.SHA1)
		for _, c := range letters {
			name := make([]byte, oid.SHA1.Size())
			if c != '-' {
				name[0] = byte(c)
			}
			l.Append(name)
		}
		return l
	}
	for _, c := range []struct {
		names, bases string
		want         []uint32
	}{
		{"", "", []uint32{}},
		{"dcba", "cba-", []uint32{3, 3, 3, 3}},
		{"abcd", "-abc", []uint32{0, 0, 0, 0}},
		{"bcadx", "a--cz", []uint32{2, 1, 2, 1, 4}},
		{"abc", "baa", []uint32{0, 0, 0}},
	} {
		if got := heads(list(c.names), list(c.bases)); !slices.Equal(got, c.want) {
			t.Errorf("%s, %s: %v, want %v", c.names, c.bases, got, c.want)
		}
	}
}
