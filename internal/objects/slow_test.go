package objects

import (
	"bufio"
	"math/rand/v2"
	"testing"
	"time"

	"aig/internal/gittest"
)

// slowWriter is a link that takes nothing for a while after its first bytes.
type slowWriter struct{ n int }

func (w *slowWriter) Write(p []byte) (int, error) {
	if w.n == 0 {
		time.Sleep(3 * time.Second) // longer than a git child that has ended may keep its pipes, see git.Command
	}
	w.n += len(p)
	return len(p), nil
}

// A link may take as long as it likes for what git has packed, also when git has ended long since.
func TestPackOntoSlowLink(t *testing.T) {
	t.Parallel()
	r := gittest.New(t)
	content := make([]byte, 100<<10) // more than w buffers, less than that and a pipe hold
	for i := range content {
		content[i] = byte(rand.Uint32())
	}
	r.GitIn(string(content), "hash-object", "-w", "--stdin")
	s := open(t, r)
	list, err := List(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	w := new(slowWriter)
	if err := Pack(t.Context(), s, NewPiece(list, []uint32{0}), bufio.NewWriterSize(w, 1<<16)); err != nil {
		t.Fatal(err)
	}
	if w.n < len(content) {
		t.Errorf("%d bytes of a pack of more than %d", w.n, len(content))
	}
}
