package switchboard

import (
	"encoding/binary"
	"io"
	"net"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"aig/internal/gittest"
	"aig/internal/sshtest"
)

// A client that stops anywhere in its handshake, or goes on a byte at a time,
// is sent away in time; before its key exchange it is told why.
func TestSlowHandshake(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.HandshakeTime = 700 * time.Millisecond })
	half := func(r *raw) {
		mine := r.Packet(r.Offer())
		r.net.Write(mine[:len(mine)/2])
	}
	wholes := func(r *raw) { r.Send(r.Offer()[1:], sshtest.KexInit) }
	for _, c := range []struct {
		name  string
		told  bool
		stall func(r *raw)
	}{
		{"says nothing", true, func(r *raw) {}},
		{"half a version", true, func(r *raw) { io.WriteString(r.net, "SSH-2.") }},
		{"lines that are no version", true, func(r *raw) { io.WriteString(r.net, strings.Repeat("x\n", 100)) }},
		{"a version", true, func(r *raw) { io.WriteString(r.net, sshtest.Version+"\r\n") }},
		{"half an offer of algorithms", true, func(r *raw) { io.WriteString(r.net, sshtest.Version+"\r\n"); half(r) }},
		{"an offer of algorithms", true, func(r *raw) { io.WriteString(r.net, sshtest.Version+"\r\n"); wholes(r) }},
		{"no new keys", false, func(r *raw) {
			r.versions()
			r.StopAt = sshtest.NewKeys
			r.Exchange()
		}},
		{"no authentication", false, func(r *raw) {
			r.versions()
			r.fatal("key exchange", r.Exchange())
			r.fatal("asking", r.Send(sshtest.Strings("ssh-userauth"), sshtest.ServiceRequest))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := dialRaw(t, b.addr)
			c.stall(r)
			if !c.told {
				r.ended()
				return
			}
			if r.Theirs == "" {
				line, err := r.In.ReadString('\n')
				if err != nil || line != serverVersion+"\r\n" {
					t.Fatalf("%q, %v", line, err)
				}
			}
			r.dismissed("no handshake in 700ms")
		})
	}
	offer := sshtest.New(nil)
	for _, c := range []struct {
		name string
		text []byte
	}{
		{"version", []byte(sshtest.Version)},
		{"offer", append([]byte(sshtest.Version+"\r\n"), offer.Packet(offer.Offer())...)},
		{"lines", []byte(strings.Repeat("x\n", 1000))},
	} {
		t.Run("trickled "+c.name, func(t *testing.T) {
			t.Parallel()
			r := dialRaw(t, b.addr)
			go func() {
				for _, x := range c.text {
					if _, err := r.net.Write([]byte{x}); err != nil {
						return
					}
					time.Sleep(20 * time.Millisecond)
				}
			}()
			r.ended()
		})
	}
	t.Cleanup(func() {
		eventually(t, "all are counted", func() bool { return b.refused(noHandshake) == 11 })
	})
}

// What can be sent in a handshake is little: neither its offer of algorithms
// nor lines before the version nor attempts to authenticate make it much.
func TestFatHandshake(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.HandshakeTime = 2 * time.Second })
	for _, c := range []struct {
		name string
		send func(r *raw) error
	}{
		{"offer", func(r *raw) error {
			r.Lists[8] = []byte(strings.Repeat(",", 255_000))
			r.versions()
			return r.Exchange()
		}},
		{"lines", func(r *raw) error {
			_, err := io.WriteString(r.net, strings.Repeat(strings.Repeat("x", 200)+"\n", 1000))
			return err
		}},
		{"a line", func(r *raw) error {
			_, err := io.WriteString(r.net, strings.Repeat("x", 1<<20))
			return err
		}},
		{"key exchanges", func(r *raw) error {
			r.versions()
			for {
				if err := r.Exchange(); err != nil {
					return err
				}
			}
		}},
		{"passwords", func(r *raw) error {
			r.versions()
			if err := r.Exchange(); err != nil {
				return err
			}
			r.Send(sshtest.Strings("ssh-userauth"), sshtest.ServiceRequest)
			for {
				if err := r.Send(append(sshtest.Strings("root", "ssh-connection", "password"), append([]byte{0}, sshtest.Strings("12345")...)...),
					sshtest.UserAuthRequest); err != nil {
					return err
				}
			}
		}},
		{"a length of 4 GiB", func(r *raw) error {
			r.versions()
			_, err := r.net.Write([]byte{0xff, 0xff, 0xff, 0xff, 0xff})
			return err
		}},
		{"HTTP", func(r *raw) error {
			_, err := io.WriteString(r.net, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"+strings.Repeat("x", 1000))
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := dialRaw(t, b.addr)
			c.send(r)
			r.ended()
		})
	}
	t.Cleanup(func() {
		eventually(t, "all are counted", func() bool { return b.refused(noHandshake) == 7 })
	})
}

// A client may renew its keys now and then, and not all the time.
func TestKeyExchangeFlood(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	linked := []bool{true, false}[:gittest.Rounds(1, 2)]
	for _, linked := range linked {
		r := b.execs(t, "new")
		token := r.line()
		if linked {
			b.join(t, token)
		}
		n, err := 0, error(nil)
		for ; err == nil; n++ {
			err = r.Exchange()
		}
		if n < 100 || n > 2*requestBurst {
			t.Errorf("%d key exchanges were done", n)
		}
		r.ended()
	}
	if n := b.refused(flooding); n != uint64(len(linked)) {
		t.Errorf("%d floods are counted", n)
	}
}

// A packet larger than any that SSH obliges us to take is taken before the
// command alone, of few clients at a time, and costs others their memory only
// for as long.
func TestLargePackets(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	offer := func(r *raw) error {
		r.Lists[8] = []byte(strings.Repeat(",", 255_000))
		return r.Send(r.Offer()[1:], sshtest.KexInit)
	}
	// Many offer algorithms without end before their commands, and leave it at
	// that. What they offer takes 16 times as much memory as on the wire.
	var m runtime.MemStats
	heap := func() int {
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	const n = 2 * maxLarge
	for range n {
		r := b.connected(t)
		r.Out = nil // as large as an offer, and no part of the server's
		go func() {
			r.Lists[8] = []byte(strings.Repeat(",", 255_000))
			r.net.Write(r.Packet(r.Offer()))
		}()
	}
	eventually(t, "all places are taken", func() bool { return len(b.large) == maxLarge })
	// The test's own half is in it, too: what it sends and has not got rid of.
	if grown := heap() - before; grown > maxLarge*6<<20+n*1<<20 {
		t.Errorf("%d clients have taken %d MiB", n, grown>>20)
	}
	// Others are not held up.
	a, c := b.link(t)
	a.write("ping")
	c.read("ping")

	for _, linked := range []bool{false, true} {
		r := b.execs(t, "new")
		token := r.line()
		if linked {
			b.join(t, token)
		}
		offer(r)
		if line := r.line(); !strings.Contains(line, "a packet is larger") {
			t.Errorf("the line is %q", line)
		}
		r.ended()
	}
	if n := b.refused(flooding); n != 2 {
		t.Errorf("%d floods are counted", n)
	}
}

// A client that gives no window, or reads nothing at all, is sent away when it
// has not taken its line in time, and its token is void.
func TestNothingTaken(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) {
		o.ControlTime = 300 * time.Millisecond
		o.KeepaliveInterval = 100 * time.Millisecond
		o.KeepaliveTime = 2 * time.Second
	})
	r := b.connected(t)
	r.openSession(0, 1<<15)
	r.request("exec", sshtest.Strings("new"))
	r.ended()
	if n := b.refused(slowReader); n != 1 {
		t.Errorf("%d slow readers are counted", n)
	}
	// Answers to pings are the one thing that a client can ask for without end.
	r = b.execs(t, "new")
	for r.Send(sshtest.Strings(strings.Repeat("x", 30_000)), sshtest.Ping) == nil {
	}
	eventually(t, "nobody waits", func() bool {
		b.rendezvous.mu.Lock()
		defer b.rendezvous.mu.Unlock()
		return len(b.rendezvous.waiting) == 0
	})
}

// Whoever breaks SSH's rules loses the connection, and the other side of a
// link hears of it; nothing else happens.
func TestRulesBroken(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	u32 := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	for name, breach := range map[string]func(r *raw){
		"a window of more than 4 GiB": func(r *raw) {
			r.Send(r.onChannel(u32(1<<32-1)...), sshtest.WindowAdjust)
			r.Send(r.onChannel(u32(1<<32-1)...), sshtest.WindowAdjust)
		},
		"more than the window": func(r *raw) {
			for range 100 {
				r.Send(r.data(make([]byte, 32<<10)), sshtest.ChannelData)
			}
		},
		"more than a packet may hold": func(r *raw) { r.Send(r.data(make([]byte, 33<<10)), sshtest.ChannelData) },
		"a length that is not true":   func(r *raw) { r.Send(r.onChannel(0, 0, 0, 9, 'x'), sshtest.ChannelData) },
		"another channel":             func(r *raw) { r.Send(append(u32(99), u32(1)...), sshtest.WindowAdjust) },
		"half a message":              func(r *raw) { r.Send([]byte{0}, sshtest.ChannelData) },
		"an unknown message":          func(r *raw) { r.Send(r.onChannel(), 255) },
		"authentication again": func(r *raw) {
			r.Send(sshtest.Strings("root", "ssh-connection", "none"), sshtest.UserAuthRequest)
		},
		"new keys out of turn": func(r *raw) { r.Send(nil, sshtest.NewKeys) },
		"an altered packet": func(r *raw) {
			p := r.Packet([]byte{sshtest.ChannelEOF, 0, 0, 0, 0})
			p[len(p)-1] ^= 1
			r.net.Write(p)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := b.execs(t, "new")
			r.tb = t
			token := r.line()
			if name == "more than the window" { // there is nobody to take any
				breach(r)
				r.ended()
				return
			}
			c := b.join(t, token)
			breach(r)
			r.ended()
			c.refused("connection was lost")
		})
	}
}

// Closing, ending and asking again in every order harms nobody: the first
// command counts, and the connection ends.
func TestStorms(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.CommandTime = time.Second })
	closing := func(r *raw) { r.Send(r.onChannel(), sshtest.ChannelClose) }
	eof := func(r *raw) { r.Send(r.onChannel(), sshtest.ChannelEOF) }
	for name, storm := range map[string]func(r *raw){
		"closed before a command": func(r *raw) {
			r.openSession(1<<21, 1<<15)
			closing(r)
		},
		"closed again and again": func(r *raw) {
			r.openSession(1<<21, 1<<15)
			r.request("exec", sshtest.Strings("new"))
			for range 1000 {
				closing(r)
			}
		},
		"a command after the close": func(r *raw) {
			r.openSession(1<<21, 1<<15)
			closing(r)
			r.request("exec", sshtest.Strings("new"))
		},
		"ends of file": func(r *raw) {
			r.openSession(1<<21, 1<<15)
			for range 100 {
				eof(r)
			}
			r.request("exec", sshtest.Strings("new"))
			for range 100 {
				eof(r)
			}
			closing(r)
		},
		"data after the end of file": func(r *raw) {
			r.openSession(1<<21, 1<<15)
			r.request("exec", sshtest.Strings("new"))
			eof(r)
			r.Send(r.data([]byte("x")), sshtest.ChannelData)
			closing(r)
		},
		"sessions after the close": func(r *raw) {
			for range 2 * requestBurst {
				r.Send(append(sshtest.Strings("session"), make([]byte, 12)...), sshtest.ChannelOpen)
			}
		},
		"packets that can hold nothing": func(r *raw) {
			body := sshtest.Strings("session")
			for _, n := range []uint32{7, 1 << 21, 8} {
				body = binary.BigEndian.AppendUint32(body, n)
			}
			r.Send(body, sshtest.ChannelOpen)
			r.until(sshtest.OpenFailure)
			r.net.Close()
		},
		"answers to nothing": func(r *raw) {
			r.openSession(1<<21, 1<<15)
			for range 1000 {
				r.Send(r.onChannel(), sshtest.ChannelSuccess)
				r.Send(nil, sshtest.RequestFailure)
			}
			closing(r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := b.connected(t)
			r.tb = t
			storm(r)
			r.net.(*net.TCPConn).CloseWrite()
			r.ended()
		})
	}
	t.Cleanup(func() {
		eventually(t, "nobody waits", func() bool {
			b.rendezvous.mu.Lock()
			defer b.rendezvous.mu.Unlock()
			return len(b.rendezvous.waiting) == 0 && b.rendezvous.links == 0
		})
		a, c := b.link(t)
		a.write("ping")
		c.read("ping")
	})
}

// An end of file that comes before the command is one all the same.
func TestEndBeforeCommand(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	a := b.dial(t).session()
	a.ch.CloseWrite()
	a.exec("new")
	c := b.join(t, a.line())
	c.end()
	c.write("pong")
	c.ch.CloseWrite()
	a.read("pong")
	a.end()
	a.exit(0)
	c.exit(0)
}

// Packets as small as SSH lets a client ask for still carry a link.
func TestSmallestPackets(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	r := b.connected(t)
	r.openSession(1<<21, 9)
	r.request("exec", sshtest.Strings("new"))
	c := b.join(t, r.line())
	c.write("0123456789abcdefghij")
	got := ""
	for len(got) < 20 {
		got += string(r.until(sshtest.ChannelData)[8:])
	}
	if got != "0123456789abcdefghij" {
		t.Errorf("%q came", got)
	}
}

// A side that goes while its partner pours ends the link at once, and the
// partner is told.
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

// Nothing that a client sends gets into the log, whatever it is made of: each
// line is one of the switchboard's own.
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
	b.run(t, evil).refused("neither new nor")
	p := b.dial(t).session()
	p.request("subsystem", sshtest.Strings(evil, evil))
	p.refused("no subsystem")
	p = b.dial(t).session()
	p.request(evil, sshtest.Strings(evil, evil))
	p.exec("new\n" + evil).refused("neither new nor")
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

// A token is known whole or not at all: not by its beginning, not in another
// case, not with anything around it.
func TestTokenWhole(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) {
		o.TokenDigits = 12
		o.GuessDelay = 0
	})
	a, token := b.wait(t)
	for _, wrong := range []string{token[:5], token[:11], token[1:], token + "0", "0" + token, token[:11] + "g",
		token + " ", " " + token, token + "\x00", token + "\n", "0x" + token} {
		b.run(t, wrong).refused("")
	}
	c := b.join(t, token)
	a.write("ping")
	c.read("ping")
}

// foreign lets connections appear to come from where it is told.
type foreign struct {
	net.Listener
	mu   sync.Mutex
	from string
}

func (f *foreign) Accept() (net.Conn, error) {
	conn, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return &foreignConn{conn, address(f.from)}, nil
}

func (f *foreign) come(from string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.from = from
}

type foreignConn struct {
	net.Conn
	from net.Addr
}

func (c *foreignConn) RemoteAddr() net.Addr { return c.from }

// What is counted for each source is counted for the /64 of an IPv6 address,
// and for an IPv4 address in whatever form it comes: waiting sides, links,
// guesses.
func TestPerSource(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, same, same2, other string }{
		{"IPv6", "[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff:ffff:ffff:ffff]:2", "[2001:db8:1:3::1]:1"},
		{"IPv4", "192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1"},
		{"both", "[::ffff:192.0.2.1]:1", "192.0.2.1:2", "[::ffff:192.0.2.2]:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			f := &foreign{Listener: ln}
			b := startBoardOn(t, f, func(o *Options) {
				o.MaxWaitingPerSource = 2
				o.MaxLinksPerSource = 1
				o.GuessDelay = time.Hour
			})
			f.come(c.same)
			_, first := b.wait(t)
			f.come(c.same2)
			_, second := b.wait(t)
			b.run(t, "new").refused("from your address are waiting")
			f.come(c.other)
			third, token := b.wait(t)
			b.join(t, first)
			// The waiting side is of the source that has its link already.
			b.run(t, second).refused("too many links of your address, or of the other side's")
			f.come(c.same)
			b.run(t, token).refused("too many links of your address, or of the other side's")
			third.conn.Close()
			// That was no guess, and these are the free ones.
			for range freeGuesses {
				b.run(t, "00000").refused("nobody is waiting")
			}
			f.come(c.same2)
			slow := b.run(t, "00000")
			f.come("198.51.100.1:1")
			b.run(t, "00000").refused("nobody is waiting")
			select {
			case <-slow.status:
				t.Error("a further guess from the same source cost nothing")
			default:
			}
			slow.conn.Close()
		})
	}
}

// One listener serves both families.
func TestBothFamilies(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	b := startBoardOn(t, ln, nil)
	b.addr = net.JoinHostPort("127.0.0.1", port)
	a, token := b.wait(t)
	b.addr = net.JoinHostPort("::1", port)
	c := b.join(t, token)
	a.write("ping")
	c.read("ping")
	for _, source := range []string{"127.0.0.1/32", "::/64"} {
		b.rendezvous.mu.Lock()
		found := false
		for s := range b.rendezvous.linked {
			found = found || s.String() == source
		}
		b.rendezvous.mu.Unlock()
		if !found {
			t.Errorf("no link of %s", source)
		}
	}
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
	// These two have their line and will not leave: they go on sending.
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

// However much a client has sent behind what its connection fails for, the
// connection ends, its place is free, and nothing of it stays.
func TestFailsInTheMiddle(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	tail := func(r *raw, message byte) {
		for range 200 {
			r.Queue(sshtest.Strings("nonsense"), message)
		}
		r.Out.Flush()
	}
	for range gittest.Rounds(20, 2000) {
		r := dialRaw(t, b.addr)
		r.versions()
		r.fatal("key exchange", r.Exchange())
		tail(r, sshtest.ServiceRequest)
		r.net.Close()

		r = dialRaw(t, b.addr)
		r.versions()
		r.fatal("key exchange", r.Exchange())
		r.Send(sshtest.Strings("ssh-userauth"), sshtest.ServiceRequest)
		r.until(sshtest.ServiceAccept)
		tail(r, sshtest.UserAuthRequest)
		r.net.Close()

		r = b.connected(t)
		r.Queue([]byte{0}, sshtest.ChannelData)
		tail(r, sshtest.Ping)
		r.net.Close()
	}
	eventually(t, "all have left", func() bool {
		b.admission.mu.Lock()
		defer b.admission.mu.Unlock()
		return b.admission.open == 0
	})
	// TestMain looks for the goroutines.
}

// A second key exchange that cannot succeed, begun together with the new keys
// of the first, costs the client its connection, and not everybody theirs.
func TestTortureEarlyKeyExchange(t *testing.T) {
	b := startBoard(t, nil)
	rounds := gittest.Rounds(200, 20_000)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range rounds / 8 {
				r := dialRaw(t, b.addr)
				r.versions()
				r.Tail = func() error {
					clear(r.Lists)
					return r.Queue(r.Offer()[1:], sshtest.KexInit)
				}
				r.Exchange()
				r.ended()
				r.net.Close()
			}
		})
	}
	wait.Wait()
	if n := b.refused(noHandshake); n != uint64(rounds) {
		t.Errorf("%d are counted", n)
	}
	a, c := b.link(t)
	a.write("ping")
	c.read("ping")
	gittest.Figures(t, "second key exchanges before authentication", rounds, "crashes 0, counted %d", b.refused(noHandshake))
}
