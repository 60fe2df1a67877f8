package session

import (
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aig/internal/gittest"
)

// cutPipe ends after so many bytes have been read from it.
type cutPipe struct {
	Pipe
	left int
}

func (c *cutPipe) Read(p []byte) (int, error) {
	if c.left == 0 {
		c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.Pipe.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// Packs that have come whole before a link breaks are in the store afterwards, and the same conversation again moves only
// the rest.
func TestWhatHasArrivedStays(t *testing.T) {
	const blobs, size = 120, 100_000 // three pieces of four MiB
	a, b := &side{repo: gittest.New(t)}, &side{repo: gittest.New(t)}
	random := rand.NewChaCha8([32]byte{})
	dir := t.TempDir()
	var paths strings.Builder
	for i := range blobs {
		content := make([]byte, size)
		random.Read(content)
		path := filepath.Join(dir, string(rune('a'+i/26))+string(rune('a'+i%26)))
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
		paths.WriteString(path + "\n")
	}
	a.repo.GitIn(paths.String(), "hash-object", "-w", "--no-filters", "--stdin-paths")

	pipeA, pipeB := loopback(t)
	oA, oB := a.options(t, t.Context()), b.options(t, t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.run(t.Context(), t, pipeA, oA)
	}()
	b.run(t.Context(), t, &cutPipe{Pipe: pipeB, left: blobs * size * 8 / 10}, oB)
	<-done
	if a.err == nil || b.err == nil {
		t.Fatalf("errors: %v; %v", a.err, b.err)
	}
	arrived := strings.Count(b.repo.Objects()+"\n", "\n")
	if arrived < blobs/2 || arrived == blobs {
		t.Errorf("%d of %d objects have stayed", arrived, blobs)
	}
	if left := b.repo.Quarantines(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	b.repo.Git("fsck", "--strict")
	a, b = &side{repo: a.repo}, &side{repo: b.repo}
	talk(t, a, b)
	mustAgree(t, a, b)
	if len(b.received) != blobs-arrived {
		t.Errorf("received %d the second time, want %d", len(b.received), blobs-arrived)
	}
}
