package torture

import (
	"os"

	"golang.org/x/sys/unix"
)

// unread is how many bytes of a pipe, whose writing end this is, nobody has read.
func unread(f *os.File) (n int) {
	raw, err := f.SyscallConn()
	if err == nil {
		raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	}
	return n
}
