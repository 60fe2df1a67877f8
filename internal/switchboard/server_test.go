package switchboard

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/gittest"
)

// Whatever is neither new nor a token is refused with one line on standard
// error and exit status 1.
func TestRefusals(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	exec := func(cmd string) func(*peer) { return func(p *peer) { p.exec(cmd) } }
	spoilt := func(kind string, answer bool) func(*peer) {
		return func(p *peer) {
			if p.request(kind, nil) != answer {
				t.Errorf("%s was answered with %v", kind, !answer)
			}
			p.exec("new")
		}
	}
	for _, c := range []struct {
		name string
		ask  func(*peer)
		line string
	}{
		{"another command", exec("cat /etc/passwd"), "neither new nor a token"},
		{"no command", exec(""), "neither new nor a token"},
		{"control characters", exec("\x1b[2J\n\n"), "neither new nor a token"},
		{"a token nobody has", exec("00000"), "nobody is waiting"},
		{"a huge command", exec(strings.Repeat("a", 262_000)), "too long"},
		{"a malformed one", func(p *peer) { p.request("exec", []byte("new")) }, "malformed"},
		{"a shell", func(p *peer) { p.request("shell", nil) }, "no shell"},
		{"a subsystem", func(p *peer) { p.request("subsystem", ssh.Marshal(struct{ Name string }{"sftp"})) }, "no subsystem"},
		{"a pty", spoilt("pty-req", true), "no terminal"},
		{"an agent", spoilt("auth-agent-req@openssh.com", false), "no agent"},
		{"X11", spoilt("x11-req", false), "no X11"},
		{"a pty and no command", func(p *peer) { p.request("pty-req", nil) }, "no terminal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := b.dial(t).session()
			p.tb = t
			c.ask(p)
			p.refused(c.line)
		})
	}
	t.Run("a remote forward", func(t *testing.T) {
		p := b.dial(t)
		ok, _, err := p.conn.SendRequest("tcpip-forward", true, ssh.Marshal(struct {
			Host string
			Port uint32
		}{"", 0}))
		if ok || err != nil {
			t.Errorf("granted %v, %v", ok, err)
		}
		p.session().exec("new").refused("no port forwarding")
	})
	t.Run("nothing else is allocated", func(t *testing.T) {
		eventually(t, "nobody waits", func() bool {
			b.rendezvous.mu.Lock()
			defer b.rendezvous.mu.Unlock()
			return len(b.rendezvous.waiting) == 0 && b.rendezvous.links == 0
		})
	})
	if strings.Contains(b.log.String(), "passwd") || strings.Contains(b.log.String(), "aaaa") || strings.Contains(b.log.String(), "00000") {
		t.Errorf("the log holds what was asked for:\n%s", b.log)
	}
}

// One session, and one command in it; neither a second one nor a forward
// disturbs the first.
func TestOneSession(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	a, token := b.wait(t)
	for _, kind := range []string{"session", "direct-tcpip", "direct-streamlocal@openssh.com", "x11", "nonsense"} {
		_, _, err := a.conn.OpenChannel(kind, nil)
		var refused *ssh.OpenChannelError
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for _, kind := range []string{"exec", "shell", "pty-req", "auth-agent-req@openssh.com"} {
		if a.request(kind, payload("new")) {
			t.Errorf("a second %s was granted", kind)
		}
	}
	// "env" comes before the command with OpenSSH, and does no harm.
	c := b.dial(t).session()
	c.request("env", ssh.Marshal(struct{ Name, Value string }{"LANG", "C"}))
	c.exec(token)
	if line := c.line(); line != "switched" {
		t.Fatalf("%q", line)
	}
	a.write("ping")
	c.read("ping")
}

// A token works once: a third side, and a fourth, find nobody.
func TestTokenOnceOverSSH(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	a, token := b.wait(t)
	c := b.join(t, token)
	b.run(t, token).refused("nobody is waiting")
	a.write("ping")
	c.read("ping")
	b.run(t, token).refused("nobody is waiting")
	if log := b.log.String(); strings.Contains(log, token) || strings.Contains(log, "ping") {
		t.Errorf("the log tells too much:\n%s", log)
	}
}

// When a waiting side goes, its token goes, and its place.
func TestWaitingSideGoes(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.MaxWaiting = 1 })
	for _, leave := range []func(*peer){
		func(p *peer) { p.net.Close() },
		func(p *peer) { p.ch.Close() },
		func(p *peer) { p.ch.CloseWrite(); p.net.Close() },
	} {
		a, token := b.wait(t)
		b.run(t, "new").refused("too many are waiting")
		leave(a)
		eventually(t, "the token is void", func() bool {
			b.rendezvous.mu.Lock()
			defer b.rendezvous.mu.Unlock()
			return len(b.rendezvous.waiting) == 0
		})
		b.run(t, token).refused("nobody is waiting")
	}
}

// mute is a connection whose other end reads and answers nothing more once it
// is frozen, but does not close it either: a laptop whose lid was closed.
type mute struct {
	net.Conn
	frozen chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (m *mute) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	select {
	case <-m.frozen:
		<-m.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (m *mute) Close() error {
	m.once.Do(func() { close(m.closed) })
	return m.Conn.Close()
}

// A side that is dead without its connection having ended is noticed, when it
// waits and when it is linked.
func TestDeadSide(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) {
		o.KeepaliveInterval = 50 * time.Millisecond
		o.KeepaliveTime = 2 * time.Second
		o.GuessDelay = 0
	})
	dial := func() (*mute, *peer) {
		conn, err := net.Dial("tcp", b.addr)
		if err != nil {
			t.Fatal(err)
		}
		m := &mute{Conn: conn, frozen: make(chan struct{}), closed: make(chan struct{})}
		return m, b.dialOn(t, m)
	}
	m, a := dial()
	token := a.session().exec("new").line()
	close(m.frozen)
	eventually(t, "it is noticed", func() bool { return b.refused(deadPeer) == 1 })
	b.run(t, token).refused("nobody is waiting")

	m, a = dial()
	token = a.session().exec("new").line()
	c := b.join(t, token)
	close(m.frozen)
	c.refused("connection was lost")

	// One that lives is left alone for longer than it took to notice the dead.
	a, token = b.wait(t)
	time.Sleep(3 * time.Second)
	c = b.join(t, token)
	a.write("ping")
	c.read("ping")
}

func TestWaitTime(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.WaitTime = 100 * time.Millisecond })
	a, token := b.wait(t)
	a.refused("nobody came")
	b.run(t, token).refused("nobody is waiting")
}

func TestLinkLimit(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.MaxLinks = 1 })
	a, c := b.link(t)
	d, token := b.wait(t)
	b.run(t, token).refused("too many links")
	a.ch.CloseWrite()
	c.ch.CloseWrite()
	a.net.Close()
	c.net.Close()
	eventually(t, "the link has ended", func() bool {
		b.rendezvous.mu.Lock()
		defer b.rendezvous.mu.Unlock()
		return b.rendezvous.links == 0
	})
	e := b.join(t, token)
	d.write("ping")
	e.read("ping")
}

func TestWaitingPerSource(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.MaxWaitingPerSource = 2 })
	b.wait(t)
	b.wait(t)
	b.run(t, "new").refused("from your address")
	// Somebody else may still wait.
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	conn, err := d.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	if token := b.dialOn(t, conn).session().exec("new").line(); len(token) < 5 {
		t.Errorf("the token is %q", token)
	}
}

// silence opens connections that send what they are given, and nothing more.
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
		o.HandshakeTime = 500 * time.Millisecond
		o.CommandTime = 500 * time.Millisecond
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

// Many connections that never speak, more than may be open, keep nobody out;
// nor do many that speak one byte. The pair comes from the same address.
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
	eventually(t, "those who had to go are counted", func() bool { return b.refused(tooManyConnections) >= 600-64 })
}

// When every connection is in use for something, one more is told so.
func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.MaxConnections = 2 })
	b.wait(t)
	b.wait(t)
	r := dialRaw(t, b.addr)
	r.versions()
	r.dismissed("too many connections are open")
}

// Guesses fail, are counted and cost time; a pair from the same address links
// all the same.
func TestGuessing(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.GuessDelay = 200 * time.Millisecond })
	a, token := b.wait(t)
	var wait sync.WaitGroup
	var tries atomic.Int64
	stop := make(chan struct{})
	for range 8 {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				conn, err := net.Dial("tcp", b.addr)
				if err != nil {
					continue
				}
				p, err := b.tryDial(t, conn)
				if err != nil {
					continue
				}
				p.session().exec("0000000").refused("nobody is waiting")
				p.conn.Close()
				tries.Add(1)
			}
		})
	}
	eventually(t, "some have failed", func() bool { return tries.Load() > 20 })
	c := b.join(t, token)
	a.write("ping")
	c.read("ping")
	close(stop)
	wait.Wait()
	if got, want := int64(b.refused(wrongToken)), tries.Load(); got != want {
		t.Errorf("%d wrong tokens were counted, not %d", got, want)
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
			if got := b.refused(flooding); got != 1 {
				t.Errorf("%d floods were counted", got)
			}
		})
	}
}

// Much before the command stalls, and costs the connection in the end.
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

// What comes at once behind a command, a full window of it, is kept, however
// late the command is looked at.
func TestDataBehindCommand(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	data := strings.Repeat("0123456789abcdef", 2<<20/16)
	for range gittest.Rounds(5, 100) {
		a := b.dial(t).session()
		a.ch.SendRequest("exec", false, payload("new")) // not waiting for an answer
		a.write(data)
		c := b.join(t, a.line())
		c.read(data)
		a.conn.Close()
		c.conn.Close()
	}
}

// Stopping sends those away who wait, lets links end for the grace time, and
// takes nobody new.
func TestStopping(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.Grace = time.Hour })
	a, c := b.link(t)
	w, _ := b.wait(t)
	silent := silence(t, b.addr, 1, "")[0]
	b.stop()
	w.refused("going down")
	io.Copy(io.Discard, silent)
	if _, err := net.Dial("tcp", b.addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connecting: %v", err)
	}
	a.write("ping")
	c.read("ping")
	select {
	case <-b.done:
		t.Fatal("Serve returned with a link running")
	default:
	}
	a.ch.CloseWrite()
	c.end()
	c.ch.CloseWrite()
	a.end()
	a.exit(0)
	c.exit(0)
	a.net.Close()
	c.net.Close()
	select {
	case <-b.done:
	case <-time.After(patience):
		t.Fatal("Serve has not returned")
	}
}

// When the grace time is over, links are ended.
func TestGraceOver(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.Grace = 50 * time.Millisecond })
	a, c := b.link(t)
	b.stop()
	a.refused("going down")
	c.refused("going down")
}

// errExhausted is what a process without file descriptors gets.
const errExhausted = syscall.EMFILE

// failingListener fails to accept as often as it is told.
type failingListener struct {
	net.Listener
	errno    syscall.Errno
	failures atomic.Int32
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", l.errno)}
	}
	return l.Listener.Accept()
}

// Failures to accept for want of file descriptors slow accepting down, and
// cost those their connections who have shown the least.
func TestOutOfDescriptors(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &failingListener{Listener: ln, errno: errExhausted}
	b := startBoardOn(t, l, nil)
	a, token := b.wait(t)
	silent := silence(t, b.addr, 1, "")[0]
	io.ReadFull(silent, make([]byte, 4)) // it has been accepted
	l.failures.Store(3)
	// The acceptor may already be waiting: this one is let in first.
	silence(t, b.addr, 1, "")
	c := b.join(t, token)
	a.write("ping")
	c.read("ping")
	if _, err := io.Copy(io.Discard, silent); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("nobody was dropped")
	}
	if n := b.refused(outOfDescriptors); n != 3 {
		t.Errorf("%d failures were counted", n)
	}
}

// What goes wrong with one connection before it is accepted, or with the
// network for a moment, is no end of the switchboard, and nobody's fault.
func TestPassingFailures(t *testing.T) {
	t.Parallel()
	for _, errno := range []syscall.Errno{syscall.ECONNABORTED, syscall.EPROTO, syscall.EPERM, syscall.ENETDOWN, syscall.EHOSTUNREACH} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l := &failingListener{Listener: ln, errno: errno}
		l.failures.Store(3)
		b := startBoardOn(t, l, nil)
		b.wait(t)
		if n := b.refused(outOfDescriptors); n != 3 {
			t.Errorf("%v: %d failures were counted", errno, n)
		}
	}
}

// brokenListener fails for good.
type brokenListener struct{ net.Listener }

func (brokenListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }

func TestListenerBroken(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := startBoard(t, nil)
	if err := b.Serve(context.Background(), brokenListener{ln}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
}

// The log's first line is what scripts read.
func TestListeningLine(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	want := "level=INFO msg=listening addr=" + b.addr + " fingerprint=" + ssh.FingerprintSHA256(b.opt.HostKey.PublicKey()) + "\n"
	eventually(t, "it is logged", func() bool { return strings.Contains(b.log.String(), want) })
}

func TestOptions(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	for _, change := range []func(*Options){
		func(o *Options) { o.HostKey = nil },
		func(o *Options) { o.Logger = nil },
		func(o *Options) { o.MaxLinks = 0 },
		func(o *Options) { o.MaxWaiting = -1 },
		func(o *Options) { o.TokenDigits = 4 },
		func(o *Options) { o.TokenDigits = 17 },
		func(o *Options) { o.HandshakeTime = 0 },
		func(o *Options) { o.WaitTime = -1 },
	} {
		o := b.opt
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("no error for %+v", o)
		}
	}
}

// However many links there are, the log does not grow with them.
func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	buf := new(logBuffer)
	b := startBoard(t, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(buf, nil)) })
	b.link(t)
	for b.linkLines.take() {
	}
	b.link(t)
	b.stop()
	<-b.done
	if n := strings.Count(buf.String(), "msg=linked "); n != 1 {
		t.Errorf("%d links were logged", n)
	}
	if !strings.Contains(buf.String(), "links were not logged") {
		t.Errorf("the log does not say that it is not all:\n%s", buf)
	}
}
