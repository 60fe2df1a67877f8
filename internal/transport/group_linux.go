package transport

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
)

// runs returns whether the process group has a member that hasn't ended. kill(2)
// also counts zombies, which an orphan may stay for as long as the system's first
// process likes.
func runs(group int) bool {
	proc, err := os.Open("/proc")
	if err != nil {
		return true // nobody knows
	}
	entries, err := proc.Readdirnames(-1)
	proc.Close()
	if err != nil || len(entries) == 0 {
		return true
	}
	for _, entry := range entries {
		if entry[0] < '0' || entry[0] > '9' {
			continue
		}
		// proc_pid_stat(5): "pid (name) state ppid pgrp ...", where the name may hold anything.
		stat, err := os.ReadFile(filepath.Join("/proc", entry, "stat"))
		if err != nil {
			continue // it has gone
		}
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 3 {
			return true
		}
		if state := fields[0][0]; string(fields[2]) == strconv.Itoa(group) && state != 'Z' && state != 'X' {
			return true
		}
	}
	return false
}
