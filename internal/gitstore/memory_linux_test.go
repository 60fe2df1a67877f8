package gitstore

import (
	"os"
	"syscall"
)

// maxMemory is what a process has used of memory at most, in bytes.
func maxMemory(state *os.ProcessState) int64 { return state.SysUsage().(*syscall.Rusage).Maxrss << 10 }
