package switchboard

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// foreign makes connections appear to come from a given address.
type foreign struct {
	net.Listener
	mu   sync.Mutex
	from string
	turn int
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

// hostile makes the next ones come from another of 64 /64s in four /48s, or from a /24.
func (f *foreign) hostile() {
	f.turn++
	if f.turn%2 == 0 {
		f.come(fmt.Sprintf("192.0.2.%d:1", f.turn%256))
	} else {
		f.come(fmt.Sprintf("[2001:db8:%x:%x::1]:1", f.turn/2%4, f.turn/2%64))
	}
}

type foreignConn struct {
	net.Conn
	from net.Addr
}

func (c *foreignConn) RemoteAddr() net.Addr { return c.from }

// However many of four /48s and of a /24 come, wait and hold links, an honest
// pair finds each other at once, and stays.
func TestCrowdsShutNobodyOut(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &foreign{Listener: ln}
	b := startBoardOn(t, f, func(o *Options) { o.MaxConnections, o.MaxWaiting, o.MaxLinks = 64, 8, 8 })
	for range 32 {
		f.hostile()
		silence(t, b.addr, 1, "SSH-2.0-silent\r\n")
		b.dial(t)
	}
	for range 16 {
		f.hostile()
		b.link(t)
	}
	for range 16 {
		f.hostile()
		b.wait(t)
	}
	begun := time.Now()
	f.come("198.51.100.1:1")
	a, token := b.wait(t)
	for range 16 {
		f.hostile()
		b.wait(t)
		b.dial(t)
	}
	f.come("203.0.113.1:1")
	c := b.join(t, token)
	if took := time.Since(begun); took > patience {
		t.Errorf("it took %v", took)
	}
	for range 16 {
		f.hostile()
		b.link(t)
	}
	a.write("ping")
	c.read("ping")
	for _, r := range []reason{tooManyConnections, tooManyWaiting, tooManyLinks} {
		if b.counted(r) == 0 {
			t.Errorf("nobody had to go for %q", r)
		}
	}
}

// However many clients of four /48s and of a /24 guess, and flood their connections with pings and channels of unknown types, an
// honest pair finds each other.
func TestGuessersShutNobodyOut(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &foreign{Listener: ln}
	b := startBoardOn(t, f, func(o *Options) { o.Lookups, o.MaxConnections = 1, 64 })
	for range 100 {
		f.hostile()
		b.run(t, "00000").line()
	}
	for range 16 {
		f.hostile()
		p := b.dial(t)
		for range 2 * requestBurst {
			if _, _, err := p.conn.SendRequest("ping@example.com", false, nil); err != nil {
				break
			}
		}
		f.hostile()
		p = b.dial(t)
		for range 2 * requestBurst {
			if _, err := p.open("nothing@example.com"); errors.Is(err, net.ErrClosed) {
				break
			}
		}
	}
	f.come("198.51.100.1:1")
	a, token := b.wait(t)
	f.come("203.0.113.1:1")
	c := b.join(t, token)
	a.write("ping")
	c.read("ping")
	if b.counted(tooManyLookups) < 40 {
		t.Errorf("%d guesses were refused", b.counted(tooManyLookups))
	}
	eventually(t, "the floods are cut", func() bool { return b.counted(flooding) >= 32 })
}

// One listener serves IPv4 and IPv6.
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
	for _, prefix := range []string{"127.0.0.1/32", "::/64"} {
		b.links.mu.Lock()
		n := b.links.crowds[crowd{2, netip.MustParsePrefix(prefix)}]
		if n != 1 {
			t.Errorf("no link of %s", prefix)
		}
		b.links.mu.Unlock()
	}
}
