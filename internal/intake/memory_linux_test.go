package intake

import (
	"os"
	"syscall"
	"testing"
)

// maxMemory returns a child's peak of memory, in bytes, and ownMemory ours.
func maxMemory(state *os.ProcessState) int64 {
	return int64(state.SysUsage().(*syscall.Rusage).Maxrss) << 10
}

func ownMemory(t *testing.T) int64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return int64(used.Maxrss) << 10
}
