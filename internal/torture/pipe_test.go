package torture

import (
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"time"
)

// fault is what one way of a pipe does to the bytes that it passes on.
type fault struct {
	kind faultKind
	at   int64 // how many bytes arrive before it happens
	mask byte  // for flip: the bits that change

	patch   []byte // replaces what was sent, from byte patchAt on
	patchAt int64

	harmful bool // the session may fail even if the fault doesn't happen

	piece  func() int           // how many bytes arrive at a time; nil means as they were sent
	single bool                 // nothing arrives until all that came before it has been read
	delay  func() time.Duration // of what arrives; nil means none
	yields time.Duration        // nothing arrives until the other way has been quiet for that long
}

type faultKind int

const (
	none   faultKind = iota
	cut              // the pipe breaks both ways at once: readers get an end of file, writers a broken pipe
	half             // this way ends, and the other one goes on
	freeze           // nothing more arrives, not even an end of file
	flip             // one byte is altered
)

var faultNames = map[faultKind]string{none: "nothing", cut: "cut", half: "one way cut", freeze: "frozen", flip: "flipped"}

// end is one side's end of a pipe: its standard input and output. Whoever uses them closes them.
type end struct{ in, out *os.File }

// pipe is a pipe of two ways: way i leads from side i to the other.
type pipe struct {
	ends [2]end
	ways [2]*way
	over sync.WaitGroup
}

// way is one direction.
type way struct {
	fault
	other    *way
	src, dst *os.File
	passed   int64
	keep     bool
	record   []byte        // what has arrived, if keep
	silent   chan struct{} // closed when the sender is gone

	mu      sync.Mutex
	sent    time.Time // when the sender last sent something
	reached bool      // the fault has happened
}

// newPipe makes a pipe with these faults. If keep is set, it records what arrives.
func newPipe(t testing.TB, faults [2]fault, keep bool) *pipe {
	t.Helper()
	p := new(pipe)
	for i := range p.ways {
		p.ways[i] = newWay(t, faults[i], &p.ends[i], &p.ends[1-i])
		p.ways[i].keep = keep
	}
	p.ways[0].other, p.ways[1].other = p.ways[1], p.ways[0]
	for _, w := range p.ways {
		p.over.Go(w.run)
	}
	return p
}

// newWay makes one direction, and gives both ends their file of it. Its other is itself until newPipe sets it.
func newWay(t testing.TB, f fault, from, to *end) *way {
	t.Helper()
	w := &way{fault: f, silent: make(chan struct{}), sent: time.Now()}
	w.other = w
	var err error
	if w.src, from.out, err = os.Pipe(); err == nil {
		to.in, w.dst, err = os.Pipe()
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// wait waits until the pipe is gone, which it is once both ends are closed, and reports whether anything happened that may keep
// a session from succeeding.
func (p *pipe) wait() (reached bool) {
	p.over.Wait()
	return p.ways[0].happened() || p.ways[1].happened()
}

func (w *way) happened() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reached || w.kind == none && w.harmful
}

var errFault = errors.New("the pipe ends here")

func (w *way) run() {
	err := error(nil)
	if w.at == 0 && w.kind != none && w.kind != flip {
		err = w.happen()
	}
	switch {
	case err != nil:
	case w.delay != nil:
		err = w.later()
	default:
		err = w.read(w.deliver)
	}
	broken := errors.Is(err, errFault)
	switch {
	case broken && w.kind == cut:
		for _, f := range []*os.File{w.src, w.dst, w.other.src, w.other.dst} {
			f.Close()
		}
		close(w.silent)
		return
	case broken && w.kind == half:
		w.dst.Close()
	}
	// A receiver that leaves early is not a fault of the pipe: the sender can still send the rest.
	io.Copy(io.Discard, w.src)
	close(w.silent)
	w.src.Close()
	if w.kind == freeze {
		<-w.other.silent // the receiver is gone too
	}
	w.dst.Close()
}

// read passes on what is sent, as it comes, until the end or an error.
func (w *way) read(hand func([]byte) error) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := w.src.Read(buf)
		if n > 0 {
			w.mu.Lock()
			w.sent = time.Now()
			w.mu.Unlock()
			if err := hand(buf[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// later delivers what is sent after a delay, in order.
func (w *way) later() error {
	type parcel struct {
		due   time.Time
		bytes []byte
	}
	underway := make(chan parcel, 1<<10)
	result := make(chan error, 1)
	go func() {
		var err error
		for p := range underway {
			time.Sleep(time.Until(p.due))
			if err == nil {
				err = w.deliver(p.bytes)
			}
		}
		result <- err
	}()
	err := w.read(func(b []byte) error {
		underway <- parcel{time.Now().Add(w.delay()), append([]byte(nil), b...)}
		return nil
	})
	close(underway)
	return errors.Join(err, <-result)
}

// deliver passes bytes on, and applies the fault to them.
func (w *way) deliver(b []byte) error {
	for len(b) > 0 {
		n := len(b)
		if w.piece != nil {
			n = min(n, w.piece())
		}
		ends := w.kind == cut || w.kind == half || w.kind == freeze
		if ends && w.passed+int64(n) >= w.at {
			n = int(w.at - w.passed)
		} else {
			ends = false
		}
		w.yield()
		if w.single {
			w.drained()
		}
		if _, err := w.dst.Write(w.alter(b[:n])); err != nil {
			return err
		}
		w.passed += int64(n)
		b = b[n:]
		if ends {
			return w.happen()
		}
	}
	return nil
}

func (w *way) happen() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reached = true
	return errFault
}

// alter applies patch and flip to the next bytes, in place, and records them.
func (w *way) alter(b []byte) []byte {
	for i := range b {
		at := w.passed + int64(i)
		if k := at - w.patchAt; k >= 0 && k < int64(len(w.patch)) {
			b[i] = w.patch[k]
		}
		if w.kind == flip && at == w.at {
			b[i] ^= w.mask
			w.happen()
		}
	}
	if w.keep {
		w.record = append(w.record, b...)
	}
	return b
}

// drained waits until the receiver has read everything, but for a second at most, as it may be gone.
func (w *way) drained() {
	for began := time.Now(); unread(w.dst) > 0 && time.Since(began) < time.Second; {
		time.Sleep(20 * time.Microsecond)
	}
}

// yield waits until the other direction is quiet.
func (w *way) yield() {
	for w.yields > 0 {
		w.other.mu.Lock()
		quiet := time.Since(w.other.sent)
		w.other.mu.Unlock()
		if quiet >= w.yields {
			return
		}
		time.Sleep(w.yields - quiet)
	}
}
