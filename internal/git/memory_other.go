//go:build !linux

package git

// limitMemory does nothing: only Linux can limit another process.
func limitMemory(int, int64) error { return nil }

// machineMemory returns 0: the size is unknown.
func machineMemory() int64 { return 0 }
