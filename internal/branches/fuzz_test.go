package branches

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"aig/internal/ref"
)

// FuzzChanges: whatever paths a tree holds, they come back unchanged.
func FuzzChanges(f *testing.F) {
	const about = ":100644 100644 1111 2222 "
	f.Add(about + "M\x00a file\x00" + about + "D\x00dir/\n\x1b\xff\x00")
	f.Add(":000000 160000 0000 2222 A\x00A\x00A")
	f.Fuzz(func(t *testing.T, said string) {
		parse := func(said string) (changes, error) {
			found := make(changes)
			read := found.reader()
			for field := range strings.SplitAfterSeq(said, "\x00") {
				if field, whole := strings.CutSuffix(field, "\x00"); whole {
					if err := read([]byte(field)); err != nil {
						return nil, err
					}
				}
			}
			return found, nil
		}
		found, err := parse(said)
		if err != nil {
			if ref.HasControl(err.Error()) {
				t.Errorf("the error is %q", err)
			}
			return
		}
		var again strings.Builder
		for _, path := range slices.Sorted(maps.Keys(found)) {
			again.WriteString(about + string([]byte{found[path]}) + "\x00" + path + "\x00")
		}
		// If a path comes twice, the last letter counts.
		if once, err := parse(again.String()); err != nil || !maps.Equal(once, found) {
			t.Errorf("%q became %q, %v", said, again.String(), err)
		}
	})
}
