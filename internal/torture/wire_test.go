package torture

import (
	"fmt"
	mathrand "math/rand/v2"
	"testing"
	"time"

	"aig/internal/gittest"
	"aig/internal/oid"
)

const (
	cutFirst  = 64 << 10 // the pipe breaks at every byte up to here
	flipFirst = 4 << 10  // every byte up to here is altered
)

// one returns a fault in one way, and none in the other.
func one(way int, f fault) (faults [2]fault) {
	faults[way] = f
	return faults
}

var wayNames = [2]string{"Alice to Bob", "Bob to Alice"}

// place returns the byte that a round is about: one after another in the long form, a random one below n in the short one.
func place(random *mathrand.Rand, round, n int) int64 {
	if gittest.Torture {
		return int64(round % n)
	}
	return random.Int64N(int64(n))
}

// A pipe breaks at any byte of the first 64 KiB, whichever side is the SSH server: no side says that both hold everything unless
// they do, failures have exit status 128, the stores are as they were or have complete objects more, and the same session again
// completes.
//
// Here Alice has 66 KB to give, which Bob keeps as a pack, and he has nothing. The two run the same code; the next test goes
// through each byte of a session both ways.
func TestTortureWireCutFirst(t *testing.T) {
	random := newRandom(t)
	drift := [2]drifted{{blobs: 110, size: 600}}
	b := bench{peers: newPeers(t, random(-1), drift), timeout: 20 * time.Second, workers: 4, heal: 128}
	y := b.play(t, gittest.Rounds(24, cutFirst), func(round int) play {
		return play{
			faults: one(0, fault{kind: cut, at: place(random(round), round, cutFirst)}),
			server: round % 2,
		}
	})
	y.figures(t, "cut in the first 64 KiB, of one pack")
}

// The same at every byte of small sessions in which both have something to give: commits, a tag and dangling blobs. Bob keeps
// what he gets as a pack, Alice as loose objects.
func TestTortureWireCutSmall(t *testing.T) {
	random := newRandom(t)
	b := bench{peers: newPeers(t, random(-1), small), timeout: 20 * time.Second, workers: 4, heal: 16}
	lengths := b.lengths(t)
	for way, name := range wayNames {
		t.Run(name, func(t *testing.T) {
			y := b.play(t, gittest.Rounds(24, lengths[way]), func(round int) play {
				at := round % lengths[way]
				if !gittest.Torture { // only the packs, and what follows them
					at = lengths[way] - 1 - random(round).IntN(1500)
				}
				return play{faults: one(way, fault{kind: cut, at: int64(at)}), server: (round + way) % 2}
			})
			y.figures(t, "cut at each byte of a small session, as server or client")
		})
	}
}

// The same in SHA-256 repositories, and with git fetching: nothing comes to Bob then, and what he says of Alice is true.
func TestTortureWireCutOther(t *testing.T) {
	random := newRandom(t)
	for _, c := range []struct {
		name  string
		peers *peers
	}{
		{"SHA-256", newPeersOf(t, oid.SHA256, random(-1), small)},
		{"fetch", newPeers(t, random(-1), small).fetching()},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := bench{peers: c.peers, timeout: 20 * time.Second, workers: 4, heal: 16}
			lengths := b.lengths(t)
			y := b.play(t, gittest.Rounds(12, 1000), func(round int) play {
				r, way := random(round), round%2
				kind := []faultKind{cut, half}[r.IntN(2)]
				// Half of them anywhere, half of them in the second half, after the handshake.
				at := lengths[way] - 1 - r.IntN(lengths[way]/(1+r.IntN(2)))
				return play{faults: one(way, fault{kind: kind, at: int64(at)}), server: elected}
			})
			y.figures(t, "cut, or one way cut, in a small session")
		})
	}
}

// small makes two repositories differ in a few objects of each kind, large in several MiB: three packs from Alice, who has packs
// and gets loose objects, to Bob, who has loose objects and gets packs. (In the short form it is one MiB.)
var (
	small = [2]drifted{
		{commits: 2, blobs: 5, size: 20},
		{commits: 2, loose: 5, size: 20, config: [2]string{"fetch.unpackLimit", "1"}},
	}
	large = [2]drifted{
		{commits: 3, blobs: gittest.Rounds(8, 92), size: 100_000},
		{commits: 3, loose: gittest.Rounds(4, 16), size: 100_000, config: [2]string{"transfer.unpackLimit", "1"}},
	}
)

// lengths returns how many bytes go each way in a session without a fault, and a few more, as sessions vary.
func (b *bench) lengths(t *testing.T) (n [2]int) {
	t.Helper()
	r := b.session(t, b.peers.copyOf(t), play{server: elected}, "a session without a fault")
	if !r.done() {
		t.Fatal(r)
	}
	for i, w := range r.ways {
		n[i] = int(w.passed) + 50
	}
	return n
}

// A pipe breaks anywhere in a session of several MiB: both ways at once, one way only, or by falling silent, which the timeout
// ends. The objects that have come complete are kept.
func TestTortureWireCutLater(t *testing.T) {
	random := newRandom(t)
	b := bench{peers: newPeers(t, random(-1), large), timeout: 20 * time.Second, workers: 3, heal: 64}
	lengths := b.lengths(t)
	later := func(round int, kind faultKind) play {
		r, way := random(round), round%2
		at := cutFirst + r.Int64N(int64(lengths[way]-cutFirst))
		return play{faults: one(way, fault{kind: kind, at: at}), server: elected}
	}
	y := b.play(t, gittest.Rounds(2, 1000), func(round int) play { return later(round, cut) })
	y.figures(t, "cut after the first 64 KiB, of several MiB")
	y = b.play(t, gittest.Rounds(2, 200), func(round int) play { return later(round, half) })
	y.figures(t, "one way cut after the first 64 KiB, of several MiB")
	b.timeout, b.workers = time.Duration(gittest.Rounds(10, 3))*time.Second, 8
	y = b.play(t, gittest.Rounds(2, 100), func(round int) play { return later(round, freeze) })
	y.figures(t, fmt.Sprintf("silent after the first 64 KiB, of several MiB; the timeout is %d s", b.timeout/time.Second))
}

// A bit in any byte of the first 4 KiB is flipped, either way, whichever side is the SSH server. It goes unnoticed only where
// nothing depends on it: in the numbers of the election, and in the padding of the SSH packets before encryption starts.
func TestTortureWireFlipFirst(t *testing.T) {
	random := newRandom(t)
	b := bench{peers: newPeers(t, random(-1), small), timeout: time.Duration(gittest.Rounds(10, 3)) * time.Second, workers: gittest.Rounds(3, 12), heal: 128}
	for way, name := range wayNames {
		t.Run(name, func(t *testing.T) {
			y := b.play(t, gittest.Rounds(12, flipFirst), func(round int) play {
				r := random(round)
				return play{
					faults: one(way, fault{kind: flip, at: place(r, round, flipFirst), mask: 1 << r.IntN(8)}),
					server: (round + way) % 2,
				}
			})
			y.figures(t, fmt.Sprintf("a bit of a byte of the first 4 KiB altered, as server or client; the timeout is %d s", b.timeout/time.Second))
		})
	}
}

// The same anywhere in a session of several MiB.
func TestTortureWireFlipLater(t *testing.T) {
	random := newRandom(t)
	b := bench{peers: newPeers(t, random(-1), large), timeout: time.Duration(gittest.Rounds(10, 5)) * time.Second, workers: 4, heal: 64}
	lengths := b.lengths(t)
	y := b.play(t, gittest.Rounds(2, 1000), func(round int) play {
		r, way := random(round), round%2
		at := flipFirst + r.Int64N(int64(lengths[way]-flipFirst))
		return play{faults: one(way, fault{kind: flip, at: at, mask: 1 << r.IntN(8)}), server: elected}
	})
	y.figures(t, fmt.Sprintf("a bit after the first 4 KiB altered, of several MiB; the timeout is %d s", b.timeout/time.Second))
}
