package transport

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
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
