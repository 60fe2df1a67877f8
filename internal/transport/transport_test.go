//go:build unix

package transport

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
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

// start starts an expression and closes it at the end of the test.
func start(t *testing.T, o Options) *Transport {
	t.Helper()
	tr, err := Start(t.Context(), o)
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

// alive tells whether a process runs; what nobody has reaped doesn't.
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

// Ten megabytes go each way at the same time, and arrive as they were sent.
func TestBothDirectionsAtOnce(t *testing.T) {
	const size = 10 << 20
	tr := start(t, Options{Expression: "cat"})
	sent, got := sha256.New(), sha256.New()
	inTime(t, "copying", func() {
		var wg sync.WaitGroup
		wg.Go(func() {
			src := io.LimitReader(rand.NewChaCha8([32]byte{1}), size)
			if _, err := io.Copy(io.MultiWriter(tr, sent), src); err != nil {
				t.Errorf("writing: %v", err)
			}
			if err := tr.CloseWrite(); err != nil {
				t.Errorf("CloseWrite: %v", err)
			}
		})
		wg.Go(func() {
			if n, err := io.Copy(got, tr); err != nil || n != size {
				t.Errorf("read %d bytes, %v", n, err)
			}
		})
		wg.Wait()
	})
	if !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
		t.Error("the bytes read aren't those written")
	}
}

// The end of our direction reaches the transport, whose own direction lives on.
func TestHalfClose(t *testing.T) {
	tr := start(t, Options{Expression: "wc -c; echo still here"})
	io.WriteString(tr, "four")
	for range 2 { // the second says nothing new, and is no error
		if err := tr.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Fields(readAll(t, tr)); strings.Join(got, " ") != "4 still here" {
		t.Errorf("got %q", got)
	}
	if _, err := tr.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("writing after CloseWrite: %v", err)
	}
}

// The transport has the environment it was given, and nothing else of ours.
func TestEnvironment(t *testing.T) {
	t.Setenv("GIT_DIR", "/nowhere")
	tr := start(t, Options{
		Expression: `echo "${GIT_DIR-unset} $GIVEN"`,
		Env:        []string{"GIVEN=yes", "PATH=" + os.Getenv("PATH")},
	})
	if got := readAll(t, tr); got != "unset yes\n" {
		t.Errorf("got %q", got)
	}
}

// Only the three standard streams of ours are open in the transport.
func TestDescriptors(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	before, err := os.Open(os.DevNull) // one that must not get there
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	other := start(t, Options{Expression: "cat"})
	// What the test itself was started with is inherited by right.
	inherited := []string{}
	for fd := 3; fd < 10; fd++ {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			inherited = append(inherited, strconv.Itoa(fd))
		}
	}
	tr := start(t, Options{Expression: `ls /proc/$$/fd; :`})
	var got []string
	for _, fd := range strings.Fields(readAll(t, tr)) {
		// A shell keeps descriptors of its own from 10 upwards.
		if n, _ := strconv.Atoi(fd); n < 10 {
			got = append(got, fd)
		}
	}
	if want := append([]string{"0", "1", "2"}, inherited...); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("descriptors %v, want %v", got, want)
	}
	closeInTime(t, other)
}

// Lines of standard error come whole, as they were written, and in order.
func TestStderrLines(t *testing.T) {
	long := strings.Repeat("x", MaxLine+10)
	tests := []struct {
		name, expression string
		want             []string
	}{
		{"two lines", `printf 'a\nb\n' >&2`, []string{"a\n", "b\n"}},
		{"empty line", `printf '\n' >&2`, []string{"\n"}},
		{"nothing", `:`, nil},
		{"no line end", `printf 'a\nrest' >&2`, []string{"a\n", "rest"}},
		{"control characters", `printf '\033[2Ja\r\000\377\n' >&2`, []string{"\x1b[2Ja\r\x00\xff\n"}},
		{"overlong", `printf '%s\nnext\n' ` + long + ` >&2`, []string{long[:MaxLine], "xxxxxxxxxx\n", "next\n"}},
		{"exactly as long", `printf %s ` + long[:MaxLine] + ` >&2`, []string{long[:MaxLine]}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newLines()
			tr := start(t, Options{Expression: test.expression, Stderr: l.add})
			if _, ended := tr.Ended(t.Context()); !ended {
				t.Fatal("hasn't ended")
			}
			if got := l.get(); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// A line of standard error is there while the transport goes on, and also while
// a longer line isn't complete.
func TestStderrAtOnce(t *testing.T) {
	l := newLines()
	tr := start(t, Options{Stderr: l.add, Expression: `echo 17e58 >&2; read x; ` +
		`head -c 4096 /dev/zero >&2; read x`})
	if got := l.await(t, 1); got[0] != "17e58\n" {
		t.Errorf("got %q", got)
	}
	io.WriteString(tr, "\n")
	if got := l.await(t, 2); got[1] != strings.Repeat("\x00", MaxLine) {
		t.Errorf("got %q", got)
	}
}

// A process outside the transport's group that holds standard error open
// doesn't hold up Close, which still delivers what was written.
func TestStderrHeldOpen(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs setsid(1)")
	}
	l := newLines()
	tr := start(t, Options{
		Expression: `setsid sh -c 'echo $$ >&3; exec sleep 1000' 3>&1 >/dev/null & echo rest >&2`,
		Stderr:     l.add,
		Grace:      50 * time.Millisecond,
	})
	pid := readPID(t, tr)
	defer unix.Kill(pid, unix.SIGKILL)
	if status, ended := tr.Ended(t.Context()); !ended || status != "exit status 0" {
		t.Errorf("ended %v: %q", ended, status)
	}
	closeInTime(t, tr)
	if got := l.get(); len(got) != 1 || got[0] != "rest\n" {
		t.Errorf("standard error: %q", got)
	}
	if !alive(pid) {
		t.Error("the holder is gone: nothing was tested")
	}
}

// Close delivers all of what was written to standard error before the end, even
// if the lines are taken slowly.
func TestStderrCompleteAtClose(t *testing.T) {
	l := newLines()
	gate := make(chan struct{})
	var once sync.Once
	tr := start(t, Options{
		Expression: `i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done >&2; echo done; cat`,
		Stderr: func(line string) {
			once.Do(func() { <-gate })
			l.add(line)
		},
	})
	b := make([]byte, 5)
	inTime(t, "reading", func() { io.ReadFull(tr, b) })
	closed := make(chan error, 1)
	go func() { closed <- tr.Close() }()
	inTime(t, "the shell's end", func() { <-tr.proc.exited })
	close(gate)
	inTime(t, "Close", func() { <-closed })
	if got := l.get(); len(got) != 2000 || got[1999] != "line 1999\n" {
		t.Errorf("%d lines", len(got))
	}
}

// An early end can be told apart by what the transport ended with.
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
			status, ended := tr.Ended(t.Context())
			if !ended || status != test.want {
				t.Errorf("got %q, %v, want %q", status, ended, test.want)
			}
			if tr.Interrupted() {
				t.Error("interrupted")
			}
		})
	}
}

// Asking after the end of what hasn't ended is bounded by grace and by context.
func TestEndedNotYet(t *testing.T) {
	tr := start(t, Options{Expression: "cat", Grace: 10 * time.Millisecond})
	if status, ended := tr.Ended(t.Context()); ended || status != "" {
		t.Errorf("ended: %q", status)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	patient := start(t, Options{Expression: "cat", Grace: time.Hour})
	if status, ended := patient.Ended(ctx); ended || status != "" {
		t.Errorf("ended: %q", status)
	}
}

func TestInterrupted(t *testing.T) {
	tr := start(t, Options{Expression: "kill -INT $$"})
	if status, ended := tr.Ended(t.Context()); !ended || !tr.Interrupted() {
		t.Errorf("status %q, ended %v, interrupted %v", status, ended, tr.Interrupted())
	}
}

// Close unblocks a Read that nothing would ever answer and a Write that nobody
// takes, and both say so.
func TestCloseUnblocks(t *testing.T) {
	tr := start(t, Options{Expression: "exec sleep 1000", Grace: 10 * time.Millisecond})
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
	// Whether they block already makes no difference to what has to come out.
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

// The end of the context is the end of the transport, with its cause as the error.
func TestContext(t *testing.T) {
	cause := errors.New("the peer has been silent")
	ctx, cancel := context.WithCancelCause(t.Context())
	tr, err := Start(ctx, Options{Expression: "echo $$; exec sleep 1000", Grace: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	pid := readPID(t, tr)
	read := make(chan error, 1)
	go func() {
		_, err := tr.Read(make([]byte, 1))
		read <- err
	}()
	cancel(cause)
	inTime(t, "a blocked Read", func() {
		if err := <-read; !errors.Is(err, cause) {
			t.Errorf("error %v, want %v", err, cause)
		}
	})
	awaitGone(t, pid) // before anybody has called Close
	closeInTime(t, tr)

	if _, err := Start(ctx, Options{Expression: "true"}); !errors.Is(err, cause) {
		t.Errorf("started after the end: %v", err)
	}
}

// Nothing of a transport survives Close: neither children in the background,
// nor what ignores SIGTERM, nor what is stopped.
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
			tr := start(t, Options{Expression: test.expression, Grace: 50 * time.Millisecond})
			pid := readPID(t, tr)
			if !alive(pid) {
				t.Fatal("gone before the end: nothing was tested")
			}
			closeInTime(t, tr)
			awaitGone(t, pid)
		})
	}
}

// What ends by itself when its input does is left to do so: no signal.
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
	if status, ended := tr.Ended(t.Context()); !ended || status != "exit status 0" {
		t.Errorf("ended %v: %q", ended, status)
	}
}

// Gently before hard: SIGTERM is there to be caught.
func TestTerminatedGently(t *testing.T) {
	l := newLines()
	tr := start(t, Options{
		Expression: `trap 'echo caught >&2; exit 3' TERM; echo ready >&2; while :; do sleep 0.01; done`,
		Stderr:     l.add,
		Grace:      500 * time.Millisecond,
	})
	l.await(t, 1)
	closeInTime(t, tr)
	// The shell may have something to say about its own child before.
	if got := l.get(); got[len(got)-1] != "caught\n" {
		t.Errorf("standard error: %q", got)
	}
	if status, _ := tr.Ended(t.Context()); status != "exit status 3" {
		t.Errorf("ended by %q", status)
	}
}

// Close may be called by anybody, at any time, as often as they like.
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
		tr, err := Start(t.Context(), Options{Expression: "cat; echo x >&2"})
		if err != nil {
			t.Fatal(err)
		}
		closeInTime(t, tr)
	}
	once() // the first makes what the runtime keeps
	goroutines, files := runtime.NumGoroutine(), descriptors()
	for range 10 {
		once()
	}
	if _, err := Start(t.Context(), Options{Expression: "true", Env: []string{"bad\x00value=1"}}); err == nil {
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
