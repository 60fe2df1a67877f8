package main

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// readLoad reads the processor time of all children that were waited for, and of all other processes but this one. What the host of a
// virtual machine takes away counts as others'.
func readLoad() (l load) {
	var children, self unix.Rusage
	if unix.Getrusage(unix.RUSAGE_CHILDREN, &children) != nil || unix.Getrusage(unix.RUSAGE_SELF, &self) != nil {
		return load{}
	}
	l.ours = processorTime(children)
	data, _ := os.ReadFile("/proc/stat") // proc_stat(5): in hundredths of a second
	first, _, _ := strings.Cut(string(data), "\n")
	for i, field := range strings.Fields(first) {
		const name, idle, waiting, steal = 0, 4, 5, 8
		if ticks, err := strconv.ParseInt(field, 10, 64); err == nil && i > name && i != idle && i != waiting && i <= steal {
			l.others += time.Duration(ticks) * time.Second / 100
		}
	}
	l.others -= l.ours + processorTime(self)
	return l
}

func processorTime(u unix.Rusage) time.Duration {
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
