package transport

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"aig/internal/gittest"
)

// Of our files, only the three standard streams are open in the transport.
func TestDescriptors(t *testing.T) {
	before, err := os.Open(os.DevNull) // which the transport must not inherit
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	other := start(t, Options{Expression: "cat"})
	// What the test itself was started with may be inherited.
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

// A process outside the transport's group that holds standard error open
// doesn't delay Close, which still delivers what was written.
func TestStderrHeldOpen(t *testing.T) {
	l := newLines()
	tr := start(t, Options{
		Expression: `setsid sh -c 'echo $$ >&3; exec sleep 1000' 3>&1 >/dev/null & echo rest >&2`,
		Stderr:     l.add,
		Grace:      50 * time.Millisecond,
	})
	pid := readPID(t, tr)
	defer unix.Kill(pid, unix.SIGKILL)
	inTime(t, "the shell's end", func() { <-tr.proc.exited })
	if status, ended := tr.Ended(); !ended || status != "exit status 0" {
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

// A terminal, which both standard streams and the shell share, works as a pipe does, and is in blocking mode again after Close.
func TestStdioTerminal(t *testing.T) {
	user, program := gittest.Terminal(t)
	defer user.Close()
	in, shell := inherited(t, program)
	out, _ := inherited(t, program)
	p := Stdio(in, out)
	if !nonblocking(t, shell) {
		t.Error("in blocking mode: nothing will be unblocked")
	}
	io.WriteString(user, "x\n")
	b := make([]byte, 2)
	if n, err := p.Read(b); n != 2 || err != nil {
		t.Fatalf("read %d, %v", n, err)
	}
	pending := make(chan error, 1)
	go func() {
		_, err := p.Read(b)
		pending <- err
	}()
	if _, err := p.Write([]byte("y")); err != nil {
		t.Fatal(err)
	}
	closeInTime(t, p)
	inTime(t, "the pending Read", func() {
		if err := <-pending; !errors.Is(err, os.ErrClosed) {
			t.Errorf("error %v, want os.ErrClosed", err)
		}
	})
	if nonblocking(t, shell) {
		t.Error("left in non-blocking mode")
	}
	shown := make([]byte, len("x\r\ny")) // the echo comes first
	if _, err := io.ReadFull(user, shown); err != nil || string(shown) != "x\r\ny" {
		t.Errorf("the user sees %q, %v", shown, err)
	}
}
