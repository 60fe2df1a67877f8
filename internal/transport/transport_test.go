//go:build unix

package transport

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Ten megabytes go each way at the same time, and arrive as they were sent.
func TestBothDirectionsAtOnce(t *testing.T) {
	const size = 10 << 20
	tr := start(t, Options{Expression: "cat"})
	sent, got := sha256.New(), sha256.New()
	inTime(t, "copying", func() {
		var wg sync.WaitGroup
		wg.Go(func() {
			src := io.LimitReader(rand.NewChaCha8([32]byte{1}), size)
			if _, err := io.Copy(io.MultiWriter(tr, sent), src); err != nil {
				t.Errorf("writing: %v", err)
			}
		})
		wg.Go(func() {
			if n, err := io.CopyN(got, tr, size); err != nil {
				t.Errorf("read %d bytes, %v", n, err)
			}
		})
		wg.Wait()
	})
	if !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
		t.Error("the bytes read aren't those written")
	}
}

// The transport has the environment it was given, and nothing else of ours.
func TestEnvironment(t *testing.T) {
	t.Setenv("GIT_DIR", "/nowhere")
	tr := start(t, Options{
		Expression: `echo "${GIT_DIR-unset} $GIVEN"`,
		Env:        []string{"GIVEN=yes", "PATH=" + os.Getenv("PATH")},
	})
	if got := readAll(t, tr); got != "unset yes\n" {
		t.Errorf("got %q", got)
	}
}

// What was written before Close arrives, even though the transport goes on
// writing and nobody reads.
func TestCloseLosesNothingWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "arrived")
	tr := start(t, Options{
		Expression: "echo ready; cat >\"$FILE.part\"; head -c 200000 /dev/zero && mv \"$FILE.part\" \"$FILE\"",
		Env:        append(os.Environ(), "FILE="+file),
		Grace:      patience,
	})
	buf := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(tr, buf); err != nil {
		t.Fatal(err)
	}
	io.WriteString(tr, "goodbye")
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "goodbye" {
		t.Errorf("arrived: %q, %v", got, err)
	}
}
