package app

import (
	"context"
	"strings"
	"testing"

	"aig/internal/pairing"
)

// If undoing fails too, the error says both in one line.
func TestPairUndoFails(t *testing.T) {
	p := newPerson(t)
	r := &remoteConfig{git: p.config().Git, name: "bob", parked: true} // but nothing has been put aside
	err := r.write(t.Context(), strings.Repeat("x", 1<<20), true, p.fingerprint, pairing.Secret{})
	if err == nil || !like(err.Error(), "writing the remote \"bob\": *; restoring the remote \"bob\", *") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q", err)
	}
}

// An interrupt between the two halves of a pairing leaves the configuration as it was.
func TestPairUndoInterrupted(t *testing.T) {
	p := newPerson(t)
	p.Git("config", "remote.bob.url", "elsewhere")
	before := p.Git("config", "--list", "--local")
	r := &remoteConfig{git: p.config().Git, name: "bob"}
	if err := r.free(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	secret, err := pairing.ParseSecret("a:" + strings.Repeat("00", 32))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.write(t.Context(), "ssh host", false, p.fingerprint, secret); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.undo(ctx); err != nil {
		t.Error(err)
	}
	if after := p.Git("config", "--list", "--local"); after != before {
		t.Errorf("%s\nbecame\n%s", before, after)
	}
}
