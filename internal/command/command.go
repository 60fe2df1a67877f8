// Package command is what every command of this project does the same way: be stopped by a signal, say its last line,
// and exit with git's statuses.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"unicode"
)

// Exit statuses, as git uses them. A command that a signal stops exits with 128 and the signal's number.
const (
	StatusFailed = 128
	StatusUsage  = 129
)

// UsageError is a command line that cannot be meant.
type UsageError struct {
	Err   error
	Usage string // the usage text
}

func (e *UsageError) Error() string { return e.Err.Error() }

// SignalError is why a context ended that a signal ended.
type SignalError struct{ os.Signal }

func (e SignalError) Error() string { return "stopped by a signal (" + e.String() + ")" }

// Main runs a command with a context that SIGINT, SIGTERM and SIGHUP end, prints what is left to say of its error to
// stderr, and returns the exit status.
func Main(stderr io.Writer, run func(context.Context) error) int {
	// A broken standard output is an error like any other: the transport must be ended properly all the same. Not ignored,
	// but caught, since what is ignored stays so in every program that is started.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)

	ctx, stop := withSignals(context.Background())
	err := run(ctx)
	stop()
	var signalled SignalError
	if err != nil && errors.As(context.Cause(ctx), &signalled) {
		err = signalled // whatever the signal made fail, it was the signal
	}
	return Status(err, stderr)
}

// withSignals is a context that a signal ends, with a SignalError for its cause. The function ends the watch; a signal
// that has come before it is not lost, even if nobody has had time to look at it.
func withSignals(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	finish, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case s := <-signals:
			cancel(SignalError{s})
		case <-finish:
			select {
			case s := <-signals:
				cancel(SignalError{s})
			default:
				cancel(nil)
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals) // waits for a signal that is being delivered
		close(finish)
		<-ended
	}
}

// Status prints what is left to say of a command's error to stderr, and is the exit status for it.
func Status(err error, stderr io.Writer) int {
	var usage *UsageError
	var stopped SignalError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "error: %s\n%s", OneLine(usage.Error()), usage.Usage)
		return StatusUsage
	case errors.As(err, &stopped):
		// Whoever pressed Ctrl-C knows.
		if s, ok := stopped.Signal.(syscall.Signal); ok {
			return 128 + int(s)
		}
		return StatusFailed
	}
	fmt.Fprintf(stderr, "fatal: %s\n", OneLine(err.Error()))
	return StatusFailed
}

// OneLine makes sure that a message is one line and leaves the terminal alone. Foreign text in messages is quoted
// already; this holds for what slipped through.
func OneLine(s string) string {
	var b strings.Builder
	for _, c := range s {
		if unicode.IsPrint(c) {
			b.WriteRune(c)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(c), "'"))
		}
	}
	return b.String()
}
