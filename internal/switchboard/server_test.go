package switchboard

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/gittest"
)

// Whatever is no command of ours is refused with one line on standard
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
		{"another command", exec("cat /etc/passwd"), "unknown command"},
		{"no command", exec(""), "unknown command"},
		{"control characters", exec("\x1b[2J\n\n"), "unknown command"},
		{"a token nobody has", exec("00000"), "nobody is waiting"},
		{"a huge command", exec(strings.Repeat("a", 262_000)), "too long"},
		{"a malformed one", func(p *peer) { p.request("exec", []byte("new")) }, "malformed"},
		{"a shell", func(p *peer) { p.request("shell", nil) }, "no shell"},
		{"a subsystem", func(p *peer) { p.request("subsystem", ssh.Marshal(struct{ Name string }{"sftp"})) }, "no subsystem"},
		{"a pty", spoilt("pty-req", true), "no terminal"},
		{"an agent", spoilt("auth-agent-req@openssh.com", false), "no agent"},
		{"X11", spoilt("x11-req", false), "no X11"},
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
		eventually(t, "nobody waits", func() bool { return b.waiting.number()+b.links.number() == 0 })
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

// When a waiting side goes, so do its token and its place.
func TestWaitingSideGoes(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	for _, leave := range []func(*peer){
		func(p *peer) { p.net.Close() },
		func(p *peer) { p.ch.Close() },
		func(p *peer) { p.ch.CloseWrite(); p.net.Close() },
	} {
		a, token := b.wait(t)
		leave(a)
		eventually(t, "the token is void", func() bool { return b.waiting.number() == 0 })
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

// A dead side whose connection has not ended is noticed, whether it waits or is linked.
func TestDeadSide(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) {
		o.KeepaliveInterval = 50 * time.Millisecond
		o.KeepaliveTime = 5 * time.Second
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
	eventually(t, "it is noticed", func() bool { return b.counted(deadPeer) == 1 && b.waiting.number() == 0 })
	b.run(t, token).refused("nobody is waiting")

	m, a = dial()
	token = a.session().exec("new").line()
	c := b.join(t, token)
	close(m.frozen)
	c.end()
	c.exit(1)

	// One that lives is left alone for longer than it took to notice the dead.
	a, token = b.wait(t)
	time.Sleep(3 * time.Second)
	c = b.join(t, token)
	a.write("ping")
	c.read("ping")
}

// A full window of data sent right behind a command is kept, however late the command is handled.
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

// Stopping sends away those who wait, lets links end for the grace time, and takes nobody new.
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

func TestOptions(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	for _, change := range []func(*Options){
		func(o *Options) { o.MaxLinks = 0 },
		func(o *Options) { o.MaxWaiting = -1 },
		func(o *Options) { o.TokenDigits = 4 },
		func(o *Options) { o.TokenDigits = 17 },
		func(o *Options) { o.HandshakeTime = 0 },
		func(o *Options) { o.WaitTime = -1 },
	} {
		o := b.opt
		change(&o)
		if o.Check() == nil {
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
	eventually(t, "it is logged", func() bool { return strings.Contains(buf.String(), "msg=linked ") })
	for b.linkLines.Allow() {
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
