//go:build unix

package transport

import (
	"cmp"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// StandardPipe is a pair of files as a pipe, as made by [Stdio]. Its methods may be called from any goroutine.
type StandardPipe struct {
	in, out *stream
}

// Stdio makes a pipe of in and out, normally [os.Stdin] and [os.Stdout], and takes them over: any other use of them finds a
// closed file, or /dev/null in place of a standard stream. Errors show at the first Read or Write.
//
// Inherited files are in blocking mode, in which nothing can unblock a Read, so the pipe sets non-blocking mode. That
// belongs to the open file, which other processes may share (the shell that started us), so Close restores it.
func Stdio(in, out *os.File) *StandardPipe {
	// Both may be one open file: sshd starts programs with one socket as both. Then taking the input sets the output's mode
	// too, and closing the input, which is closed last, restores it.
	p := &StandardPipe{in: takeStream(in)}
	p.out = takeStream(out)
	return p
}

// Read reads from the input. After Close the error is [os.ErrClosed].
func (p *StandardPipe) Read(b []byte) (int, error) {
	if p.in.err != nil {
		return 0, p.in.err
	}
	return p.in.file.Read(b)
}

// Write writes to the output. A broken pipe is an error, not a signal. After Close the error is [os.ErrClosed].
func (p *StandardPipe) Write(b []byte) (int, error) {
	if p.out.err != nil {
		return 0, p.out.err
	}
	n, err := p.out.file.Write(b)
	if err != nil && p.out.closing.Load() {
		// A socket's shutdown may have been seen first, as a broken pipe.
		err = os.ErrClosed
	}
	return n, err
}

// Close closes both directions and unblocks Read and Write. The other side sees end of file: on a socket at once, else when no
// other process holds the output open.
func (p *StandardPipe) Close() error {
	return cmp.Or(p.out.close(true), p.in.close(false))
}

// stream is one direction: a descriptor of its own for the same open file.
type stream struct {
	file    *os.File
	err     error // why there is no file
	restore int   // a descriptor to restore blocking mode by; -1 if there is nothing to restore

	once     sync.Once
	closing  atomic.Bool
	closeErr error
}

// takeStream moves f to a descriptor above the standard ones. If a standard one were closed, the next file to be opened
// would become a standard stream; and a broken pipe on standard output or error kills a Go program.
func takeStream(f *os.File) *stream {
	s := &stream{restore: -1}
	info, err := f.Stat()
	if err != nil {
		s.err = fmt.Errorf("standard stream: %w", err)
		return s
	}
	old := int(f.Fd())
	fd, err := dup(old)
	if err != nil {
		s.err = fmt.Errorf("standard stream: %w", err)
		return s
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	// A regular file never blocks for long, and can't be polled.
	if err == nil && flags&unix.O_NONBLOCK == 0 && !info.Mode().IsRegular() {
		if s.restore, err = dup(old); err != nil {
			s.restore = -1
		} else {
			unix.SetNonblock(fd, true)
		}
	}
	s.file = os.NewFile(uintptr(fd), f.Name())
	if old > 2 {
		f.Close()
	} else if null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0); err == nil {
		unix.Dup2(int(null.Fd()), old)
		null.Close()
	}
	return s
}

// dup is dup(2), but close-on-exec from the start and never to a standard stream.
func dup(fd int) (int, error) {
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
}

// close closes the stream; shutdown is set for the writing one.
func (s *stream) close(shutdown bool) error {
	s.once.Do(func() {
		if s.file == nil {
			return
		}
		s.closing.Store(true)
		if shutdown {
			// Closing a socket tells the peer nothing while another descriptor is open. Anything but a socket ignores this.
			if raw, err := s.file.SyscallConn(); err == nil {
				raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_WR) })
			}
		}
		// Close returns when no Read or Write is under way, so none can block in the mode that is restored next.
		s.closeErr = s.file.Close()
		if s.restore >= 0 {
			unix.SetNonblock(s.restore, false)
			unix.Close(s.restore)
		}
	})
	return s.closeErr
}
