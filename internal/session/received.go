package session

import (
	"bufio"
	"bytes"
	"container/heap"
	"fmt"
	"io"
	"iter"
	"os"

	"aig/internal/oid"
)

// Received is the names of the objects that have been stored. They wait in a temporary file, a sorted run for each
// pack, so that a first sync of a large store does not hold its list in memory. The file has lost its name already, where
// the system allows it: nothing is left of it if we are killed.
type Received struct {
	format oid.Format
	file   *os.File
	named  bool // the file still has its name
	out    *bufio.Writer
	runs   []int64 // how many names each run has
	n      int64
}

func newReceived(format oid.Format) (*Received, error) {
	file, err := os.CreateTemp("", "aig-received-")
	if err != nil {
		return nil, err
	}
	r := &Received{format: format, file: file, out: bufio.NewWriter(file)}
	r.named = os.Remove(file.Name()) != nil
	return r, nil
}

// Close removes the file.
func (r *Received) Close() error {
	err := r.file.Close()
	if r.named {
		err = os.Remove(r.file.Name())
	}
	return err
}

// Len is the number of names.
func (r *Received) Len() int64 { return r.n }

// run is the names of one pack, ascending. Without a commit they are forgotten.
type run struct {
	r *Received
	n int64
}

// begin starts a run where the last committed one ended.
func (r *Received) begin() *run { return &run{r: r} }

func (u *run) add(name []byte) error {
	if u.n == 0 {
		// An uncommitted run may have left something behind.
		u.r.out.Reset(u.r.file)
		if _, err := u.r.file.Seek(u.r.n*int64(u.r.format.Size()), io.SeekStart); err != nil {
			return err
		}
	}
	u.n++
	_, err := u.r.out.Write(name)
	return err
}

func (u *run) commit() error {
	if u.n == 0 {
		return nil
	}
	if err := u.r.out.Flush(); err != nil {
		return fmt.Errorf("the list of received objects: %w", err)
	}
	u.r.n += u.n
	u.r.runs = append(u.r.runs, u.n)
	return nil
}

// All goes through the names, ascending. A name is valid until the next one.
func (r *Received) All() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var heads runHeap
		var start int64
		size := int64(r.format.Size())
		for _, n := range r.runs {
			section := io.NewSectionReader(r.file, start*size, n*size)
			start += n
			heads = append(heads, &runHead{left: n, in: bufio.NewReader(section), name: make([]byte, size)})
		}
		for i := len(heads) - 1; i >= 0; i-- {
			if err := heads[i].next(); err != nil {
				yield(nil, err)
				return
			}
		}
		heap.Init(&heads)
		for len(heads) > 0 {
			if !yield(heads[0].name, nil) {
				return
			}
			if heads[0].left == 0 {
				heap.Pop(&heads)
				continue
			}
			if err := heads[0].next(); err != nil {
				yield(nil, err)
				return
			}
			heap.Fix(&heads, 0)
		}
	}
}

// runHead is the next name of a run.
type runHead struct {
	left int64
	in   *bufio.Reader
	name []byte
}

func (h *runHead) next() error {
	h.left--
	if _, err := io.ReadFull(h.in, h.name); err != nil {
		return fmt.Errorf("the list of received objects: %w", err)
	}
	return nil
}

// runHeap has the run with the smallest next name on top.
type runHeap []*runHead

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return bytes.Compare(h[i].name, h[j].name) < 0 }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)        { *h = append(*h, x.(*runHead)) }
func (h *runHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}
