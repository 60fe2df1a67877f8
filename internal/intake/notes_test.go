package intake

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"aig/internal/git"
	"aig/internal/oid"
)

// notStarted returns a git index-pack that has printed nothing yet, in a store that remembers up to most missing files.
func notStarted(t *testing.T, most int) *indexer {
	s := &Store{Repo: &git.Repo{Format: oid.SHA1}, unchecked: unchecked{most: most}}
	return s.index(t.Context(), nil)
}

// git writes to both of its streams at once, and no line is lost. The race detector looks on.
func TestNotesOfBothStreams(t *testing.T) {
	const each = 1000
	n := notStarted(t, defaultMaxUnchecked)
	var streams sync.WaitGroup
	for stream, take := range []func([]byte){n.noteOutput, n.noteError} {
		streams.Go(func() {
			for i := range each {
				line := fmt.Sprintf("%020x%020x", stream, i)
				if stream == 1 {
					line = "error: object " + line + ": gitattributesMissing: unable to read .gitattributes blob"
				}
				take([]byte(line))
			}
		})
	}
	streams.Wait()
	if len(n.missing) != 2*each || n.other {
		t.Errorf("%d special files noted of %d, other: %v", len(n.missing), 2*each, n.other)
	}
}

// A file that is missing under both paths is noted under both, whichever comes first.
func TestNotesOfTwoNames(t *testing.T) {
	name := strings.Repeat("a1", 20)
	said := []byte(name)
	failed := []byte("error: object " + name + ": gitattributesMissing: unable to read .gitattributes blob")
	for _, first := range []bool{true, false} {
		n := notStarted(t, 2)
		if first {
			n.noteOutput(said)
		}
		n.noteError(failed)
		n.noteOutput(said)
		blob := strings.Repeat("\xa1", 20)
		if want := (specialFiles{{blob, modules}: true, {blob, attributes}: true}); !maps.Equal(n.missing, want) {
			t.Errorf("noted: %v", n.missing)
		}
	}
}
