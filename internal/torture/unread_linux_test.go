package torture

import (
	"os"

	"golang.org/x/sys/unix"
)

// unread returns how many bytes nobody has read yet of a pipe, of which f is the writing end.
func unread(f *os.File) (n int) {
	raw, err := f.SyscallConn()
	if err == nil {
		raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	}
	return n
}
