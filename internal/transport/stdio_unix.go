//go:build unix

package transport

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// StandardPipe is a pair of files as a pipe, as made by [Stdio]. Its methods
// may be called from any goroutine.
type StandardPipe struct {
	in, out *stream
}

// Stdio makes a pipe of in and out, normally [os.Stdin] and [os.Stdout], which
// are the pipe's from then on: whoever else uses them finds a closed file, or
// /dev/null in the place of a standard stream. An error shows at the first
// Read or Write.
//
// Files that this process was started with are in blocking mode, and then
// nothing can unblock a Read. So the pipe sets non-blocking mode. That isn't a
// property of our descriptor but of the open file, which other processes may
// share (the shell that started us), so Close puts it back as it was.
func Stdio(in, out *os.File) *StandardPipe {
	// The two may be one open file: sshd starts programs with one socket as
	// both. Then taking the input has set the output's mode too, and it is put
	// back when the input is closed, which is last.
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

// Write writes to the output. A broken pipe is an error and no signal. After
// Close or CloseWrite the error is [os.ErrClosed].
func (p *StandardPipe) Write(b []byte) (int, error) {
	if p.out.err != nil {
		return 0, p.out.err
	}
	n, err := p.out.file.Write(b)
	if err != nil && p.out.closing.Load() {
		// A socket's shutdown may have come first, as a broken pipe.
		err = os.ErrClosed
	}
	return n, err
}

// CloseWrite closes the output. The other side sees end of file when no other
// process holds the output open, either; on a socket it does at once.
func (p *StandardPipe) CloseWrite() error { return p.out.close(true) }

// Close closes both directions and unblocks Read and Write.
func (p *StandardPipe) Close() error {
	return errors.Join(p.out.close(true), p.in.close(false))
}

// stream is one direction: a descriptor of its own for the same open file.
type stream struct {
	file    *os.File
	err     error // why there is no file
	restore int   // another descriptor, to put blocking mode back; -1: nothing to put back

	once     sync.Once
	closing  atomic.Bool
	closeErr error
}

// takeStream moves f to a descriptor above the standard ones. Only such a one
// can be closed without the next file that is opened becoming somebody's
// standard output, and only on such a one is a broken pipe no deadly signal to
// a Go program.
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
	// A regular file never blocks for long, and isn't to be polled.
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

// dup is dup(2) with close-on-exec set from the start, and never answers with
// the number of a standard stream.
func dup(fd int) (int, error) {
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
}

// close closes the stream; shutdown is for the writing one.
func (s *stream) close(shutdown bool) error {
	s.once.Do(func() {
		if s.file == nil {
			return
		}
		s.closing.Store(true)
		if shutdown {
			// What a socket's closing doesn't say as long as another
			// descriptor is open. No error for what isn't a socket.
			if raw, err := s.file.SyscallConn(); err == nil {
				raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_WR) })
			}
		}
		// Returns only when no Read or Write is under way any more, so that
		// none is left to block in the mode that comes now.
		s.closeErr = s.file.Close()
		if s.restore >= 0 {
			unix.SetNonblock(s.restore, false)
			unix.Close(s.restore)
		}
	})
	return s.closeErr
}
