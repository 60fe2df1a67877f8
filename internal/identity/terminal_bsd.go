//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package identity

import "golang.org/x/sys/unix"

// The requests by which a terminal's modes are read, and set with what was
// typed before being dropped.
const (
	getModes      = unix.TIOCGETA
	setModesFlush = unix.TIOCSETAF
)
