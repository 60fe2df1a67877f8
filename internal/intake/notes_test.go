package intake

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"aig/internal/oid"
)

// git writes to both of its streams at once, and nothing of it is lost. The race detector looks on.
func TestNotesOfBothStreams(t *testing.T) {
	const each = 1000
	n := &fsckNotes{format: oid.SHA1, most: defaultMaxUnchecked, missing: make(specialFiles)}
	var streams sync.WaitGroup
	for stream, take := range []func([]byte){n.stdout, n.stderr} {
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

// A file that is missing under both of its names is noted under both, whichever comes first.
func TestNotesOfTwoNames(t *testing.T) {
	name := strings.Repeat("a1", 20)
	said := []byte(name)
	failed := []byte("error: object " + name + ": gitattributesMissing: unable to read .gitattributes blob")
	for _, first := range []bool{true, false} {
		n := &fsckNotes{format: oid.SHA1, most: 2, missing: make(specialFiles)}
		if first {
			n.stdout(said)
		}
		n.stderr(failed)
		n.stdout(said)
		blob := strings.Repeat("\xa1", 20)
		if want := (specialFiles{{blob, modules}: true, {blob, attributes}: true}); !maps.Equal(n.missing, want) {
			t.Errorf("noted: %v", n.missing)
		}
	}
}
