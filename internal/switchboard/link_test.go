package switchboard

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"aig/internal/gittest"
	"aig/internal/sshtest"
)

// Each one's output is the other's input, and both get status 0 when both
// have said their end of file, in whatever order.
func TestLink(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	for _, waiterFirst := range []bool{true, false} {
		a, c := b.link(t)
		a.write("ping")
		c.read("ping")
		c.write("pong")
		a.read("pong")
		first, second := a, c
		if !waiterFirst {
			first, second = c, a
		}
		first.ch.CloseWrite()
		second.end()
		second.write("still talking")
		first.read("still talking")
		second.ch.CloseWrite()
		first.end()
		first.exit(0)
		second.exit(0)
		first.closed() // though the client doesn't close it
		second.net.Close()
	}
}

// The second to finish says its end of file and closes its session in one
// burst, as OpenSSH does, and leaves when that is answered; the first may be
// slow to read what is left. Both get status 0, time after time.
func TestLastToFinish(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	data := strings.Repeat("0123456789abcdef", 1<<20/16)
	for range gittest.Rounds(10, 100) {
		a, c := b.link(t)
		a.ch.CloseWrite()
		c.end()
		c.write(data)
		c.ch.CloseWrite()
		c.ch.Close()
		a.read(data)
		a.end()
		a.exit(0)
		c.exit(0)
		c.conn.Close()
		a.conn.Close()
	}
}

// Status 0 is not sent too early: whoever has got the other's end of file and goes on sending gets 1 when the other goes.
func TestNoEarlyStatus(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	a, c := b.link(t)
	c.ch.CloseWrite()
	a.end()
	a.write("some")
	c.read("some")
	c.net.Close()
	a.exit(1)
}

// Bytes sent before the other side came are kept, and so is an end of file.
func TestEarlyBytes(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	a, token := b.wait(t)
	early := make([]byte, 2<<20) // SSH's window
	rand.Read(early)
	a.write(string(early))
	a.ch.CloseWrite()
	c := b.join(t, token)
	c.read(string(early))
	answered(a, c)
}

// Much more than any window goes both ways at the same time.
func TestBothWays(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	a, c := b.link(t)
	data := make([]byte, 8<<20)
	rand.Read(data)
	results := make(chan bool, 2)
	for _, p := range []*peer{a, c} {
		go func() {
			io.Copy(p.ch, bytes.NewReader(data))
			p.ch.CloseWrite()
		}()
		go func() {
			got, err := io.ReadAll(p.ch)
			results <- err == nil && bytes.Equal(got, data)
		}()
	}
	for range 2 {
		if !<-results {
			t.Error("what came is not what was sent")
		}
	}
	a.exit(0)
	c.exit(0)
}

// What a client sends as its standard error is discarded, and takes nothing from the window for good.
func TestClientStderr(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	a, c := b.link(t)
	if _, err := io.Copy(a.ch.Stderr(), strings.NewReader(strings.Repeat("x", 5<<20))); err != nil {
		t.Fatal(err)
	}
	a.write("ping")
	c.read("ping")
}

// When a connection breaks without an end of file, the other side gets every byte that had come, the end of file and, as it has not
// finished itself, status 1, whether the broken side is the one that waited or not.
func TestConnectionLost(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	for _, breakWaiter := range []bool{true, false} {
		broken, other := b.link(t)
		if !breakWaiter {
			broken, other = other, broken
		}
		broken.write("last words")
		other.read("last words")
		broken.net.Close()
		other.end()
		other.exit(1)
	}
}

// When the other side has already sent its end of file, and only waits for what the broken one sends, it gets the same; but its
// status may be 0, since SSH shows a lost connection and an end of file alike.
func TestTruncated(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	a, c := b.link(t)
	c.ch.CloseWrite()
	a.end()
	a.write("half of it")
	c.read("half of it")
	a.net.Close()
	c.end()
	if status := <-c.status; status != 0 && status != 1 {
		t.Errorf("status %d", status)
	}
}

// Everything that came before the break still arrives, even if the reader is late.
func TestBytesBeforeTheBreak(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	a, c := b.link(t)
	data := strings.Repeat("0123456789abcdef", 3<<20/16) // more than one window
	a.write(data)
	a.net.(*net.TCPConn).CloseWrite() // unlike Close, this loses nothing on its way
	c.read(data)
	c.end()
	c.exit(1)
}

// A side that closes its session, in good order but before the other has
// finished, leaves the other with status 1.
func TestLeftEarly(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	a, c := b.link(t)
	a.ch.Close()
	c.end()
	c.exit(1)

	// After its end of file, too.
	a, c = b.link(t)
	a.ch.CloseWrite()
	c.end()
	a.net.Close()
	c.exit(1)
}

// A link on which nothing moves ends, and both are told. A byte in either
// direction keeps it alive.
func TestIdle(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.IdleTime = 5 * time.Second })
	a, c := b.link(t)
	for i := range 12 { // in all longer than the idle time
		if i%2 == 0 {
			a.write("x")
			c.read("x")
		} else {
			c.write("x")
			a.read("x")
		}
		time.Sleep(500 * time.Millisecond) // shorter than the idle time
	}
	a.refused("nothing has moved")
	c.refused("nothing has moved")
	eventually(t, "the idle link is counted", func() bool { return b.counted(idleLink) == 1 })
}

// A joining side that has said something, or its end of file, is left alone
// however little it says from then on; the side that waited may be silent.
func TestSpokenOnce(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.SilentTime = time.Second })
	a, c := b.link(t)
	c.write("x")
	a.read("x")
	d, e := b.link(t)
	e.ch.CloseWrite()
	d.end()
	silent, _ := b.link(t)
	silent.refused("has sent nothing in 1s") // later than the others would be
	a.write("ping")
	c.read("ping")
	d.write("ping")
	e.read("ping")
}

// A side that doesn't read, while its partner pours, stalls the partner after
// a bounded number of bytes and is cut off in the end.
func TestStalledReader(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) {
		o.IdleTime = 300 * time.Millisecond
		o.ControlTime = 300 * time.Millisecond
	})
	a, c := b.link(t)
	n, err := io.Copy(a.ch, zeros{})
	if err == nil {
		t.Error("pouring into a stalled link succeeded")
	}
	// The window of the client that doesn't read, the window here, and
	// what one copying step holds.
	if most := int64(2<<20 + 2<<20 + 64<<10); n > most {
		t.Errorf("%d bytes were taken, more than %d", n, most)
	}
	c.closed()
	a.closed()
}

// zeros is an endless stream.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A stream of tiny packets that nobody takes costs many times its size in
// memory, and is cut off; see backlogBudget. On a link they are no backlog
// while the partner reads.
func TestTinyPackets(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	r := b.execs(t, "new")
	r.net.SetDeadline(time.Now().Add(10 * patience)) // there is much to encrypt
	token := r.line()
	var err error
	for n := 0; err == nil && n < 2<<20; n++ { // at most a window of them
		err = r.Queue(r.data([]byte{0}), sshtest.ChannelData)
	}
	if err == nil {
		t.Fatal("a window of packets of one byte was taken")
	}
	if line := r.line(); !strings.Contains(line, "too much unread data") {
		t.Errorf("the line is %q", line)
	}
	r.ended()
	eventually(t, "it is counted", func() bool { return b.counted(flooding) == 1 && b.waiting.number() == 0 })
	b.run(t, token).refused("nobody is waiting")

	r = b.execs(t, "new")
	c := b.join(t, r.line())
	r.net.SetDeadline(time.Now().Add(10 * patience))
	c.net.SetDeadline(time.Now().Add(10 * patience))
	const more = backlogBudget/36 + 10_000
	read := make(chan int64)
	go func() {
		n, _ := io.CopyN(io.Discard, c.ch, more)
		read <- n
	}()
	for range more {
		if err := r.Queue(r.data([]byte{0}), sshtest.ChannelData); err != nil {
			t.Fatal(err)
		}
	}
	r.fatal("sending", r.Out.Flush())
	if n := <-read; n != more {
		t.Errorf("%d of %d came", n, more)
	}
}

// BenchmarkRelay prints the rate at which a link carries bytes one way, with
// both clients and the switchboard in one process.
func BenchmarkRelay(b *testing.B) {
	board := startBoard(b, nil)
	a, c := board.link(b)
	for _, p := range []*peer{a, c} {
		p.net.SetDeadline(time.Time{})
	}
	buf := make([]byte, 1<<20)
	b.SetBytes(int64(len(buf)))
	received := make(chan int64)
	go func() {
		n, _ := io.Copy(io.Discard, c.ch)
		received <- n
	}()
	var sent int64
	for b.Loop() {
		n, err := a.ch.Write(buf)
		if err != nil {
			b.Fatal(err)
		}
		sent += int64(n)
	}
	a.ch.CloseWrite()
	if n := <-received; n != sent {
		b.Fatalf("%d of %d bytes arrived", n, sent)
	}
}
