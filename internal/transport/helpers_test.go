//go:build unix

package transport

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds every wait of these tests; reaching it is a failure.
const patience = 30 * time.Second

// lines collects what Options.Stderr is given.
type lines struct {
	mu  sync.Mutex
	all []string
	new chan struct{}
}

func newLines() *lines { return &lines{new: make(chan struct{}, 1)} }

func (l *lines) add(line string) {
	l.mu.Lock()
	l.all = append(l.all, line)
	l.mu.Unlock()
	select {
	case l.new <- struct{}{}:
	default:
	}
}

func (l *lines) get() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.all...)
}

// await waits until there are n lines.
func (l *lines) await(t *testing.T, n int) []string {
	t.Helper()
	timeout := time.After(patience)
	for {
		if all := l.get(); len(all) >= n {
			return all
		}
		select {
		case <-l.new:
		case <-timeout:
			t.Fatalf("no %d lines on standard error, but %q", n, l.get())
		}
	}
}

// begin starts an expression, with defaults for what most tests don't care about.
func begin(o Options) (*Transport, error) {
	if o.Env == nil {
		o.Env = os.Environ()
	}
	if o.Stderr == nil {
		o.Stderr = func(string) {}
	}
	return Start(o)
}

// start starts an expression and closes it at the end of the test.
func start(t *testing.T, o Options) *Transport {
	t.Helper()
	tr, err := begin(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeInTime(t, tr) })
	return tr
}

func closeInTime(t *testing.T, c io.Closer) {
	t.Helper()
	inTime(t, "Close", func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// inTime fails the test if f doesn't return.
func inTime(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		buf := make([]byte, 1<<16)
		t.Fatalf("%s doesn't return\n%s", what, buf[:runtime.Stack(buf, true)])
	}
}

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	var all []byte
	inTime(t, "reading", func() {
		var err error
		if all, err = io.ReadAll(r); err != nil {
			t.Errorf("reading: %v", err)
		}
	})
	return string(all)
}

// alive returns whether a process runs; a zombie doesn't.
func alive(pid int) bool {
	if unix.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist) || runtime.GOOS != "linux"
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func awaitGone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(patience); alive(pid); {
		if time.Now().After(deadline) {
			unix.Kill(pid, unix.SIGKILL)
			t.Fatalf("process %d is still there", pid)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// readPID reads a line with a process number.
func readPID(t *testing.T, r io.Reader) int {
	t.Helper()
	var line []byte
	inTime(t, "reading a process number", func() {
		for b := make([]byte, 1); ; {
			if _, err := io.ReadFull(r, b); err != nil {
				t.Errorf("reading a process number: %v", err)
				return
			}
			if b[0] == '\n' {
				return
			}
			line = append(line, b[0])
		}
	})
	pid, err := strconv.Atoi(string(line))
	if err != nil || pid <= 1 {
		t.Fatalf("no process number: %q", line)
	}
	return pid
}
