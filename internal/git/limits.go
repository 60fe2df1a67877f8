package git

import (
	"context"
	"fmt"
	"strconv"
)

// LimitError says that a limit set by the user keeps out what the peer sends.
type LimitError struct{ Text string }

func (e *LimitError) Error() string { return e.Text }

// AllowMemory returns a *LimitError if what we would have to remember about the peer doesn't fit into aig.maxMemory.
func (r *Repo) AllowMemory(bytes uint64, what string) error {
	if most := r.maxMemory; most > 0 && bytes > uint64(most) {
		return &LimitError{fmt.Sprintf("%s may take %s of memory, and aig.maxMemory allows %s (raise it; 0 is no limit)",
			what, ByteSize(bytes), ByteSize(most))}
	}
	return nil
}

// ConfigSize returns the value of a variable that is a number of bytes, with git's suffixes k, m and g, or otherwise if it is unset.
func (g Git) ConfigSize(ctx context.Context, key string, otherwise int64) (int64, error) {
	v, ok, err := g.Config(ctx, key, "int")
	if !ok || err != nil {
		return otherwise, err
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("configuration variable %s: %q is not a size in bytes", key, v)
	}
	return n, nil
}

// ByteSize formats a number of bytes for people, as git's progress does.
func ByteSize[N int64 | uint64](n N) string {
	if n < 1024 {
		return fmt.Sprintf("%d bytes", n)
	}
	size, unit := float64(n)/1024, 0
	for ; size >= 1024 && unit < 2; unit++ {
		size /= 1024
	}
	return fmt.Sprintf("%.2f %ciB", size, "KMG"[unit])
}
