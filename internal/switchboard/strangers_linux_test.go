package switchboard

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/gittest"
	"aig/internal/sshtest"
)

// gathering is strangers of every kind at one switchboard.
type gathering struct {
	*board
	t    *testing.T
	stop chan struct{}
	wait sync.WaitGroup
}

// stranger is one kind of them.
type stranger struct {
	name   string
	number int    // of them at the same time
	source net.IP // nil is the one that most of them have
	pause  time.Duration
	act    func(conn net.Conn)

	came atomic.Int64
}

// send lets in strangers of one kind: each does what it does, and comes again when that has ended, until all are told to stop.
func (c *gathering) send(s *stranger) {
	for range s.number {
		c.wait.Go(func() {
			for !isClosed(c.stop) {
				c.once(s)
				select {
				case <-time.After(s.pause):
				case <-c.stop:
				}
			}
		})
	}
}

func (c *gathering) once(s *stranger) {
	source := s.source
	if source == nil {
		source = net.IPv4(127, 9, 0, 1)
	}
	conn, err := c.from(source)
	if err != nil {
		return
	}
	conn.SetDeadline(time.Now().Add(time.Hour))
	s.came.Add(1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer conn.Close()
		s.act(conn)
	}()
	select {
	case <-done:
	case <-c.stop:
		conn.Close()
		<-done
	}
}

// ssh wraps what strangers who speak SSH do.
func (c *gathering) ssh(act func(p *peer)) func(net.Conn) {
	return func(conn net.Conn) {
		p, err := c.tryDial(tolerant{c.t}, conn)
		if err != nil {
			return
		}
		defer p.conn.Close()
		defer conn.Close() // otherwise x/crypto's client waits for an answer for ever
		act(p)
	}
}

// raw wraps what strangers who speak SSH as they like do.
func (c *gathering) raw(act func(r *raw)) func(net.Conn) {
	return func(conn net.Conn) {
		r := newRaw(tolerant{c.t}, conn)
		r.net.SetDeadline(time.Now().Add(time.Hour))
		act(r)
	}
}

// known is raw for strangers whose handshake is done.
func (c *gathering) known(act func(r *raw)) func(net.Conn) {
	return c.raw(func(r *raw) { r.handshake(); act(r) })
}

// guess tries wrong tokens from a number of sources, atOnce of them at a time, and each tokens from every one. It returns how many
// tries were answered.
func (c *gathering) guess(sources, atOnce, each int) int {
	var answered atomic.Int64
	next := make(chan int)
	go func() {
		defer close(next)
		for i := range sources {
			select {
			case next <- i:
			case <-c.stop:
				return
			}
		}
	}()
	var wait sync.WaitGroup
	for range atOnce {
		wait.Go(func() {
			for i := range next {
				// Each has a network of its own, or they would share few tries.
				source := net.IPv4(127, byte(1+i>>8), byte(i), 1)
				for n := 0; n < each && !isClosed(c.stop); {
					guessed := &stranger{source: source, act: c.known(func(r *raw) {
						r.openSession(1<<15, 1<<15)
						r.request("exec", sshtest.Strings(fmt.Sprintf("%09x", i*each+n)))
						if strings.Contains(r.line(), "nobody is waiting") {
							answered.Add(1)
							n++
						}
					})}
					c.once(guessed)
				}
			}
		})
	}
	wait.Wait()
	return int(answered.Load())
}

// strangers returns all kinds but those who guess from many sources.
func (c *gathering) strangers(silent, waiting int) []*stranger {
	scale := gittest.Rounds
	elsewhere := net.IPv4(127, 9, 9, 9)
	refusals := []func(p *peer){
		func(p *peer) { p.request("pty-req", nil); p.exec("new").refused("no terminal") },
		func(p *peer) { p.request("auth-agent-req@openssh.com", nil); p.exec("new").refused("no agent") },
		func(p *peer) { p.request("x11-req", nil); p.exec("new").refused("no X11") },
		func(p *peer) { p.request("shell", nil); p.refused("no shell") },
		func(p *peer) { p.request("subsystem", sshtest.Strings("sftp")); p.refused("no subsystem") },
	}
	forward := func(p *peer) {
		p.conn.SendRequest("tcpip-forward", true, append(sshtest.Strings("", ""), 0, 0, 0, 0))
		p.session().exec("new").refused("no port forwarding")
	}
	var turn atomic.Int64
	second, more := time.Second, 5*time.Second // none of these is in a hurry
	return []*stranger{
		{name: "silent", number: silent, pause: more, act: func(conn net.Conn) { io.Copy(io.Discard, conn) }},
		{name: "a byte every 10 s", number: silent / 10, pause: more, act: func(conn net.Conn) {
			for {
				if _, err := conn.Write([]byte("S")); err != nil {
					return
				}
				select {
				case <-c.stop:
					return
				case <-time.After(10 * time.Second):
				}
			}
		}},
		{name: "half a handshake", number: scale(10, 200), source: elsewhere, pause: more, act: c.raw(func(r *raw) {
			r.versions()
			r.StopAt = sshtest.NewKeys
			r.Exchange()
			io.Copy(io.Discard, r.net)
		})},
		{name: "no command", number: scale(10, 200), pause: more, act: c.known(func(r *raw) { io.Copy(io.Discard, r.net) })},
		{name: "guesses from one address", number: scale(8, 40), pause: second, act: c.known(func(r *raw) {
			r.openSession(1<<15, 1<<15)
			r.request("exec", sshtest.Strings(fmt.Sprintf("%07x", turn.Add(1))))
			r.line()
		})},
		{name: "commands of 262,000 bytes", number: scale(1, 4), pause: second, act: c.ssh(func(p *peer) {
			p.session().exec(strings.Repeat("a", 262_000)).refused("too long")
		})},
		{name: "global request floods", number: scale(1, 4), pause: second, act: c.ssh(func(p *peer) {
			for {
				if _, _, err := p.conn.SendRequest("flood", false, nil); err != nil {
					return
				}
			}
		})},
		{name: "channel floods", number: scale(1, 4), pause: second, act: c.ssh(func(p *peer) {
			for i := 0; ; i++ {
				reqs, err := p.open([]string{"session", "direct-tcpip", "x11", "auth-agent@openssh.com"}[i%4])
				var refused *ssh.OpenChannelError
				if err == nil {
					go ssh.DiscardRequests(reqs)
				} else if !errors.As(err, &refused) {
					return
				}
			}
		})},
		{name: "key exchange floods", number: scale(1, 4), pause: second, act: c.known(func(r *raw) {
			r.openSession(1<<15, 1<<15)
			r.request("exec", sshtest.Strings("new"))
			for r.Exchange() == nil {
			}
		})},
		{name: "ptys, agents, X11, shells, subsystems", number: scale(2, 10), pause: second, act: c.ssh(func(p *peer) {
			refusals[turn.Add(1)%int64(len(refusals))](p.session())
		})},
		{name: "port forwards", number: scale(1, 4), pause: second, act: c.ssh(forward)},
		{name: "readers that stall", number: scale(1, 8), source: elsewhere, pause: second, act: c.ssh(func(p *peer) {
			// Both sides of the link are theirs; the other one pours.
			token := p.session().exec("new").line()
			conn, err := c.from(elsewhere)
			if err != nil {
				return
			}
			defer conn.Close()
			other, err := c.tryDial(tolerant{c.t}, conn)
			if err != nil {
				return
			}
			defer other.conn.Close()
			defer conn.Close()
			other.net.SetDeadline(time.Now().Add(10 * time.Second))
			other.session().exec(token).line()
			io.Copy(other.ch, zeros{})
		})},
		{name: "sides that wait", number: waiting, source: elsewhere, pause: second, act: c.known(func(r *raw) {
			r.openSession(1<<15, 1<<15)
			r.request("exec", sshtest.Strings("new"))
			io.Copy(io.Discard, r.net)
		})},
	}
}

// pair is how long an honest pair took.
type pair struct{ linked, copied time.Duration }

// honest links a pair and copies size bytes, while a third finds that the
// token has been taken.
func honest(t *testing.T, b *board, size int) pair {
	t.Helper()
	begin := time.Now()
	a, token := b.wait(t)
	c := b.join(t, token)
	got := pair{linked: time.Since(begin)}
	for _, p := range []*peer{a, c} {
		p.net.SetDeadline(time.Now().Add(10 * time.Minute))
	}
	third, err := b.from(net.IPv4(127, 0, 0, 3))
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		p, err := b.tryDial(tolerant{t}, third)
		if err != nil {
			t.Errorf("the third: %v", err)
			return
		}
		p.net.SetDeadline(time.Now().Add(10 * time.Minute))
		if line := p.session().exec(token).line(); !strings.Contains(line, "nobody is waiting") {
			t.Errorf("the third was told %q", line)
		}
		p.conn.Close()
	})
	begin = time.Now()
	wait.Go(func() {
		io.CopyN(a.ch, zeros{}, int64(size))
		a.ch.CloseWrite()
	})
	if n, err := io.Copy(io.Discard, c.ch); n != int64(size) || err != nil {
		t.Errorf("%d bytes and %v", n, err)
	}
	got.copied = time.Since(begin)
	c.ch.CloseWrite()
	a.exit(0)
	c.exit(0)
	a.conn.Close()
	c.conn.Close()
	wait.Wait()
	return got
}

// Strangers of every kind come, in crowds and from everywhere, while honest pairs link (within five seconds in the long form) and
// copy, undisturbed by a third with their token. Memory is bounded, all guesses are answered and counted, and the switchboard ends
// when it is told.
//
// Three times in the long form: with the limits that it has by default; with
// room for all the connections at once; and with few open files.
func TestTortureStrangers(t *testing.T) {
	const files = 10_000
	bin := buildProgram(t)
	for _, c := range []struct {
		name     string
		files    int
		silent   int
		guessing int // sources, and how many of them at a time
		atOnce   int
		waiting  int
		options  []string
	}{
		{"the default limits", files, gittest.Rounds(150, 5000), gittest.Rounds(20, 1000), 128, gittest.Rounds(8, 64), nil},
		{"8192 connections", files, 5000, 1000, 128, 64, []string{"--max-connections", "8192"}},
		// Those who wait, and sources with no more than one connection, keep it.
		{"256 open files", 256, 1000, 100, 32, 16, nil},
	}[:gittest.Rounds(1, 3)] {
		t.Run(c.name, func(t *testing.T) {
			enoughFiles(t, gittest.Rounds(1000, files))
			p := startProgram(t, bin, min(c.files, gittest.Rounds(1000, files)), c.options...)
			strangers(t, p, c.silent, c.guessing, c.atOnce, c.waiting)
		})
	}
}

func strangers(t *testing.T, p *program, silent, sources, atOnce, waiting int) {
	size := gittest.Rounds(10_000_000, 100_000_000)
	var alone, among []pair
	for range gittest.Rounds(2, 5) {
		alone = append(alone, honest(t, p.board, size))
	}

	c := &gathering{board: p.board, t: t, stop: make(chan struct{})}
	end := sync.OnceFunc(func() { close(c.stop); c.wait.Wait() })
	defer end()
	kinds := c.strangers(silent, waiting)
	for _, s := range kinds {
		c.send(s)
	}
	eventually(t, "the crowd is there", func() bool {
		for _, s := range kinds {
			if s.came.Load() < int64(s.number) {
				return false
			}
		}
		return true
	})
	each := gittest.Rounds(5, 10)
	guessed := make(chan int, 1)
	c.wait.Go(func() { guessed <- c.guess(sources, atOnce, each) })
	answered := 0
	for guessing := true; guessing || len(among) < gittest.Rounds(2, 5); {
		among = append(among, honest(t, p.board, size))
		select {
		case answered = <-guessed:
			guessing = false
		default:
		}
	}
	end()
	peak := p.peak(t)
	counts := p.finish(t)

	var slowest time.Duration
	for _, p := range among {
		slowest = max(slowest, p.linked)
	}
	within := patience // on a machine that runs other tests meanwhile
	if gittest.Torture {
		within = 5 * time.Second
	}
	if slowest > within {
		t.Errorf("linking took %v", slowest)
	}
	if want := sources * each; answered != want || counts[wrongToken] < want {
		t.Errorf("%d of %d guesses were answered, %d were counted", answered, want, counts[wrongToken])
	}
	if peak > 1024 {
		t.Errorf("memory peaked at %.0f MiB", peak)
	}
	rate := func(of []pair) float64 {
		var rates []float64
		for _, p := range of {
			rates = append(rates, float64(size)/1e6/p.copied.Seconds())
		}
		slices.Sort(rates)
		return rates[len(rates)/2]
	}
	all := int64(answered)
	for _, s := range kinds {
		all += s.came.Load()
		t.Logf("%s: %d", s.name, s.came.Load())
	}
	t.Logf("counted: %v", counts)
	gittest.Figures(t, "strangers while honest pairs link and copy", int(all),
		"guesses %d, pairs %d, linked in %.1f s at most, %.0f MB/s alone, %.0f MB/s among them, ratio %.2f, memory %.0f MiB at most",
		answered, len(among), slowest.Seconds(), rate(alone), rate(among), rate(among)/rate(alone), peak)
}
