//go:build unix

package transport

import (
	"os"

	"golang.org/x/sys/unix"
)

// unblockable duplicates a file as one whose Close unblocks a Read or Write; it is f itself if that fails. Inherited files are
// in blocking mode, in which nothing can unblock them, so this sets non-blocking mode. The mode belongs to the open file, which
// other processes may share (the shell that started us), so restore restores it. A regular file never blocks for long, and
// doesn't mind. The duplicate is no standard stream, on which a broken pipe would kill a Go program.
func unblockable(f *os.File) (file *os.File, restore func()) {
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return f, func() {}
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return f, func() {}
	}
	unix.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), f.Name()), func() { unix.SetNonblock(int(f.Fd()), flags&unix.O_NONBLOCK != 0) }
}
