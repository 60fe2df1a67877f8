package switchboard

import (
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"aig/internal/sshtest"
)

// A side that leaves while its partner pours ends the link at once, and the partner is told.
func TestLeavesPourer(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	for name, leave := range map[string]func(*peer){
		"closes its session":  func(p *peer) { p.ch.Close() },
		"breaks":              func(p *peer) { p.net.Close() },
		"ends, then closes":   func(p *peer) { p.ch.CloseWrite(); p.ch.Close() },
		"resets":              func(p *peer) { p.net.(*net.TCPConn).SetLinger(0); p.net.Close() },
		"closes half of TCP":  func(p *peer) { p.net.(*net.TCPConn).CloseWrite() },
		"says it disconnects": func(p *peer) { p.conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, c := b.link(t)
			a.tb, c.tb = t, t
			read := make(chan struct{})
			go func() { defer close(read); io.ReadFull(a.ch, make([]byte, 1<<20)); leave(a); io.Copy(io.Discard, a.ch) }()
			if _, err := io.Copy(c.ch, zeros{}); err == nil {
				t.Error("it could pour for ever")
			}
			c.exit(1)
			<-read
		})
	}
}

// Nothing that a client sends gets into the log: every line is the switchboard's own.
func TestNothingForeignInLog(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil) // at the debug level
	const evil = "evil\x1b[31m\r\nlevel=ERROR msg=evil"
	r := dialRaw(t, b.addr)
	io.WriteString(r.net, "SSH-2.0-"+evil+"\r\n")
	r.ended()
	r = dialRaw(t, b.addr)
	r.versions()
	r.fatal("key exchange", r.Exchange())
	r.Send(sshtest.Strings(evil), sshtest.ServiceRequest)
	r.ended()
	b.run(t, evil).refused("unknown command")
	p := b.dial(t).session()
	p.request("subsystem", sshtest.Strings(evil, evil))
	p.refused("no subsystem")
	p = b.dial(t).session()
	p.request(evil, sshtest.Strings(evil, evil))
	p.exec("new\n" + evil).refused("unknown command")
	p = b.dial(t)
	p.conn.SendRequest(evil, true, []byte(evil))
	p.open(evil)
	p.conn.Close()
	a, c := b.link(t)
	a.write(evil)
	c.read(evil)
	b.stop()
	<-b.done
	line := regexp.MustCompile(`^time=\S+ level=[A-Z]+ msg=("[a-z ]+"|[a-z]+)( [a-z_]+=("[a-zA-Z ;:0-9-]+"|[!-~]+))*$`)
	for text := range strings.Lines(b.log.String()) {
		if text = strings.TrimSuffix(text, "\n"); !line.MatchString(text) || strings.Contains(text, "evil") {
			t.Errorf("a line of the log: %q", text)
		}
	}
}

// Only the whole token matches: not a part of it, nor the token with anything but blanks around it.
func TestTokenWhole(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) {
		o.TokenDigits = 12
	})
	a, token := b.wait(t)
	for _, wrong := range []string{token[:5], token[:11], token[1:], token + "0", "0" + token, token[:11] + "g",
		token + "\x00", "0x" + token, token[:6] + " " + token[6:]} {
		b.run(t, wrong).refused("")
	}
	c := b.join(t, " "+strings.ToUpper(token)+"\n")
	a.write("ping")
	c.read("ping")
}

// However busy the switchboard is, and however its clients hang on, it ends
// when it is told to, within the grace time and the time for a last line.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) {
		o.Grace = 200 * time.Millisecond
		o.ControlTime = time.Second
		o.MaxConnections = 100
	})
	var wait sync.WaitGroup
	defer wait.Wait()
	for i := range 8 {
		wait.Go(func() {
			for {
				conn, err := net.Dial("tcp", b.addr)
				if err != nil {
					return
				}
				if p, err := b.tryDial(t, conn); err == nil && i%2 == 0 {
					p.conn.SendRequest("x", true, nil)
				}
				conn.Close()
			}
		})
	}
	silence(t, b.addr, 20, "S")
	// These two get their line and don't leave: they keep sending.
	for _, command := range []string{"new", "nonsense"} {
		r := b.execs(t, command)
		r.net.SetDeadline(time.Now().Add(2 * patience))
		wait.Go(func() {
			for r.Send(nil, sshtest.Ignore) == nil {
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
	a, c := b.link(t)
	for _, p := range []*peer{a, c} {
		wait.Go(func() { io.Copy(p.ch, zeros{}) })
	}
	b.stop()
	select {
	case <-b.done:
	case <-time.After(patience / 2):
		t.Error("it has not ended")
	}
}
