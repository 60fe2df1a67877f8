//go:build !linux

package git

// limitMemory does nothing: a limit that is set on another process's data is Linux's alone.
func limitMemory(int, int64) error { return nil }

// machineMemory is not known.
func machineMemory() int64 { return 0 }
