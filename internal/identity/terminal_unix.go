//go:build unix

package identity

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"aig/internal/command"
)

// askTerminal asks on the controlling terminal and reads a line, with echo or without.
//
// It doesn't use golang.org/x/term's ReadPassword, which only the user can make return.
func askTerminal(ctx context.Context, prompt string, echo bool) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, ErrNoTerminal
	}
	defer tty.Close()
	fd := int(tty.Fd())
	before, err := unix.IoctlGetTermios(fd, getModes)
	if err != nil {
		return nil, ErrNoTerminal
	}

	// A signal that ends the process would leave the terminal without echo.
	watched, stop := command.WithSignals(ctx, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	defer stop()

	asking := *before
	asking.Lflag &^= unix.ECHO
	if echo {
		asking.Lflag |= unix.ECHO
	}
	asking.Lflag |= unix.ICANON | unix.ISIG
	asking.Iflag |= unix.ICRNL
	// Drop what was typed before the question.
	if err := unix.IoctlSetTermios(fd, setModesFlush, &asking); err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	defer unix.IoctlSetTermios(fd, setModesFlush, before)
	io.WriteString(tty, prompt)
	var line []byte
	answered := make(chan error, 1)
	go func() { // it stays behind if nobody answers: not every system can wake a terminal's reader
		var err error
		line, err = bufio.NewReader(tty).ReadBytes('\n')
		answered <- err
	}()
	select {
	case err = <-answered:
	case <-watched.Done():
	}
	if !echo || watched.Err() != nil {
		io.WriteString(tty, "\n") // the user's line end wasn't echoed
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case watched.Err() != nil:
		return nil, errors.New("interrupted")
	case err != nil && err != io.EOF:
		return nil, fmt.Errorf("terminal: %w", err)
	}
	return bytes.TrimSuffix(line, []byte("\n")), nil
}
