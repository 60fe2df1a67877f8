package switchboard

import (
	"sync"
	"time"
)

// bucket says how often something may happen: burst times at once, and then
// once every interval.
type bucket struct {
	burst    int
	interval time.Duration
	now      func() time.Time

	mu   sync.Mutex
	left int
	last time.Time // when left was reckoned, a whole number of intervals after the start
}

func newBucket(burst int, interval time.Duration, now func() time.Time) *bucket {
	return &bucket{burst: burst, interval: interval, now: now, left: burst, last: now()}
}

// take tells whether it may happen once more, and counts it if so.
func (b *bucket) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.now().Sub(b.last) / b.interval; n > 0 {
		b.left = min(b.left+int(min(n, time.Duration(b.burst))), b.burst)
		b.last = b.last.Add(n * b.interval)
	}
	if b.left == 0 {
		return false
	}
	b.left--
	return true
}
