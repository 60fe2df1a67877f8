//go:build !linux

package git

import "os/exec"

// endWithUs does nothing where the kernel can't be asked: the child ends when it next reads or writes a pipe of ours.
func endWithUs(*exec.Cmd) {}

// limitMemory does nothing: only Linux can limit another process.
func limitMemory(int, int64) error { return nil }

// machineMemory returns 0: the size is unknown.
func machineMemory() int64 { return 0 }
