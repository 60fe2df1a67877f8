package switchboard

import (
	"net"
	"sync"
	"testing"
	"time"
)

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
			// The next one would cost a tenth of a second; after some more it is an hour.
			for range 20 {
				guess(t, b.guesses, sourceOf(address(c.same)), true)
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
