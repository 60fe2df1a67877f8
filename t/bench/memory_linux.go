package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// memoryMeasured says that watchMemory measures.
const memoryMeasured = true

const (
	// samplingInterval is how often the processes are looked at, at most.
	samplingInterval = 20 * time.Millisecond
	// samplingShare bounds what that costs: a fiftieth of a core. Otherwise it slows down the tools that have many threads.
	samplingShare = 50
)

// memory samples the descendants of this process, except the pipe's own.
type memory struct {
	prefix  string
	cancel  chan struct{}
	done    sync.WaitGroup
	program int64 // largest VmHWM (peak resident size, shared and mapped pages included) of a process of the program
	tree    int64 // largest sum of RssAnon (resident memory that is not a mapped file) of all processes of both sides
}

// watchMemory starts sampling. The program's processes are those whose names begin with the prefix.
func watchMemory(prefix string) *memory {
	m := &memory{prefix: prefix, cancel: make(chan struct{})}
	m.done.Go(func() {
		for {
			began := time.Now()
			m.sample()
			select {
			case <-time.After(max(samplingInterval, samplingShare*time.Since(began))):
			case <-m.cancel:
				return
			}
		}
	})
	return m
}

// stop ends the sampling and returns the two peaks in bytes.
func (m *memory) stop() (program, tree int64) {
	close(m.cancel)
	m.done.Wait()
	return m.program, m.tree
}

func (m *memory) sample() {
	own, _, _ := status(os.Getpid())
	m.tree = max(m.tree, m.descend(os.Getpid(), own))
}

// descend looks at the descendants of a process and returns the sum of their anonymous memory.
func (m *memory) descend(parent int, parentName string) int64 {
	var sum int64
	for _, pid := range children(parent) {
		name, peak, anonymous := status(pid)
		if name == parentName && name != "git" && name != "sh" && name != "rsync" {
			// The child of a Go program between fork and exec: it shows its parent's memory as its own.
			continue
		}
		sum += m.descend(pid, name)
		if name == "aig-test-pipe" {
			continue
		}
		sum += anonymous
		if strings.HasPrefix(name, m.prefix) {
			m.program = max(m.program, peak)
		}
	}
	return sum
}

// children returns the children of all threads of a process; none if it is gone.
func children(pid int) []int {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	var all []int
	for _, list := range lists {
		data, _ := os.ReadFile(list)
		for _, word := range strings.Fields(string(data)) {
			if child, err := strconv.Atoi(word); err == nil {
				all = append(all, child)
			}
		}
	}
	return all
}

// status returns a process's name, and its peak resident and current anonymous memory in bytes; zeros if it is gone.
func status(pid int) (name string, peak, anonymous int64) {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range bytes.Lines(data) {
		key, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimSpace(value)
		kibibytes, _ := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 64)
		switch key {
		case "Name":
			name = value
		case "VmHWM":
			peak = kibibytes << 10
		case "RssAnon":
			anonymous = kibibytes << 10
		}
	}
	return name, peak, anonymous
}

// adopt makes this process the subreaper of its descendants, so that nothing of a run outlives it unseen.
func adopt() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// reap waits until nothing of a run is left: the processes behind a broken pipe take a moment to notice. It must not be
// called while somebody else waits for a command.
func reap(ctx context.Context) error {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.ECHILD):
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return err
		case pid > 0:
			continue
		}
		select {
		case <-ctx.Done():
			var names []string
			for _, pid := range children(os.Getpid()) {
				name, _, _ := status(pid)
				names = append(names, fmt.Sprintf("%s (%d)", name, pid))
			}
			return fmt.Errorf("left running after a run: %s", strings.Join(names, ", "))
		case <-time.After(10 * time.Millisecond):
		}
	}
}
