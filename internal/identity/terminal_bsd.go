//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package identity

import "golang.org/x/sys/unix"

// The requests that read a terminal's modes, and that set them and drop what was typed before.
const (
	getModes      = unix.TIOCGETA
	setModesFlush = unix.TIOCSETAF
)
