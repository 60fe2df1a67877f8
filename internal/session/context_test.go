package session

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"

	"aig/internal/gittest"
	"aig/internal/intake"
	"aig/internal/ref"
	"aig/internal/wire"
)

// tap records what a side writes.
type tap struct {
	Pipe
	mu    sync.Mutex
	wrote bytes.Buffer
}

func (t *tap) Write(p []byte) (int, error) {
	t.mu.Lock()
	t.wrote.Write(p)
	t.mu.Unlock()
	return t.Pipe.Write(p)
}

// said returns the types of the messages that were written, without signs of life.
func (t *tap) said() string {
	var types []byte
	for in := wire.NewReader(&t.wrote); ; {
		f, err := in.Next()
		if err != nil {
			return string(types)
		}
		if f.Type != wire.TypeAlive {
			types = append(types, byte(f.Type))
		}
	}
}

// Two sides with the same context, or both with none, have their conversation. Otherwise both fail with both words, quoted,
// and neither has told the other more than its hello: no reference, no symbol, no name. The same goes if one side holds; it is
// then not even asked.
func TestContext(t *testing.T) {
	t.Parallel()
	repoA, repoB := gittest.New(t), gittest.New(t)
	commit := repoB.Commit("r", "Bob's")
	for _, c := range []struct{ a, b, quoted string }{
		{"", "", ""},
		{"ä b\u202e", "ä b\u202e", ""},
		{"holiday", "work", `ours is "holiday" and the peer's "work"`},
		{"holiday", "", `ours is "holiday" and the peer's none`},
		{"", "work", `ours is none and the peer's "work"`},
		{"work", "Work", `ours is "work" and the peer's "Work"`},
		{"ab", "ab\u202e", `ours is "ab" and the peer's "ab\u202e"`},
	} {
		for _, holds := range []bool{false, true} {
			a, b := &side{repo: repoA}, &side{repo: repoB}
			pipeA, pipeB := gittest.Loopback(t)
			tapA, tapB := &tap{Pipe: pipeA}, &tap{Pipe: pipeB}
			oA, oB := a.options(t, t.Context()), b.options(t, t.Context())
			oB.Server = true
			oA.Context, oB.Context = c.a, c.b
			oB.Refs = listed(ref.Ref{OID: commit, Name: "refs/heads/secret"})
			asked := false
			if holds {
				store := oA.Store
				oA.Store, oA.Direction = nil, wire.Pull
				oA.Hold = func(context.Context, Offer) (*intake.Store, error) {
					asked = true
					return store, nil
				}
			} else {
				oA.Refs = listed(ref.Ref{OID: commit, Name: "refs/heads/other"})
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				a.run(t.Context(), t, tapA, oA)
			}()
			b.run(t.Context(), t, tapB, oB)
			<-done
			if c.quoted == "" {
				if a.err != nil || b.err != nil || a.common+uint64(len(a.received)) != 3 {
					t.Errorf("%q: %v; %v; received %v", c.a, a.err, b.err, a.received)
				}
				if said := tapB.said(); !strings.HasPrefix(said, "HF") {
					t.Errorf("%q: B said %s", c.a, said)
				}
				continue
			}
			if a.err == nil || b.err == nil || !strings.Contains(a.err.Error(), c.quoted) {
				t.Errorf("%q against %q: %v; %v", c.a, c.b, a.err, b.err)
			}
			for who, tap := range map[string]*tap{"A": tapA, "B": tapB} {
				if said := tap.said(); said != "HX" && said != "H" {
					t.Errorf("%q against %q, holding %v: %s said %s", c.a, c.b, holds, who, said)
				}
			}
			if asked {
				t.Errorf("%q against %q: the side that holds was offered references", c.a, c.b)
			}
		}
	}
}

// script returns a peer that says a fixed text and reads until the end.
func script(t *testing.T, says string) *tap {
	t.Helper()
	ours, theirs := gittest.Loopback(t)
	if _, err := theirs.Write([]byte(says)); err != nil {
		t.Fatal(err)
	}
	return &tap{Pipe: ours}
}

// A program that doesn't know contexts, and sends its references right behind its hello, counts as having none: it can talk to
// a side that has none, but not to one that has.
func TestContextOfAnOlderPeer(t *testing.T) {
	const says = "0055Hversions 1 1\nobject-format sha1\ndirection both\nobjects 1\nagent aig/0.0.1\nrefs 1\n" +
		"001fF4b825dc6 refs/heads/older\n" + "0005B"
	for _, word := range []string{"", "holiday"} {
		a := &side{repo: gittest.New(t)}
		o := a.options(t, t.Context())
		var offer Offer
		o.Store, o.Direction, o.Context = nil, wire.Pull, word
		o.Hold = func(_ context.Context, got Offer) (*intake.Store, error) {
			offer = got
			return nil, nil
		}
		pipe := script(t, says)
		a.run(t.Context(), t, pipe, o)
		if word == "" {
			if a.err != nil || len(offer.Refs) != 1 || pipe.said() != "HQB" {
				t.Errorf("without a context: %v, offered %v", a.err, offer)
			}
			continue
		}
		if a.err == nil || !strings.Contains(a.err.Error(), `ours is "holiday" and the peer's none`) || len(offer.Refs) > 0 ||
			pipe.said() != "HX" {
			t.Errorf("with a context: %v, offered %v", a.err, offer)
		}
	}
}
