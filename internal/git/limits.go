package git

import (
	"context"
	"fmt"
	"strconv"
)

// LimitError says that a limit which the user can set does not let the peer's packs in.
type LimitError struct{ Text string }

func (e *LimitError) Error() string { return e.Text }

// readMaxMemory reads aig.maxMemory, whose default is a quarter of the machine's memory: a few packs are in work at the
// same time.
func readMaxMemory(ctx context.Context, g Git) (int64, error) {
	n, ok, err := g.ConfigSize(ctx, "aig.maxMemory")
	if !ok && err == nil {
		n = machineMemory() / 4
	}
	return n, err
}

// AllowMemory tells whether something that this program itself would have to remember of the peer's fits into
// aig.maxMemory. Its error is a *LimitError.
func (r *Repo) AllowMemory(bytes uint64, what string) error {
	if most := r.maxMemory; most > 0 && bytes > uint64(most) {
		return &LimitError{fmt.Sprintf("%s may take %s of memory, and aig.maxMemory lets it use %s (raise it; 0 is no limit)",
			what, ByteSize(int64(bytes)), ByteSize(most))}
	}
	return nil
}

// ConfigSize is a number of bytes, which may have git's suffixes k, m and g.
func (g Git) ConfigSize(ctx context.Context, key string) (n int64, ok bool, err error) {
	v, ok, err := g.Config(ctx, key, "int")
	if !ok || err != nil {
		return 0, ok, err
	}
	if n, err = strconv.ParseInt(v, 10, 64); err != nil || n < 0 {
		return 0, ok, fmt.Errorf("configuration variable %s: %q is no number of bytes from 0 on", key, v)
	}
	return n, ok, nil
}

// ByteSize is a number of bytes for people, rounded down.
func ByteSize(n int64) string {
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
