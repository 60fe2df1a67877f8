package git

import (
	"errors"

	"golang.org/x/sys/unix"
)

// limitMemory bounds what a process may use of memory for its data, in bytes: the heap, its threads' stacks, and all else
// that is private and can be written to (setrlimit(2), RLIMIT_DATA). Packs, which git maps and only reads, do not count;
// with RLIMIT_AS they would.
func limitMemory(pid int, bytes int64) error {
	limit := unix.Rlimit{Cur: uint64(bytes), Max: uint64(bytes)}
	var now unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, nil, &now); err != nil {
		return unlessEnded(err)
	}
	// Somebody else may have set one that is lower; it stays.
	limit.Cur, limit.Max = min(limit.Cur, now.Cur), min(limit.Max, now.Max)
	return unlessEnded(unix.Prlimit(pid, unix.RLIMIT_DATA, &limit, nil))
}

func unlessEnded(err error) error {
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// machineMemory is how much memory the machine has, in bytes; 0 where that is not known.
func machineMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(uint64(info.Totalram) * uint64(info.Unit))
}
