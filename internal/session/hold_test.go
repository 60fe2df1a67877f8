package session

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/intake"
	"aig/internal/oid"
	"aig/internal/ref"
	"aig/internal/wire"
)

// held runs a conversation between a side that holds and one that does not.
func held(t *testing.T, a, b *side, refs []ref.Ref, hold func(context.Context, Offer) (*intake.Store, error)) {
	t.Helper()
	pipeA, pipeB := gittest.Loopback(t)
	ctx := t.Context()
	oA, oB := a.options(t, ctx), b.options(t, ctx)
	oB.Server = true
	oA.Store, oA.Direction, oA.Hold = nil, wire.Pull, hold
	oB.Refs = listed(refs...)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.run(ctx, t, pipeA, oA)
	}()
	b.run(ctx, t, pipeB, oB)
	<-done
}

// A side that holds sees the peer's format and references first; if it goes on, it gets what it lacks and gives nothing.
func TestHoldAndGo(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"sha1", "sha256"} {
		a := &side{repo: gittest.New(t, "--object-format="+format)}
		b := &side{repo: gittest.New(t, "--object-format="+format)}
		a.repo.Blobs("a", 3)
		b.repo.Blobs("b", 300)
		refs := []ref.Ref{{OID: "0123", Name: "HEAD", Target: "refs/heads/main"}, {OID: "0123", Name: "refs/heads/main"}}
		var offer Offer
		held(t, a, b, refs, func(ctx context.Context, o Offer) (*intake.Store, error) {
			offer = o
			return intake.Open(ctx, git.Git{Dir: a.repo.Dir, Env: a.repo.Env})
		})
		mustAgree(t, a, b)
		if !reflect.DeepEqual(offer, Offer{oid.Format(format), refs}) {
			t.Errorf("offered %v", offer)
		}
		if len(a.received) != 300 || len(a.sent) != 0 {
			t.Errorf("received %d, sent %d", len(a.received), len(a.sent))
		}
	}
}

// A side that holds and wants nothing leaves in peace: both succeed, and nothing has moved, whatever its store has.
func TestHoldAndLeave(t *testing.T) {
	a, b := &side{repo: gittest.New(t)}, &side{repo: gittest.New(t)}
	b.repo.Blobs("b", 30)
	held(t, a, b, nil, func(context.Context, Offer) (*intake.Store, error) { return nil, nil })
	if a.err != nil || b.err != nil || len(a.received)+len(b.sent) > 0 || a.repo.Objects() != "" {
		t.Errorf("%v; %v; received %v", a.err, b.err, a.received)
	}
}

// The peer is told what stops a side that holds.
func TestHoldFails(t *testing.T) {
	a, b := &side{repo: gittest.New(t)}, &side{repo: gittest.New(t)}
	held(t, a, b, nil, func(context.Context, Offer) (*intake.Store, error) { return nil, errors.New("changed my mind") })
	if a.err == nil || b.err == nil || !strings.Contains(b.err.Error(), `"changed my mind"`) {
		t.Errorf("%v; %v", a.err, b.err)
	}
	held(t, a, b, nil, func(ctx context.Context, _ Offer) (*intake.Store, error) {
		other := gittest.New(t, "--object-format=sha256")
		return intake.Open(ctx, git.Git{Dir: other.Dir, Env: other.Env})
	})
	if a.err == nil || b.err == nil || !strings.Contains(b.err.Error(), "sha256") {
		t.Errorf("%v; %v", a.err, b.err)
	}
}
