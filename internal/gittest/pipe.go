package gittest

import (
	"io"
	"os"
	"sync"
)

// PipeRoom is how many bytes a Pipe buffers in each direction, as a pipe of Linux does.
const PipeRoom = 64 << 10

// Pipe returns the two ends of a full-duplex pipe in memory. Unlike a real one it can be used in a bubble of package
// testing/synctest, and unlike net.Pipe it has buffers.
func Pipe() (a, b PipeEnd) {
	there, back := newHalf(), newHalf()
	return PipeEnd{back, there}, PipeEnd{there, back}
}

// PipeEnd is an end of a Pipe.
type PipeEnd struct{ in, out *half }

func (e PipeEnd) Read(p []byte) (int, error)  { return e.in.read(p) }
func (e PipeEnd) Write(p []byte) (int, error) { return e.out.write(p) }

// Close closes both directions: what is left to read can still be read at the other end, but not here.
func (e PipeEnd) Close() error {
	e.in.close(true)
	e.out.close(false)
	return nil
}

// half is one direction.
type half struct {
	mu      sync.Mutex
	changed *sync.Cond
	bytes   []byte
	ended   bool // nothing more is written
	closed  bool // nothing more is read
}

func newHalf() *half {
	h := new(half)
	h.changed = sync.NewCond(&h.mu)
	return h
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.bytes) == 0 && !h.ended && !h.closed {
		h.changed.Wait()
	}
	switch {
	case h.closed:
		return 0, os.ErrClosed
	case len(h.bytes) == 0:
		return 0, io.EOF
	}
	n := copy(p, h.bytes)
	h.bytes = h.bytes[n:]
	h.changed.Broadcast()
	return n, nil
}

func (h *half) write(p []byte) (written int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.ended:
			return written, os.ErrClosed
		case h.closed:
			return written, io.ErrClosedPipe
		case written == len(p):
			return written, nil
		}
		if n := min(len(p)-written, PipeRoom-len(h.bytes)); n > 0 {
			h.bytes = append(h.bytes, p[written:written+n]...)
			written += n
			h.changed.Broadcast()
			continue
		}
		h.changed.Wait()
	}
}

func (h *half) close(reading bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	h.closed = h.closed || reading
	h.changed.Broadcast()
}
