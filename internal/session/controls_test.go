package session

import (
	"testing"

	"aig/internal/gittest"
	"aig/internal/wire"
)

// What waits for a peer that does not read has a limit, behind which the conversation fails; signs of life do not add up.
func TestControlsHaveALimit(t *testing.T) {
	c := newControls()
	for range 10 {
		c.postAlive()
	}
	if len(c.queue) != 1 {
		t.Errorf("%d signs of life wait", len(c.queue))
	}
	for i := range maxControls - 1 {
		if err := c.post(wire.TypeStored, wire.AppendNumber(nil, uint32(i))); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	err := c.post(wire.TypeStored, nil)
	if err == nil || len(c.queue) != maxControls {
		t.Fatalf("%v, %d messages wait", err, len(c.queue))
	}
	gittest.MustBeClean(t, err.Error())
	if f, ok := c.take(); !ok || f.Type != wire.TypeAlive {
		t.Errorf("took %v", f)
	}
	if err := c.post(wire.TypeDone, nil); err != nil {
		t.Errorf("with room again: %v", err)
	}
}
