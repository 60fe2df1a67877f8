package switchboard

import (
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"aig/internal/gittest"
	"aig/internal/sshtest"
)

// A client that gives no window, or reads nothing at all, is sent away when it
// has not taken its line in time, and its token is void.
func TestNothingTaken(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) {
		o.ControlTime = 300 * time.Millisecond
		o.KeepaliveInterval = 100 * time.Millisecond
		o.KeepaliveTime = 5 * time.Second
	})
	r := b.connected(t)
	r.openSession(0, 1<<15)
	r.request("exec", sshtest.Strings("new"))
	r.ended()
	if n := b.counted(slowReader); n != 1 {
		t.Errorf("%d slow readers are counted", n)
	}
	// Answers to pings are the one thing that a client can ask for without end.
	r = b.execs(t, "new")
	for r.Send(sshtest.Strings(strings.Repeat("x", 30_000)), sshtest.Ping) == nil {
	}
	eventually(t, "nobody waits", func() bool { return b.waiting.number() == 0 })
}

// Whoever breaks SSH's rules loses the connection, and the other side of a
// link hears of it; nothing else happens.
func TestRulesBroken(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	u32 := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	for name, breach := range map[string]func(r *raw){
		"a window of more than 4 GiB": func(r *raw) {
			r.Send(r.onChannel(u32(1<<32-1)...), sshtest.WindowAdjust) // on top of what it has
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
			if name == "more than the window" { // there must be nobody to read it
				breach(r)
				r.ended()
				return
			}
			c := b.join(t, token)
			breach(r)
			r.ended()
			c.end()
			c.exit(1)
		})
	}
}

// Closing, ending and asking again in every order harms nobody: the first
// command counts, and the connection ends.
func TestStorms(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.CommandTime = 3 * time.Second })
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
		"sessions without end": func(r *raw) {
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
		eventually(t, "nobody waits", func() bool { return b.waiting.number()+b.links.number() == 0 })
		a, c := b.link(t)
		a.write("ping")
		c.read("ping")
	})
}

// An end of file that comes before the command counts all the same.
func TestEndBeforeCommand(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	a := b.dial(t).session()
	a.ch.CloseWrite()
	a.exec("new")
	c := b.join(t, a.line())
	answered(a, c)
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

// However much a client has sent behind the packet that its connection fails on, the connection ends, its place is free, and
// nothing of it stays.
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
	eventually(t, "all have left", func() bool { return b.connections.number() == 0 })
	// TestMain looks for the goroutines.
}
