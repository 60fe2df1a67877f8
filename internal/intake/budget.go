package intake

import (
	"context"
	"fmt"
	"sync"
	"time"

	"aig/internal/git"
)

// budget is what the peer's packs may cost, from the opening of a store on: for one run of a command.
type budget struct {
	maxInput int64         // bytes of packs; 0 is no limit
	maxTime  time.Duration // see indexTime; 0 is no limit

	mu    sync.Mutex
	input int64
	spent time.Duration
}

// The default of aig.maxIndexTime, and what is added to it for each MiB of packs. An honest pack takes well below a
// second of a core a MiB; one whose deltas describe much more than it holds can take any time, and gets that of its size.
const (
	defaultIndexTime = time.Hour
	indexTimePerMiB  = time.Minute
)

// read reads aig.maxInputSize and aig.maxIndexTime.
func (b *budget) read(ctx context.Context, g git.Git) (err error) {
	if b.maxInput, _, err = g.ConfigSize(ctx, "aig.maxInputSize"); err != nil {
		return err
	}
	v, ok, err := g.Config(ctx, "aig.maxIndexTime", "")
	if err != nil {
		return err
	}
	b.maxTime = defaultIndexTime
	if ok {
		if b.maxTime, err = time.ParseDuration(v); err != nil || b.maxTime < 0 {
			return fmt.Errorf("configuration variable aig.maxIndexTime: %q is no duration such as 90s or 2h", v)
		}
	}
	return nil
}

// take accounts for n bytes of a pack, before they are used.
func (b *budget) take(n int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.maxInput > 0 && int64(n) > b.maxInput-b.input {
		return &git.LimitError{Text: fmt.Sprintf("the peer's packs are larger than aig.maxInputSize lets in, which is %s "+
			"in one run (raise it; 0 is no limit)", git.ByteSize(b.maxInput))}
	}
	b.input += int64(n)
	return nil
}

// clock bounds the time that git takes for one pack.
type clock struct {
	budget *budget
	since  time.Time
	timer  *time.Timer // nil where there is no limit
}

// start starts the clock of a pack that has come whole. When what is left of the time has passed, cancel is called, with
// a *git.LimitError.
func (b *budget) start(cancel context.CancelCauseFunc) *clock {
	c := &clock{budget: b, since: time.Now()}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.maxTime > 0 {
		all := b.maxTime + time.Duration(b.input>>10)*(indexTimePerMiB>>10)
		c.timer = time.AfterFunc(all-b.spent, func() {
			cancel(&git.LimitError{Text: fmt.Sprintf("the peer's packs take git longer to index than aig.maxIndexTime allows, which is %s "+
				"in one run and a minute more for each MiB (raise it; 0 is no limit)", b.maxTime)})
		})
	}
	return c
}

// stop ends it. It may be nil.
func (c *clock) stop() {
	if c == nil {
		return
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	c.budget.mu.Lock()
	defer c.budget.mu.Unlock()
	c.budget.spent += time.Since(c.since)
}
