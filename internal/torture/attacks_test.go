package torture

import (
	"context"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/gittest"
	"aig/internal/tunnel"
)

// stranger is whoever is at the other end of a side's pipe.
type stranger func(heard io.Reader, say io.WriteCloser)

// alone runs a session of one side with a stranger, and returns once the stranger is gone.
func (s *peerSide) alone(t *testing.T, timeout time.Duration, other stranger) ended {
	t.Helper()
	heard, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	in, say, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer mustEnd(t.Name()).Stop()
	var acting sync.WaitGroup
	acting.Go(func() {
		other(heard, say)
		io.Copy(io.Discard, heard)
		heard.Close()
		say.Close()
	})
	r := s.sync(t.Context(), end{in, out}, timeout)
	acting.Wait()
	return r
}

// refused checks that a side failed before it knew whom it talked to, and that its repository is unchanged.
func (y *tally) refused(t *testing.T, p *peers, i int, what string, r ended) {
	t.Helper()
	if r.met || r.err == nil {
		t.Errorf("%s: %s has met somebody (%v)", what, p.sides[i].name, r.err)
	}
	other := errors.New("not there")
	sides := [2]ended{{err: other}, {err: other}}
	sides[i] = r
	grown := y.grown
	y.judge(t, p, what, result{sides: sides})
	if y.grown != grown {
		t.Errorf("%s: the repository of %s is not what it was", what, p.sides[i].name)
	}
}

// echo says what it hears, with patch in place of the bytes from at on.
func echo(patch []byte, at int64) stranger {
	return func(heard io.Reader, say io.WriteCloser) {
		w := &way{fault: fault{patch: patch, patchAt: at}, silent: make(chan struct{}), src: heard.(*os.File), dst: say.(*os.File)}
		w.other = w
		w.run()
	}
}

// A pipe that echoes our own bytes is found out, even if it alters the preface to look like somebody else's.
func TestTortureWireEcho(t *testing.T) {
	p := newPeers(t, newRandom(t)(0), small).copyOf(t)
	y := &tally{}
	leaks := newLeaks(t)
	cases := []struct {
		name, says string
		other      stranger
	}{
		{"as it is", "a tie", echo(nil, 0)},
		{"with a smaller number", "", echo(preferred(false), prefaceNumber)},
		{"with a larger number", "", echo(preferred(true), prefaceNumber)},
		{"with another version", "version 2", echo([]byte{0, 0, 0, 2}, prefaceNumber-4)},
		{"without its first byte", "does not lead to a peer", func(heard io.Reader, say io.WriteCloser) {
			io.ReadFull(heard, make([]byte, 1))
			io.Copy(say, heard)
		}},
		{"the preface alone", "a tie", func(heard io.Reader, say io.WriteCloser) { io.CopyN(say, heard, prefaceSize) }},
	}
	for range gittest.Rounds(1, 10) {
		for _, c := range cases {
			for i, s := range p.sides {
				y.rounds++
				patience := time.Second
				if c.says != "" { // which must end it at once
					patience = 10 * time.Second
				}
				r := s.alone(t, patience, c.other)
				y.refused(t, p, i, "echo "+c.name, r)
				if !strings.Contains(fmt.Sprint(r.err), c.says) {
					t.Errorf("echo %s: %v", c.name, r.err)
				}
			}
		}
	}
	leaks.check(t)
	y.figures(t, "our own bytes echoed, as they are or with another preface")
}

// Replaying to one side what the other said in an earlier session is of no use, whether all at once or piece by piece, and
// whether the pipe ends after it or not.
func TestTortureWireReplay(t *testing.T) {
	b := bench{peers: newPeers(t, newRandom(t)(0), small), timeout: 20 * time.Second}
	y := &tally{}
	leaks := newLeaks(t)
	for round := range gittest.Rounds(2, 50) {
		p := b.peers.copyOf(t)
		r := b.session(t, p, play{server: round % 2, keep: true}, "a session to record")
		if !r.done() {
			t.Fatal(r)
		}
		for _, s := range p.sides {
			if err := s.restore(); err != nil {
				t.Fatal(err)
			}
		}
		for i, s := range p.sides {
			recorded := r.ways[1-i].record
			y.rounds += 2
			y.refused(t, p, i, "replay", s.alone(t, time.Second, func(_ io.Reader, say io.WriteCloser) {
				say.Write(recorded)
				say.Close()
			}))
			y.refused(t, p, i, "replay without an end", s.alone(t, time.Second, func(heard io.Reader, say io.WriteCloser) {
				go io.Copy(io.Discard, heard)
				for part := range slices.Chunk(recorded, 700) {
					say.Write(part)
				}
			}))
		}
	}
	leaks.check(t)
	y.figures(t, "what the other side said replayed, at both sides, as server and client")
}

// Rewriting the election swaps the roles, which is harmless, or makes two servers or two clients, which ends the session. (Equal
// numbers are an echo of the preface.)
func TestTortureWireElection(t *testing.T) {
	b := bench{peers: newPeers(t, newRandom(t)(0), small), workers: 6}
	larger, smaller := preferred(true), preferred(false)
	cases := []struct {
		name   string
		toBob  []byte // in place of Alice's number
		toAl   []byte
		passes bool
	}{
		{"Alice is made the server", larger, smaller, true},
		{"Bob is made the server", smaller, larger, true},
		{"two servers", smaller, smaller, false},
		{"two clients", larger, larger, false},
	}
	for _, c := range cases {
		b.timeout = time.Second
		if c.passes {
			b.timeout = 20 * time.Second
		}
		y := b.play(t, gittest.Rounds(2, 50), func(int) play {
			return play{server: elected, faults: [2]fault{
				{patch: c.toBob, patchAt: prefaceNumber, harmful: !c.passes}, {patch: c.toAl, patchAt: prefaceNumber},
			}}
		})
		if want := 2 * y.rounds; c.passes && y.dots != want || !c.passes && (y.dots > 0 || y.grown > 0) {
			t.Errorf("%s: %d of %d sides are done, %d stores have grown", c.name, y.dots, want, y.grown)
		}
		y.figures(t, "election rewritten: "+c.name)
	}
}

// forger claims somebody else's key.
type forger struct {
	ssh.Signer
	claims ssh.PublicKey
}

func (f forger) PublicKey() ssh.PublicKey { return f.claims }

// A man in the middle with a key of his own, as server or client to either side, is refused by both, and each names the
// fingerprint that it has seen. Claiming the other side's key doesn't help him either. As a server he isn't even shown a key.
func TestTortureWireManInTheMiddle(t *testing.T) {
	p := newPeers(t, newRandom(t)(0), small).copyOf(t)
	mallory := newKey(t)
	y := &tally{}
	leaks := newLeaks(t)
	for round := range gittest.Rounds(8, 400) {
		serves := [2]bool{round&1 != 0, round&2 != 0} // to Alice, to Bob
		forges := round&4 != 0
		var results [2]ended
		var men [2]man
		var pipes [2]*pipe
		var all sync.WaitGroup
		timer := mustEnd(t.Name())
		for i, s := range p.sides {
			pipes[i] = newPipe(t, [2]fault{
				{patch: preferred(!serves[i]), patchAt: prefaceNumber}, {patch: preferred(serves[i]), patchAt: prefaceNumber},
			}, false)
			signer := mallory
			if forges {
				signer = forger{signer, p.sides[1-i].signer.PublicKey()}
			}
			all.Go(func() { results[i] = s.sync(t.Context(), pipes[i].ends[0], 5*time.Second) })
			all.Go(func() { men[i].meet(t.Context(), pipes[i].ends[1], signer) })
		}
		all.Wait()
		pipes[0].wait()
		pipes[1].wait()
		timer.Stop()
		for i, r := range results {
			what := fmt.Sprintf("man in the middle, server %v, forger %v", serves[i], forges)
			y.rounds++
			y.refused(t, p, i, what, r)
			named := ssh.FingerprintSHA256(mallory.PublicKey()) + ", which is not trusted"
			if !forges && (r.err == nil || !strings.Contains(r.err.Error(), named)) {
				t.Errorf("%s: %v", what, r.err)
			}
			if men[i].met || serves[i] && men[i].shown != "" {
				t.Errorf("%s: he got to %v, and was shown %q", what, men[i].met, men[i].shown)
			}
		}
	}
	leaks.check(t)
	y.figures(t, "man in the middle with a key of his own, or one that he claims, as server and client")
}

// man is what a man in the middle gets from one side.
type man struct {
	met   bool   // he got a channel
	shown string // the fingerprint of the key that he was shown
}

func (m *man) meet(ctx context.Context, e end, signer ssh.Signer) {
	timing := tunnel.Timing{Wait: hangs, Timeout: 5 * time.Second}
	pipe := joined(e)
	elected, server, err := tunnel.Elect(ctx, pipe, timing)
	if err == nil {
		var conn *tunnel.Conn
		conn, err = tunnel.Open(ctx, elected, server, tunnel.Options{Signer: signer, Timing: timing, Trusted: func(key ssh.PublicKey) bool {
			m.shown = ssh.FingerprintSHA256(key)
			return true
		}})
		if err == nil {
			m.met = true
			conn.Close()
		}
	}
	pipe.Close()
}

// joined makes one pipe of the two files of an end.
type joined struct{ in, out *os.File }

func (j joined) Read(p []byte) (int, error)  { return j.in.Read(p) }
func (j joined) Write(p []byte) (int, error) { return j.out.Write(p) }
func (j joined) Close() error                { return errors.Join(j.in.Close(), j.out.Close()) }

// A switchboard that crosses two pairs of the same people joins the right people in the wrong repositories. Contexts prevent that,
// and don't hinder pairs that are not crossed.
func TestTortureWireCrossed(t *testing.T) {
	random := newRandom(t)
	home, work := newPeers(t, random(0), small), newPeers(t, random(1), small)
	for i := range work.sides {
		work.sides[i].signer, work.sides[i].trust = home.sides[i].signer, home.sides[i].trust
	}
	for _, c := range []struct {
		name       string
		home, work string
		crossed    bool
		passes     bool
	}{
		{"crossed, without words", "", "", true, true},
		{"crossed, two words", "home", "work", true, false},
		{"crossed, one word", "", "work", true, false},
		{"not crossed, two words", "home", "work", false, true},
	} {
		for i := range 2 {
			home.sides[i].context, work.sides[i].context = c.home, c.work
		}
		met := [2]*peers{home, work}
		if c.crossed {
			met = [2]*peers{join(home.sides[0], work.sides[1]), join(work.sides[0], home.sides[1])}
		}
		sum := &tally{}
		for _, p := range met {
			b := bench{peers: p, timeout: 20 * time.Second, workers: 2}
			y := b.play(t, gittest.Rounds(1, 50), func(int) play {
				return play{server: elected, faults: [2]fault{{harmful: !c.passes}, {}}}
			})
			sum.rounds, sum.dots, sum.grown, sum.longest = sum.rounds+y.rounds, sum.dots+y.dots, sum.grown+y.grown, max(sum.longest, y.longest)
		}
		if want := 2 * sum.rounds; c.passes && sum.dots != want || !c.passes && (sum.dots > 0 || sum.grown > 0) {
			t.Errorf("%s: %d of %d sides are done, %d stores have grown", c.name, sum.dots, want, sum.grown)
		}
		sum.figures(t, "two pairs of the same people "+c.name)
	}
}

// However the bytes arrive, the session is the same: one at a time, late, in random pieces with random delays, and with one side
// never heard before the other has said all it can.
func TestTortureWireDelivery(t *testing.T) {
	random := newRandom(t)
	b := bench{peers: newPeers(t, random(-1), small), timeout: 60 * time.Second, workers: 4}
	rounds := gittest.Rounds(1, 25)
	for _, c := range []struct {
		name string
		of   func(r *mathrand.Rand) [2]fault
	}{
		{"one byte at a time", func(*mathrand.Rand) [2]fault {
			f := fault{single: true, piece: func() int { return 1 }}
			return [2]fault{f, f}
		}},
		{"20 ms late", func(*mathrand.Rand) [2]fault {
			f := fault{delay: func() time.Duration { return 20 * time.Millisecond }}
			return [2]fault{f, f}
		}},
		{"in pieces and late by chance", func(r *mathrand.Rand) [2]fault {
			var faults [2]fault
			for i := range faults {
				own := mathrand.New(mathrand.NewPCG(r.Uint64(), r.Uint64()))
				late := mathrand.New(mathrand.NewPCG(r.Uint64(), r.Uint64()))
				faults[i].piece = func() int { return 1 + own.IntN(200) }
				faults[i].delay = func() time.Duration { return time.Duration(late.Int64N(int64(10 * time.Millisecond))) }
			}
			return faults
		}},
		{"Alice always first", func(*mathrand.Rand) [2]fault { return one(1, fault{yields: 10 * time.Millisecond}) }},
		{"Bob always first", func(*mathrand.Rand) [2]fault { return one(0, fault{yields: 10 * time.Millisecond}) }},
	} {
		y := b.play(t, rounds, func(round int) play { return play{server: elected, faults: c.of(random(round))} })
		if y.dots != 2*rounds {
			t.Errorf("%s: %d of %d sides are done", c.name, y.dots, 2*rounds)
		}
		y.figures(t, "delivered "+c.name)
	}
}
