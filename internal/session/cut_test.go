package session

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aig/internal/gittest"
	"aig/internal/wire"
)

// cutPipe ends right behind the end of a given number of packs.
type cutPipe struct {
	Pipe
	in      *wire.Reader
	passed  bytes.Buffer
	packs   int
	objects int // in the packs that have passed
}

func (c *cutPipe) Read(p []byte) (int, error) {
	if c.passed.Len() == 0 {
		if c.packs == 0 {
			c.Close()
			return 0, io.ErrUnexpectedEOF
		}
		f, err := c.in.Next()
		if err != nil {
			return 0, err
		}
		if f.Type == wire.TypePackEnd {
			end, err := wire.Parse[wire.PackEnd](f.Body, "pack end")
			if err != nil {
				return 0, err
			}
			c.packs--
			c.objects += int(end.Objects)
		}
		if err := wire.NewWriter(&c.passed).Write(f.Type, f.Body); err != nil {
			return 0, err
		}
	}
	return c.passed.Read(p)
}

// Packs received in full before a link breaks are in the store afterwards, and the same conversation again moves only the rest.
func TestWhatHasArrivedStays(t *testing.T) {
	t.Parallel()
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

	pipeA, pipeB := gittest.Loopback(t)
	oA, oB := a.options(t, t.Context()), b.options(t, t.Context())
	oB.Server = true
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.run(t.Context(), t, pipeA, oA)
	}()
	cut := &cutPipe{Pipe: pipeB, in: wire.NewReader(pipeB), packs: 2}
	b.run(t.Context(), t, cut, oB)
	<-done
	if a.err == nil || b.err == nil {
		t.Fatalf("errors: %v; %v", a.err, b.err)
	}
	arrived := strings.Count(b.repo.Objects()+"\n", "\n")
	if arrived != cut.objects || arrived == blobs {
		t.Errorf("%d objects have stayed of the %d that came in whole packs, of %d", arrived, cut.objects, blobs)
	}
	if left := b.repo.Quarantines(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	b.repo.MustBeSound()
	a, b = &side{repo: a.repo}, &side{repo: b.repo}
	talk(t, a, b)
	mustAgree(t, a, b)
	if len(b.received) != blobs-arrived {
		t.Errorf("received %d the second time, want %d", len(b.received), blobs-arrived)
	}
}
