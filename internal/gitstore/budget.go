package gitstore

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"
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

// LimitError says that a limit which the user can set does not let the peer's packs in.
type LimitError struct{ text string }

func (e *LimitError) Error() string { return e.text }

// read reads aig.maxInputSize and aig.maxIndexTime.
func (b *budget) read(ctx context.Context, g Git) (err error) {
	if b.maxInput, _, err = configSize(ctx, g, "aig.maxInputSize"); err != nil {
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

// readMaxMemory reads aig.maxMemory, whose default is a quarter of the machine's memory: a few packs are in work at the
// same time.
func readMaxMemory(ctx context.Context, g Git) (int64, error) {
	n, ok, err := configSize(ctx, g, "aig.maxMemory")
	if !ok && err == nil {
		n = machineMemory() / 4
	}
	return n, err
}

// AllowMemory tells whether something that this program itself would have to remember of the peer's fits into
// aig.maxMemory. Its error is a *LimitError.
func (s *Store) AllowMemory(bytes uint64, what string) error {
	if most := s.git.maxMemory; most > 0 && bytes > uint64(most) {
		return &LimitError{fmt.Sprintf("%s may take %s of memory, and aig.maxMemory lets it use %s (raise it; 0 is no limit)",
			what, byteSize(int64(bytes)), byteSize(most))}
	}
	return nil
}

// configSize is a number of bytes, which may have git's suffixes k, m and g.
func configSize(ctx context.Context, g Git, key string) (n int64, ok bool, err error) {
	v, ok, err := g.Config(ctx, key, "int")
	if !ok || err != nil {
		return 0, ok, err
	}
	if n, err = strconv.ParseInt(v, 10, 64); err != nil || n < 0 {
		return 0, ok, fmt.Errorf("configuration variable %s: %q is no number of bytes from 0 on", key, v)
	}
	return n, ok, nil
}

// take accounts for n bytes of a pack, before they are used.
func (b *budget) take(n int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.maxInput > 0 && int64(n) > b.maxInput-b.input {
		return &LimitError{fmt.Sprintf("the peer's packs are larger than aig.maxInputSize lets in, which is %s "+
			"in one run (raise it; 0 is no limit)", byteSize(b.maxInput))}
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
// a *LimitError.
func (b *budget) start(cancel context.CancelCauseFunc) *clock {
	c := &clock{budget: b, since: time.Now()}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.maxTime > 0 {
		all := b.maxTime + time.Duration(b.input>>10)*(indexTimePerMiB>>10)
		c.timer = time.AfterFunc(all-b.spent, func() {
			cancel(&LimitError{fmt.Sprintf("the peer's packs take git longer to index than aig.maxIndexTime allows, which is %s "+
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

// byteSize is a number of bytes for people, rounded down.
func byteSize(n int64) string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= 10*unit.bytes || n >= unit.bytes && n%unit.bytes == 0 {
			return fmt.Sprintf("%d %s", n/unit.bytes, unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
