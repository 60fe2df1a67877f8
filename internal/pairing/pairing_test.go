package pairing

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"aig/internal/cpace"
	"aig/internal/gittest"
	"aig/internal/wire"
)

// sides returns the options of an honest pair.
func sides() (inviter, accepter Options) {
	session := []byte("a session identifier")
	inviter = Options{Side: Invite, Secret: "204617", Initiator: true, SessionID: session, OwnKey: []byte("key 1"), PeerKey: []byte("key 2"), Name: "Alice"}
	accepter = Options{Side: Accept, Secret: "204617", SessionID: session, OwnKey: []byte("key 2"), PeerKey: []byte("key 1"), Name: "Bob"}
	return inviter, accepter
}

// outcome is the outcome of one side.
type outcome struct {
	peer Peer
	kept []Secret // but not undone
	err  error
}

// run runs a side to its end, and closes its end of the pipe.
func run(pipe io.ReadWriteCloser, o Options) (out outcome) {
	defer pipe.Close()
	if o.Keep == nil {
		o.Keep = func(s Secret) error { out.kept = append(out.kept, s); return nil }
	}
	o.Undo = func() error { out.kept = nil; return nil }
	out.peer, out.err = Run(pipe, o)
	return out
}

// pair runs both sides against each other.
func pair(t testing.TB, x, y Options) (outcome, outcome) {
	t.Helper()
	a, b := gittest.Pipe()
	done := make(chan outcome)
	go func() { done <- run(a, x) }()
	second := run(b, y)
	return <-done, second
}

// Whichever side is the initiator, both get the same secret, with the letters of their sides, and the peer's name.
func TestPair(t *testing.T) {
	for _, swapped := range []bool{false, true} {
		a, b := sides()
		a.Initiator, b.Initiator = !swapped, swapped
		a.Sync, b.Sync = true, true
		x, y := pair(t, a, b)
		if x.err != nil || y.err != nil {
			t.Fatal(x.err, y.err)
		}
		if x.peer != (Peer{"Bob", true}) || y.peer != (Peer{"Alice", true}) {
			t.Error(x.peer, y.peer)
		}
		if len(x.kept) != 1 || len(y.kept) != 1 || x.kept[0].bytes != y.kept[0].bytes || x.kept[0].letter != 'a' || y.kept[0].letter != 'b' {
			t.Fatal(x.kept, y.kept)
		}
		m, n := x.kept[0].Meeting("work"), y.kept[0].Meeting("work")
		if m[:32] != n[:32] || m[32:] != " a" || n[32:] != " b" {
			t.Errorf("they meet at %q and %q", m, n)
		}
		if m[:32] == x.kept[0].Meeting("")[:32] {
			t.Error("two contexts meet")
		}
		again, err := ParseSecret(y.kept[0].String())
		if err != nil || again != y.kept[0] {
			t.Error(again, err)
		}
	}
}

// A sync follows only if both sides want one.
func TestNoSync(t *testing.T) {
	a, b := sides()
	a.Sync = true
	if x, y := pair(t, a, b); x.err != nil || y.err != nil || x.peer.Sync || y.peer.Sync {
		t.Error(x, y)
	}
}

// If the two sides differ in anything, both fail with an error that says so, and nothing is kept: other digits, other keys or
// another session, as with a man in the middle of two SSH handshakes.
func TestDifferent(t *testing.T) {
	for name, alter := range map[string]func(o *Options){
		"digits":     func(o *Options) { o.Secret = "204618" },
		"session":    func(o *Options) { o.SessionID = []byte("another session id") },
		"own key":    func(o *Options) { o.OwnKey = []byte("key 3") },
		"peer key":   func(o *Options) { o.PeerKey = []byte("key 3") },
		"keys moved": func(o *Options) { o.OwnKey, o.PeerKey = []byte("key"), []byte(" 2key 1") },
	} {
		for _, initiator := range []bool{true, false} {
			a, b := sides()
			a.Initiator, b.Initiator = initiator, !initiator
			alter(&b)
			x, y := pair(t, a, b)
			if !errors.Is(x.err, errCode) || !errors.Is(y.err, errCode) || x.kept != nil || y.kept != nil {
				t.Errorf("%s: %v, %v; kept %v, %v", name, x.err, y.err, x.kept, y.kept)
			}
		}
	}
}

func TestSameSide(t *testing.T) {
	a, b := sides()
	b.Side = Invite
	x, y := pair(t, a, b)
	if y.err == nil || y.err.Error() != "both sides invite: one of you has to accept" || x.err == nil {
		t.Errorf("%v; %v", x.err, y.err)
	}
}

// Two initiators, or two responders, can't be at the ends of one connection.
func TestSameRole(t *testing.T) {
	for _, initiator := range []bool{true, false} {
		a, b := sides()
		a.Initiator, b.Initiator = initiator, initiator
		if x, y := pair(t, a, b); x.err == nil || y.err == nil || !strings.HasPrefix(y.err.Error(), "somebody is in between") {
			t.Errorf("%v; %v", x.err, y.err)
		}
	}
}

// An echo of our own messages is not taken for a peer.
func TestReflected(t *testing.T) {
	a, _ := sides()
	near, far := gittest.Pipe()
	go io.Copy(far, far)
	if x := run(near, a); x.err == nil || x.kept != nil {
		t.Error(x)
	}
}

// If one side can't keep the pair, neither does.
func TestNotKept(t *testing.T) {
	a, b := sides()
	full := errors.New("the disk is full")
	a.Keep = func(Secret) error { return full }
	x, y := pair(t, a, b)
	if !errors.Is(x.err, full) || y.kept != nil || !errors.As(y.err, new(*abortError)) {
		t.Errorf("%v; %v", x.err, y)
	}
}

// If any bit of a share or a tag is altered, both sides fail, and nothing is kept. (The last message, with a side's own name,
// proves nothing; on the real channel SSH protects it.)
func TestEveryBit(t *testing.T) {
	for initiator := range 2 {
		for message := range 2 {
			for bit := range 8 * 64 {
				if testing.Short() && bit%7 != 0 {
					continue
				}
				a, b := sides()
				a.Initiator, b.Initiator = initiator == 0, initiator != 0
				x, y := tampered(t, a, b, message, func(f wire.Frame) { f.Body[bit/8%len(f.Body)] ^= 1 << (bit % 8) })
				// X25519 ignores the share's last bit, but it is hashed.
				if x.err == nil || y.err == nil || x.kept != nil || y.kept != nil {
					t.Fatalf("message %d, bit %d: %v, %v", message, bit, x, y)
				}
			}
		}
	}
}

// tampered pairs two sides with a man in the middle who alters a's message of that number.
func tampered(t testing.TB, a, b Options, message int, alter func(wire.Frame)) (outcome, outcome) {
	t.Helper()
	near, nearEnd := gittest.Pipe()
	far, farEnd := gittest.Pipe()
	go func() {
		in, out := wire.NewReader(nearEnd), wire.NewWriter(farEnd)
		for i := 0; ; i++ {
			f, err := in.Next()
			if err != nil {
				farEnd.Close()
				return
			}
			if i == message {
				alter(f)
			}
			out.Write(f.Type, f.Body)
		}
	}()
	go func() {
		io.Copy(nearEnd, farEnd)
		nearEnd.Close()
	}()
	done := make(chan outcome)
	go func() { done <- run(near, a) }()
	second := run(far, b)
	return <-done, second
}

// An attacker who guesses a code of two digits succeeds once in a hundred attempts in either role, as once in a million with six.
// The honest side notices every other attempt.
func TestGuessing(t *testing.T) {
	const attempts = 5000 // in either role
	random := rand.New(rand.NewPCG(1, 2))
	for _, initiator := range []bool{true, false} {
		hits := 0
		for range attempts {
			_, honest := sides()
			honest.Initiator = !initiator
			honest.Secret = fmt.Sprintf("%02d", random.IntN(100))
			attacker := honest
			attacker.Side, attacker.Initiator = Invite, initiator
			attacker.OwnKey, attacker.PeerKey = honest.PeerKey, honest.OwnKey
			attacker.Secret = fmt.Sprintf("%02d", random.IntN(100))
			x, y := pair(t, attacker, honest)
			switch {
			case x.err == nil && y.err == nil && attacker.Secret == honest.Secret:
				hits++
			case !errors.Is(y.err, errCode) || attacker.Secret == honest.Secret:
				t.Fatalf("%q against %q: %v", attacker.Secret, honest.Secret, y.err)
			}
		}
		// Five standard deviations from 50 ± 7.
		if hits < 15 || hits > 85 {
			t.Errorf("%d of %d attempts", hits, attempts)
		}
		t.Logf("initiator %v: %d of %d attempts against two digits", initiator, hits, attempts)
	}
}

// Whatever a peer sends, a side ends with an error or an honest pair, and never panics or keeps what wasn't confirmed.
func FuzzMessages(f *testing.F) {
	share := func(o Options) []byte {
		x, err := cpace.Start(o.input(), o.Initiator, data(o.Side, o.Initiator))
		if err != nil {
			f.Fatal(err)
		}
		var b bytes.Buffer
		w := wire.NewWriter(&b)
		w.Write(typeShare, x.Own.Point[:], x.Own.Data)
		w.Write(typeTag, make([]byte, cpace.TagSize))
		w.Write(typeKept, []byte{1}, []byte("Mallory"))
		return b.Bytes()
	}
	a, b := sides()
	f.Add(share(a), false)
	f.Add(share(b), true)
	f.Add([]byte("0005X"), true)
	f.Add([]byte("0005K"), false)
	f.Fuzz(func(t *testing.T, said []byte, initiator bool) {
		o, _ := sides()
		o.Initiator = initiator
		o.Keep = func(Secret) error { t.Fatal("kept without a proof"); return nil }
		_, err := Run(struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(said), io.Discard}, o)
		if err == nil || strings.ContainsAny(err.Error(), "\x00\x1b\n") {
			t.Fatalf("%v", err)
		}
	})
}
