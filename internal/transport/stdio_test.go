//go:build unix

package transport

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// nonblocking returns whether the open file behind f is in non-blocking mode, without changing that.
func nonblocking(t *testing.T, f *os.File) (is bool) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err != nil {
			t.Error(err)
		}
		is = flags&unix.O_NONBLOCK != 0
	})
	return is
}

// inherited returns f as a process started with it gets it: in blocking mode,
// with the open file shared.
func inherited(t *testing.T, f *os.File) (ours, theirs *os.File) {
	t.Helper()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3) // Fd sets the mode
	if err != nil {
		t.Fatal(err)
	}
	ours = os.NewFile(uintptr(fd), f.Name())
	t.Cleanup(func() { f.Close() })
	return ours, f
}

// standardStreams returns standard streams as a shell gives them, the files that
// the shell keeps, and the other ends.
func standardStreams(t *testing.T, kind string) (in, out, shellIn, shellOut, toIn, fromOut *os.File) {
	t.Helper()
	switch kind {
	case "pipes":
		r, toIn, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		fromOut, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		in, shellIn = inherited(t, r)
		out, shellOut = inherited(t, w)
		t.Cleanup(func() { toIn.Close(); fromOut.Close() })
		return in, out, shellIn, shellOut, toIn, fromOut
	case "one socket":
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.CloseOnExec(pair[0])
		unix.CloseOnExec(pair[1])
		in, shellIn = inherited(t, os.NewFile(uintptr(pair[0]), "socket"))
		out, shellOut = inherited(t, shellIn)
		unix.SetNonblock(pair[1], true)
		far := os.NewFile(uintptr(pair[1]), "far end")
		t.Cleanup(func() { far.Close() })
		return in, out, shellIn, shellOut, far, far
	}
	panic(kind)
}

// Close unblocks a Read and a Write, and restores the mode of the open files,
// which a shell may share with us.
func TestStdioCloseUnblocks(t *testing.T) {
	for _, kind := range []string{"pipes", "one socket"} {
		t.Run(kind, func(t *testing.T) {
			in, out, shellIn, shellOut, toIn, fromOut := standardStreams(t, kind)
			p := Stdio(in, out)
			if !nonblocking(t, shellIn) || !nonblocking(t, shellOut) {
				t.Error("in blocking mode: nothing will be unblocked")
			}
			io.WriteString(toIn, "x")
			b := make([]byte, 2)
			if n, err := p.Read(b); n != 1 || err != nil {
				t.Fatalf("read %d, %v", n, err)
			}
			if _, err := p.Write([]byte("y")); err != nil {
				t.Fatal(err)
			}
			if n, err := fromOut.Read(b); n != 1 || err != nil || b[0] != 'y' {
				t.Fatalf("the other end read %q, %v", b[:n], err)
			}

			errs := make(chan error, 2)
			go func() {
				_, err := p.Read(b)
				errs <- err
			}()
			go func() {
				_, err := p.Write(make([]byte, 16<<20))
				errs <- err
			}()
			closeInTime(t, p)
			for range 2 {
				inTime(t, "a blocked Read or Write", func() {
					if err := <-errs; !errors.Is(err, os.ErrClosed) {
						t.Errorf("error %v, want os.ErrClosed", err)
					}
				})
			}
			if nonblocking(t, shellIn) || nonblocking(t, shellOut) {
				t.Error("left in non-blocking mode")
			}
			closeInTime(t, p)
		})
	}
}

// What was written before Close arrives; nothing can be written afterwards.
func TestStdioClose(t *testing.T) {
	for _, kind := range []string{"pipes", "one socket"} {
		t.Run(kind, func(t *testing.T) {
			in, out, shellIn, shellOut, _, fromOut := standardStreams(t, kind)
			p := Stdio(in, out)
			if _, err := p.Write([]byte("all")); err != nil {
				t.Fatal(err)
			}
			closeInTime(t, p)
			if _, err := p.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
				t.Errorf("writing after Close: %v", err)
			}
			for _, f := range []*os.File{in, out, shellIn, shellOut} { // as when the process ends
				f.Close()
			}
			if got := readAll(t, fromOut); got != "all" {
				t.Errorf("read %q", got)
			}
		})
	}
}

// A file that was in non-blocking mode before stays in it.
func TestStdioKeepsMode(t *testing.T) {
	in, out, shellIn, shellOut, _, _ := standardStreams(t, "pipes")
	for _, f := range []*os.File{in, out} {
		if err := unix.SetNonblock(int(f.Fd()), true); err != nil {
			t.Fatal(err)
		}
	}
	closeInTime(t, Stdio(in, out))
	if !nonblocking(t, shellIn) || !nonblocking(t, shellOut) {
		t.Error("the mode was changed")
	}
}

// Regular files and devices work too, although nobody is behind them.
func TestStdioFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(name, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := Stdio(in, out)
	if got := readAll(t, p); got != "content" {
		t.Errorf("read %q", got)
	}
	if _, err := p.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	closeInTime(t, p)
}

// A closed standard stream is an error at the first use, not a panic.
func TestStdioClosed(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	p := Stdio(f, f)
	if _, err := p.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("reading: %v", err)
	}
	if _, err := p.Write(make([]byte, 1)); err == nil {
		t.Error("writing: no error")
	}
	inTime(t, "Close", func() { p.Close() })
}

// An error of Close is one line, even if both directions have one.
func TestStdioCloseFails(t *testing.T) {
	in, out, _, _, _, _ := standardStreams(t, "pipes")
	p := Stdio(in, out)
	p.in.Close()
	p.out.Close()
	if err := p.Close(); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q", err)
	}
}

// A process's real standard streams: everything comes back, and the process can close the pipe.
func TestStdioOfProcess(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "TRANSPORT_TEST_ECHO=1")
	cmd.Stdin = strings.NewReader(strings.Repeat("0123456789", 1<<18))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	inTime(t, "the process", func() {
		if err := cmd.Run(); err != nil {
			t.Error(err)
		}
	})
	if stdout.Len() != 10<<18 || stderr.String() != "closed\n" {
		t.Errorf("%d bytes, standard error %q", stdout.Len(), stderr.String())
	}
}

// A peer that is gone is an error that can be reported, and doesn't kill the process.
func TestStdioBrokenPipe(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "TRANSPORT_TEST_ECHO=1")
	cmd.Stdin = strings.NewReader("x")
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = w, &stderr
	inTime(t, "the process", func() { err = cmd.Run() })
	w.Close()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), "broken pipe") {
		t.Errorf("%v: %q", err, stderr.String())
	}
}
