package switchboard

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"
)

// failingListener fails to accept as often as it is told.
type failingListener struct {
	net.Listener
	errno    syscall.Errno
	failures atomic.Int32
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", l.errno)}
	}
	return l.Listener.Accept()
}

// Failing to accept for want of file descriptors slows accepting down, and costs clients without a command their connections.
func TestOutOfDescriptors(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &failingListener{Listener: ln, errno: syscall.EMFILE}
	b := startBoardOn(t, l, nil)
	a, token := b.wait(t)
	silent := silence(t, b.addr, 1, "")[0]
	io.ReadFull(silent, make([]byte, 4)) // it has been accepted
	l.failures.Store(3)
	// The acceptor may already be waiting: this one is let in first.
	silence(t, b.addr, 1, "")
	c := b.join(t, token)
	a.write("ping")
	c.read("ping")
	if _, err := io.Copy(io.Discard, silent); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("nobody was dropped")
	}
	if n := b.counted(outOfDescriptors); n != 3 {
		t.Errorf("%d failures were counted", n)
	}
}

// An error that concerns one connection before it is accepted, or the network for a moment, neither stops the switchboard nor costs
// anybody a connection.
func TestPassingFailures(t *testing.T) {
	t.Parallel()
	for _, errno := range []syscall.Errno{syscall.ECONNABORTED, syscall.EPROTO, syscall.EPERM, syscall.ENETDOWN, syscall.EHOSTUNREACH} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l := &failingListener{Listener: ln, errno: errno}
		l.failures.Store(3)
		b := startBoardOn(t, l, nil)
		b.wait(t)
		if n := b.counted(outOfDescriptors); n != 3 {
			t.Errorf("%v: %d failures were counted", errno, n)
		}
	}
}

// brokenListener fails for good.
type brokenListener struct{ net.Listener }

func (brokenListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }

func TestListenerBroken(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := startBoard(t, nil)
	if err := b.Serve(context.Background(), brokenListener{ln}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
}

// Scripts read the log's first line.
func TestListeningLine(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	want := "level=INFO msg=listening addr=" + b.addr + " fingerprint=" + ssh.FingerprintSHA256(b.opt.HostKey.PublicKey()) + "\n"
	eventually(t, "it is logged", func() bool { return strings.Contains(b.log.String(), want) })
}
