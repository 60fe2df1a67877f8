package switchboard

import (
	"testing"
	"time"
)

// Something may happen so often at once, and then once an interval; what was
// not used is kept, but no more than for one burst.
func TestBucket(t *testing.T) {
	c := &clock{time.Unix(1e9, 0)}
	b := newBucket(3, time.Second, c.now)
	takes := func(want int) {
		t.Helper()
		got := 0
		for b.take() {
			got++
		}
		if got != want {
			t.Errorf("%d times, not %d", got, want)
		}
	}
	takes(3)
	c.t = c.t.Add(999 * time.Millisecond)
	takes(0)
	c.t = c.t.Add(1500 * time.Millisecond)
	takes(2)
	c.t = c.t.Add(501 * time.Millisecond)
	takes(1)
	c.t = c.t.Add(-time.Hour)
	takes(0)
	c.t = c.t.Add(100_000 * time.Hour)
	takes(3)
}
