package git

import (
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// endWithUs makes the kernel kill the child when we are killed and can't do it ourselves. A child that computes, or is stopped,
// would not notice that its pipes have closed.
//
// What counts for the kernel is the thread that started the child, not the process. The Go runtime ends a thread only together
// with a goroutine locked to it, and there is none.
func endWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// limitMemory limits a process's data (setrlimit(2), RLIMIT_DATA): heap, stacks of threads, and every other private writable
// mapping. Packs, which git maps read-only, don't count, as they would with RLIMIT_AS.
func limitMemory(pid int, bytes int64) error {
	limit := unix.Rlimit{Cur: uint64(bytes), Max: uint64(bytes)}
	var now unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, nil, &now); err != nil {
		return unlessEnded(err)
	}
	// A lower limit that somebody else has set stays.
	limit.Cur, limit.Max = min(limit.Cur, now.Cur), min(limit.Max, now.Max)
	return unlessEnded(unix.Prlimit(pid, unix.RLIMIT_DATA, &limit, nil))
}

func unlessEnded(err error) error {
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// machineMemory returns how many bytes of memory the machine has, or our cgroup may use; 0 where that is unknown.
func machineMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	machine := int64(uint64(info.Totalram) * uint64(info.Unit))
	cgroups, _ := os.ReadFile("/proc/self/cgroup")
	return min(machine, cgroupMemory(string(cgroups), "/sys/fs/cgroup"))
}

// cgroupMemory returns the lowest limit of the given cgroups and those above them (cgroups(7)). A line is "0::/path" for version
// 2 and "4:memory:/path" for version 1. In a container the path may be the host's; then the limit at the root counts.
func cgroupMemory(cgroups, root string) int64 {
	least := int64(math.MaxInt64)
	for line := range strings.Lines(cgroups) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 || fields[1] != "" && fields[1] != "memory" {
			continue
		}
		dir, file := root, "memory.max"
		if fields[1] == "memory" {
			dir, file = filepath.Join(root, "memory"), "memory.limit_in_bytes"
		}
		for path := filepath.Clean("/" + fields[2]); ; path = filepath.Dir(path) {
			text, _ := os.ReadFile(filepath.Join(dir, path, file))
			if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && limit > 0 {
				least = min(least, limit)
			}
			if path == "/" {
				break
			}
		}
	}
	return least
}
