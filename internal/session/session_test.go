package session

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/intake"
	"aig/internal/ref"
	"aig/internal/wire"
)

// side is one peer of a conversation under test.
type side struct {
	repo      *gittest.Repo
	direction wire.Direction

	common   uint64
	warnings []string
	sent     []string
	received []string
	heads    []string
	whole    bool
	err      error
}

func (d *side) options(t *testing.T, ctx context.Context) Options {
	t.Helper()
	store, err := intake.Open(ctx, git.Git{Dir: d.repo.Dir, Env: d.repo.Env})
	if err != nil {
		t.Fatal(err)
	}
	if d.direction == "" {
		d.direction = wire.Both
	}
	var mu sync.Mutex // both directions may warn
	return Options{
		Store: store, Direction: d.direction, Secret: []byte("of a test"), Timeout: 20 * time.Second, Agent: "test",
		Common: func(n uint64) { d.common = n },
		Warn: func(line string) {
			mu.Lock()
			defer mu.Unlock()
			d.warnings = append(d.warnings, line)
		},
	}
}

func (d *side) run(ctx context.Context, t *testing.T, pipe Pipe, o Options) {
	result, err := Run(ctx, pipe, o)
	d.err = err
	if result == nil || result.Sent == nil {
		return
	}
	d.heads, d.whole = result.Heads, result.Whole
	for i := range result.Sent.Len() {
		d.sent = append(d.sent, hex.EncodeToString(result.Sent.At(i)))
	}
	for i := range result.Received.Len() {
		d.received = append(d.received, hex.EncodeToString(result.Received.At(i)))
	}
}

// listed returns an Options.Refs that lists refs.
func listed(refs ...ref.Ref) func(context.Context) ([]ref.Ref, error) {
	return func(context.Context) ([]ref.Ref, error) { return refs, nil }
}

// talk has a whole conversation between two sides.
func talk(t *testing.T, a, b *side) {
	t.Helper()
	pipeA, pipeB := gittest.Loopback(t)
	ctx := t.Context()
	oA, oB := a.options(t, ctx), b.options(t, ctx)
	oB.Server = true
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.run(ctx, t, pipeA, oA)
	}()
	b.run(ctx, t, pipeB, oB)
	<-done
	for _, d := range []*side{a, b} {
		if left := d.repo.Quarantines(); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func mustAgree(t *testing.T, a, b *side) {
	t.Helper()
	if a.err != nil || b.err != nil {
		t.Fatalf("errors: %v; %v", a.err, b.err)
	}
	if !slices.Equal(a.sent, b.received) || !slices.Equal(b.sent, a.received) {
		t.Errorf("what one sent is not what the other received:\n%v\n%v\n%v\n%v", a.sent, b.received, b.sent, a.received)
	}
	if a.common != b.common {
		t.Errorf("in common: %d and %d", a.common, b.common)
	}
	for _, d := range []*side{a, b} {
		if !slices.IsSorted(d.sent) || !slices.IsSorted(d.received) {
			t.Error("a report is not ascending")
		}
		d.repo.MustBeSound()
	}
}

// Two stores that have drifted apart become equal, for both object formats; a second conversation moves what is new since.
func TestStoresBecomeEqual(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			alice := gittest.New(t, "--object-format="+format)
			bob := gittest.New(t, "--object-format="+format)
			alice.Commit("r", "Alice's")
			bob.Commit("r", "Bob's")
			a, b := &side{repo: alice}, &side{repo: bob}
			talk(t, a, b)
			mustAgree(t, a, b)
			if len(a.sent) != 3 || len(a.received) != 3 || a.common != 0 {
				t.Errorf("= %d, > %d, < %d; want 0, 3, 3", a.common, len(a.sent), len(a.received))
			}
			if alice.Objects() != bob.Objects() {
				t.Error("the stores differ")
			}
			alice.Commit("r", "random chance")
			a, b = &side{repo: alice}, &side{repo: bob}
			talk(t, a, b)
			mustAgree(t, a, b)
			if len(a.sent) != 3 || len(a.received) != 0 || a.common != 6 {
				t.Errorf("second: = %d, > %d, < %d; want 6, 3, 0", a.common, len(a.sent), len(a.received))
			}
			if alice.Objects() != bob.Objects() {
				t.Error("the stores differ after the second conversation")
			}
		})
	}
}

// An empty store, one with dangling objects only, and two equal ones.
func TestOddStores(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		a, b int
	}{{"both empty", 0, 0}, {"empty and dangling", 0, 3000}, {"dangling and empty", 7, 0}, {"equal", 5, 5}} {
		t.Run(c.name, func(t *testing.T) {
			a, b := &side{repo: gittest.New(t)}, &side{repo: gittest.New(t)}
			namesA, namesB := a.repo.Blobs("blob", c.a), b.repo.Blobs("blob", c.b)
			talk(t, a, b)
			mustAgree(t, a, b)
			if a.repo.Objects() != b.repo.Objects() {
				t.Error("the stores differ")
			}
			if got, want := len(a.received), max(0, len(namesB)-len(namesA)); got != want {
				t.Errorf("received %d, want %d", got, want)
			}
		})
	}
}

// --pull and --push move objects one way, and the peer's report shows it. If both sides only pull, or only push, both fail
// and say so.
func TestDirections(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b         wire.Direction
		aToB, bToA   bool
		failsBecause string
	}{
		{wire.Pull, wire.Both, false, true, ""},
		{wire.Push, wire.Both, true, false, ""},
		{wire.Push, wire.Pull, true, false, ""},
		{wire.Pull, wire.Pull, false, false, "both sides only pull"},
		{wire.Push, wire.Push, false, false, "both sides only push"},
	} {
		t.Run(string(c.a)+" "+string(c.b), func(t *testing.T) {
			a, b := &side{repo: gittest.New(t), direction: c.a}, &side{repo: gittest.New(t), direction: c.b}
			namesA, namesB := a.repo.Blobs("a", 4), b.repo.Blobs("b", 5)
			talk(t, a, b)
			if c.failsBecause != "" {
				for _, d := range []*side{a, b} {
					if d.err == nil || !strings.HasPrefix(d.err.Error(), c.failsBecause) {
						t.Errorf("error %v, want %q", d.err, c.failsBecause)
					}
				}
				return
			}
			mustAgree(t, a, b)
			want := func(names []string, moves bool) []string {
				if !moves {
					return nil
				}
				slices.Sort(names)
				return names
			}
			if !slices.Equal(a.sent, want(namesA, c.aToB)) || !slices.Equal(a.received, want(namesB, c.bToA)) {
				t.Errorf("sent %v, received %v", a.sent, a.received)
			}
		})
	}
}

// SHA-1 against SHA-256 fails on both sides, with both formats in the message.
func TestObjectFormatsDiffer(t *testing.T) {
	a, b := &side{repo: gittest.New(t)}, &side{repo: gittest.New(t, "--object-format=sha256")}
	talk(t, a, b)
	for _, d := range []*side{a, b} {
		if d.err == nil || !strings.Contains(d.err.Error(), "sha1") || !strings.Contains(d.err.Error(), "sha256") {
			t.Errorf("error %v", d.err)
		}
	}
}

// A side that gives up before the contexts are compared says that it does, but not why.
func TestNoReasonBeforeTheContexts(t *testing.T) {
	a, b := &side{repo: gittest.New(t)}, &side{repo: gittest.New(t)}
	pipeA, pipeB := gittest.Loopback(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	oA, oB := a.options(t, ctx), b.options(t, ctx)
	oB.Server = true
	// A is stopped before it says hello: B is sure to be waiting.
	oA.Objects = nil
	cancel(errors.New("tired of \x1b[31mit"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.run(ctx, t, pipeA, oA)
	}()
	b.run(t.Context(), t, pipeB, oB)
	<-done
	var peer *PeerError
	if !errors.As(b.err, &peer) || !strings.Contains(peer.Error(), "no reason is given until") {
		t.Errorf("error of the other side: %v", b.err)
	}
}

// A side that takes its time to list its references shows signs of life meanwhile; if listing fails, the other side is told.
func TestListingReferences(t *testing.T) {
	t.Parallel()
	const timeout = 3 * time.Second
	for _, failure := range []error{nil, errors.New("out of luck")} {
		a, b := &side{repo: gittest.New(t)}, &side{repo: gittest.New(t)}
		a.repo.Blobs("a", 1)
		pipeA, pipeB := gittest.Loopback(t)
		oA, oB := a.options(t, t.Context()), b.options(t, t.Context())
		oB.Server = true
		oB.Timeout = timeout
		oA.Refs = func(context.Context) ([]ref.Ref, error) {
			time.Sleep(2 * timeout)
			return nil, failure
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			a.run(t.Context(), t, pipeA, oA)
		}()
		b.run(t.Context(), t, pipeB, oB)
		<-done
		var told *PeerError
		switch {
		case failure == nil && (a.err != nil || b.err != nil || len(b.received) != 1):
			t.Errorf("%v, %v, %d objects", a.err, b.err, len(b.received))
		case failure != nil && (!errors.Is(a.err, failure) || !errors.As(b.err, &told) || strings.Contains(told.Reason, failure.Error())):
			t.Errorf("%v, %v", a.err, b.err)
		}
	}
}
