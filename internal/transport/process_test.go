//go:build unix

package transport

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The transport's status tells why it ended early.
func TestEnded(t *testing.T) {
	tests := []struct{ expression, want string }{
		{"exit 255", "exit status 255"},
		{"true", "exit status 0"},
		{"kill -9 $$", "signal: killed"},
		{"kill -TERM $$", "signal: terminated"},
		{"no-such-command-here", "exit status 127"},
	}
	for _, test := range tests {
		t.Run(test.expression, func(t *testing.T) {
			tr := start(t, Options{Expression: test.expression})
			if got := readAll(t, tr); got != "" {
				t.Errorf("read %q", got)
			}
			status, ended := tr.Ended()
			if !ended || status != test.want {
				t.Errorf("got %q, %v, want %q", status, ended, test.want)
			}
			if tr.Interrupted() {
				t.Error("interrupted")
			}
		})
	}
}

// Ended waits no longer than the grace for a transport that hasn't ended.
func TestEndedNotYet(t *testing.T) {
	tr := start(t, Options{Expression: "cat", Grace: 500 * time.Millisecond})
	if status, ended := tr.Ended(); ended || status != "" {
		t.Errorf("ended: %q", status)
	}
}

func TestInterrupted(t *testing.T) {
	tr := start(t, Options{Expression: "kill -INT $$", Grace: patience})
	if status, ended := tr.Ended(); !ended || !tr.Interrupted() {
		t.Errorf("status %q, ended %v, interrupted %v", status, ended, tr.Interrupted())
	}
}

// Close unblocks a Read that would never return and a Write that nobody reads,
// and both return os.ErrClosed.
func TestCloseUnblocks(t *testing.T) {
	tr := start(t, Options{Expression: "exec sleep 1000", Grace: 500 * time.Millisecond})
	errs := make(chan error, 2)
	go func() {
		_, err := tr.Read(make([]byte, 1))
		errs <- err
	}()
	full := make(chan struct{})
	go func() {
		var once sync.Once
		for {
			if _, err := tr.Write(make([]byte, 1<<20)); err != nil {
				errs <- err
				return
			}
			once.Do(func() { close(full) })
		}
	}()
	// The outcome must be the same whether or not they block already.
	closeInTime(t, tr)
	for range 2 {
		inTime(t, "a blocked Read or Write", func() {
			if err := <-errs; !errors.Is(err, os.ErrClosed) {
				t.Errorf("error %v, want os.ErrClosed", err)
			}
		})
	}
	select {
	case <-full:
		t.Error("a Write has ended: nothing was blocked")
	default:
	}
}

// Nothing of a transport survives Close: no background child, nothing that
// ignores SIGTERM, nothing that is stopped.
func TestNothingSurvives(t *testing.T) {
	tests := []struct{ name, expression string }{
		{"child in the background, shell gone", `sleep 1000 & echo $!`},
		{"child in the background, shell waits", `sleep 1000 & echo $!; wait`},
		{"deaf to the end of input", `echo $$; exec sleep 1000`},
		{"deaf to SIGTERM", `trap '' TERM; echo $$; while :; do sleep 1000; done`},
		{"child deaf to SIGTERM", `(trap '' TERM; exec sh -c 'echo $$; sleep 1000 & wait; sleep 1000') & wait`},
		{"stopped", `sh -c 'echo $$; kill -STOP $$; sleep 1000'`},
		{"writing for ever", `echo $$; while :; do echo x; done`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tr := start(t, Options{Expression: test.expression, Grace: 500 * time.Millisecond})
			pid := readPID(t, tr)
			if !alive(pid) {
				t.Fatal("gone before the end: nothing was tested")
			}
			closeInTime(t, tr)
			awaitGone(t, pid)
		})
	}
}

// A transport that ends by itself at end of input gets no signal.
func TestEndsByItself(t *testing.T) {
	file := filepath.Join(t.TempDir(), "end")
	tr := start(t, Options{
		Expression: `trap 'echo signal >>"$END"' TERM HUP INT; cat; echo end >>"$END"`,
		Env:        append(os.Environ(), "END="+file),
		Grace:      patience,
	})
	closeInTime(t, tr)
	if got, err := os.ReadFile(file); err != nil || string(got) != "end\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if status, ended := tr.Ended(); !ended || status != "exit status 0" {
		t.Errorf("ended %v: %q", ended, status)
	}
}

// SIGTERM comes before SIGKILL, and can be caught.
func TestTerminatedGently(t *testing.T) {
	l := newLines()
	tr := start(t, Options{
		Expression: `trap 'echo caught >&2; exit 3' TERM; echo ready >&2; while :; do sleep 0.01; done`,
		Stderr:     l.add,
		Grace:      2 * time.Second,
	})
	l.await(t, 1)
	closeInTime(t, tr)
	// The shell may say something about its own child first.
	if got := l.get(); got[len(got)-1] != "caught\n" {
		t.Errorf("standard error: %q", got)
	}
	if status, _ := tr.Ended(); status != "exit status 3" {
		t.Errorf("ended by %q", status)
	}
}

// Close may be called from any goroutine, at any time, any number of times.
func TestCloseIsIdempotent(t *testing.T) {
	tr := start(t, Options{Expression: "cat"})
	inTime(t, "closing", func() {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := tr.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
	tr.TakeTerminal()
	if _, err := tr.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("reading after Close: %v", err)
	}
}

// A transport leaves no goroutine and no descriptor behind.
func TestNoLeaks(t *testing.T) {
	descriptors := func() int {
		n := 0
		for fd := range 256 {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
				n++
			}
		}
		return n
	}
	once := func() {
		tr, err := begin(Options{Expression: "cat; echo x >&2"})
		if err != nil {
			t.Fatal(err)
		}
		closeInTime(t, tr)
	}
	once() // the first makes what the runtime then keeps
	goroutines, files := runtime.NumGoroutine(), descriptors()
	for range 10 {
		once()
	}
	if _, err := begin(Options{Expression: "true", Env: []string{"bad\x00value=1"}}); err == nil {
		t.Error("an environment with a NUL was taken")
	}
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > goroutines; {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, were %d\n%s", runtime.NumGoroutine(), goroutines, buf[:runtime.Stack(buf, true)])
		}
		time.Sleep(5 * time.Millisecond)
	}
	if n := descriptors(); n > files {
		t.Errorf("%d descriptors, were %d", n, files)
	}
}
