//go:build unix

package identity

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"

	"golang.org/x/sys/unix"
)

// askTerminal asks on the controlling terminal and reads a line, with echo or without.
//
// It doesn't use golang.org/x/term's ReadPassword, which nobody but the user can make return.
func askTerminal(ctx context.Context, prompt string, echo bool) ([]byte, error) {
	tty, err := openTerminal()
	if err != nil {
		return nil, ErrNoTerminal
	}
	defer unix.Close(tty)
	before, err := unix.IoctlGetTermios(tty, getModes)
	if err != nil {
		return nil, ErrNoTerminal
	}

	// A signal that ends the process would leave the terminal mute.
	heeded := slices.DeleteFunc([]os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT}, signal.Ignored)
	watched, stop := signal.NotifyContext(ctx, heeded...)
	defer stop()
	cancelled, cancel, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer cancelled.Close()
	defer cancel.Close()
	defer context.AfterFunc(watched, func() { cancel.Close() })()

	asking := *before
	asking.Lflag &^= unix.ECHO
	if echo {
		asking.Lflag |= unix.ECHO
	}
	asking.Lflag |= unix.ICANON | unix.ISIG
	asking.Iflag |= unix.ICRNL
	// What was typed before the question doesn't answer it.
	if err := unix.IoctlSetTermios(tty, setModesFlush, &asking); err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	defer unix.IoctlSetTermios(tty, setModesFlush, before)
	write(tty, prompt)
	line, err := readLine(tty, int(cancelled.Fd()))
	if !echo || watched.Err() != nil {
		write(tty, "\n") // the user's own wasn't echoed
	}
	if watched.Err() != nil {
		clear(line)
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, errors.New("interrupted")
	}
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	return line, nil
}

// openTerminal opens the controlling terminal, without the runtime's poller, which can't wait for a terminal on some
// systems.
func openTerminal() (int, error) {
	for {
		tty, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return tty, err
		}
	}
}

// write writes to the terminal, and ignores errors.
func write(tty int, s string) {
	for len(s) > 0 {
		n, err := unix.Write(tty, []byte(s))
		if err != nil && err != unix.EINTR {
			return
		}
		s = s[max(n, 0):]
	}
}

// readLine reads up to a line end, which it leaves out, or end of input; or until cancelled can be read. The terminal does
// the editing.
func readLine(tty, cancelled int) ([]byte, error) {
	var line []byte
	var buf [1024]byte // a terminal's line is no longer, or comes in pieces
	defer func() { clear(buf[:]) }()
	for {
		var ready unix.FdSet // not poll(2), which knows no terminals on macOS
		ready.Set(tty)
		ready.Set(cancelled)
		_, err := unix.Select(max(tty, cancelled)+1, &ready, nil, nil, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || ready.IsSet(cancelled) {
			return line, err
		}
		n, err := unix.Read(tty, buf[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return line, err
		}
		line = append(line, buf[:n]...)
		if line[len(line)-1] == '\n' {
			return line[:len(line)-1], nil
		}
	}
}
