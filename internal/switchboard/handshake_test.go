package switchboard

import (
	"io"
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
			r.Exchange()
			r.Send(sshtest.Strings("ssh-userauth"), sshtest.ServiceRequest)
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
		eventually(t, "all are counted", func() bool { return b.counted(noHandshake) == 11 })
	})
}

// Little can be sent in a handshake: neither its offer of algorithms nor lines before the version nor attempts to authenticate make
// it much.
func TestFatHandshake(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil) // whose handshake time is longer than a test waits
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
		eventually(t, "all are counted", func() bool { return b.counted(noHandshake) == 6 })
	})
}

// A client that begins one key exchange after another doesn't get beyond the second, and keeps its place no longer than any handshake.
func TestKeyExchangesOnly(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.HandshakeTime = 300 * time.Millisecond })
	r := dialRaw(t, b.addr)
	r.versions()
	exchanges := 0
	for r.Exchange() == nil {
		exchanges++
	}
	r.ended()
	if exchanges > 2 {
		t.Errorf("%d key exchanges were answered", exchanges)
	}
	eventually(t, "it is counted", func() bool { return b.counted(noHandshake) == 1 })
}

// A client may rekey now and then, but not all the time.
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
	if n := b.counted(flooding); n != uint64(len(linked)) {
		t.Errorf("%d floods are counted", n)
	}
}

// A packet larger than SSH obliges us to accept is accepted only before the command, only from a few clients at a time, and takes
// memory only until then.
func TestLargePackets(t *testing.T) {
	// Not in parallel with other tests: it measures the memory of the whole process.
	b := startBoard(t, nil)
	offer := func(r *raw) error {
		r.Lists[8] = []byte(strings.Repeat(",", 255_000))
		return r.Send(r.Offer()[1:], sshtest.KexInit)
	}
	// Many clients offer very many algorithms before their command, and stop there. An offer takes 16 times as much memory as on
	// the wire.
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
		r.Out = nil // its buffer is no part of the server's
		go func() {
			r.Lists[8] = []byte(strings.Repeat(",", 255_000))
			r.net.Write(r.Packet(r.Offer()))
		}()
	}
	eventually(t, "all places are taken", func() bool { return len(b.large) == maxLarge })
	// This includes the test's own half: what it has still to send.
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
		if line := r.line(); !strings.Contains(line, "a packet is too large") {
			t.Errorf("the line is %q", line)
		}
		r.ended()
	}
	if n := b.counted(flooding); n != 2 {
		t.Errorf("%d floods are counted", n)
	}
}

// A second key exchange that cannot succeed, begun together with the first one's SSH_MSG_NEWKEYS, costs the client its connection,
// and nobody else theirs.
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
	// The client may see the end before it is counted.
	eventually(t, "all are counted", func() bool { return b.counted(noHandshake) == uint64(rounds) })
	a, c := b.link(t)
	a.write("ping")
	c.read("ping")
	gittest.Figures(t, "second key exchanges before authentication", rounds, "crashes 0, counted %d", b.counted(noHandshake))
}
