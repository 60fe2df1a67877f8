package session

import (
	"testing"

	"aig/internal/gittest"
	"aig/internal/wire"
)

// The messages queued for a peer that does not read have a limit; beyond it the conversation fails.
func TestControlsHaveALimit(t *testing.T) {
	s := &session{controls: make(chan wire.Frame, maxControls)}
	for i := range maxControls {
		if err := s.post(wire.TypeStored, wire.Append(nil, uint32(i))); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	err := s.post(wire.TypeStored, nil)
	if err == nil {
		t.Fatal("one more waits")
	}
	gittest.MustBeClean(t, err.Error())
	<-s.controls
	if err := s.post(wire.TypeDone, nil); err != nil {
		t.Errorf("with room again: %v", err)
	}
}
