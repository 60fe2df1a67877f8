package switchboard

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func TestWaitTime(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.WaitTime = 100 * time.Millisecond })
	a, token := b.wait(t)
	a.refused("nobody came")
	b.run(t, token).refused("nobody is waiting")
}

// One link too many costs the quietest of the crowd its place, and both its sides are told.
func TestLinkLimit(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.MaxLinks = 2 })
	busy, busyToo := b.link(t)
	quiet, quietToo := b.link(t)
	busy.write("x")
	busyToo.read("x")
	a, c := b.link(t)
	quiet.refused("this one was the quietest")
	quietToo.refused("this one was the quietest")
	for _, link := range [][2]*peer{{busy, busyToo}, {a, c}} {
		link[0].write("ping")
		link[1].read("ping")
	}
}

// silence opens connections that send a text, and nothing more.
func silence(t *testing.T, addr string, n int, say string) []net.Conn {
	t.Helper()
	var conns []net.Conn
	for range n {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(patience))
		io.WriteString(conn, say)
		conns = append(conns, conn)
	}
	return conns
}

// Those who don't speak, or too slowly, are sent away in time: before the
// version, in the middle of it, before the key exchange, after the handshake
// and after the session's opening.
func TestSilence(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) {
		o.HandshakeTime = 3 * time.Second
		o.CommandTime = 3 * time.Second
	})
	var conns []net.Conn
	for _, say := range []string{"", "SS", "SSH-2.0-slow\r\n"} {
		conns = append(conns, silence(t, b.addr, 1, say)...)
	}
	trickle := silence(t, b.addr, 1, "")[0]
	go func() {
		for {
			if _, err := trickle.Write([]byte("S")); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	for _, conn := range append(conns, trickle) {
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the connection has not been closed")
		}
	}
	b.dial(t).closed() // as ssh -N does
	b.dial(t).session().refused("no command came")
}

// Many connections that never speak, more than may be open, keep nobody out; nor do many that send one byte. The pair comes from
// the same address.
func TestSilentCrowd(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.MaxConnections = 64 })
	silence(t, b.addr, 200, "")
	silence(t, b.addr, 200, "S")
	a, token := b.wait(t)
	silence(t, b.addr, 100, "")
	c := b.join(t, token)
	silence(t, b.addr, 100, "S")
	a.write("ping")
	c.read("ping")
	eventually(t, "those who had to go are counted", func() bool { return b.counted(tooManyConnections) >= 600-64 })
}

// When every connection is in use, one more is turned away and told so.
func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.MaxConnections = 2 })
	b.wait(t)
	b.wait(t)
	r := dialRaw(t, b.addr)
	r.versions()
	r.dismissed("too many connections are open")
}

// Wrong tokens fail and are counted; when there have been too many, further
// ones are not looked up, nor is a right one from the same address.
func TestGuessing(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.Lookups = 20 })
	_, token := b.wait(t)
	for range 20 {
		b.run(t, "0000000").refused("nobody is waiting")
	}
	b.run(t, token).refused("too many tokens have been tried")
	if n := b.counted(wrongToken); n != 20 {
		t.Errorf("%d wrong tokens were counted", n)
	}
}

// Floods of requests and channels are answered for a while, told so and cut
// off.
func TestFloods(t *testing.T) {
	t.Parallel()
	for name, flood := range map[string]func(*peer) error{
		"global requests": func(p *peer) error {
			_, _, err := p.conn.SendRequest("flood", false, nil)
			return err
		},
		"answered global requests": func(p *peer) error {
			_, _, err := p.conn.SendRequest("flood", true, nil)
			return err
		},
		"channels": func(p *peer) error {
			_, err := p.open("session")
			var refused *ssh.OpenChannelError
			if errors.As(err, &refused) {
				return nil
			}
			return err
		},
		"session requests": func(p *peer) error {
			_, err := p.ch.SendRequest("env", false, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := startBoard(t, nil)
			p, _ := b.wait(t)
			p.tb = t
			n := 0
			for flood(p) == nil { // at the latest until the deadline of the connection
				n++
			}
			if n < 100 {
				t.Errorf("only %d were let through", n)
			}
			p.closed()
			if line := p.line(); !strings.HasPrefix(line, "switchboard: too many requests") {
				t.Errorf("the line is %q", line)
			}
			if got := b.counted(flooding); got != 1 {
				t.Errorf("%d floods were counted", got)
			}
		})
	}
}

// Too much data before the command stalls, and costs the connection in the end.
func TestOpeningBudget(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.CommandTime = time.Second })
	p := b.dial(t)
	var err error
	for n := 0; n < 1000 && err == nil; n++ {
		_, _, err = p.conn.SendRequest("large", false, make([]byte, 30_000))
	}
	if err == nil {
		t.Error("30 MB were taken")
	}
	p.closed()
}
