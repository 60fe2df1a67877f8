package identity

import "golang.org/x/sys/unix"

// The ioctl requests that read a terminal's modes, and that set them and drop pending input.
const (
	getModes      = unix.TCGETS
	setModesFlush = unix.TCSETSF
)
