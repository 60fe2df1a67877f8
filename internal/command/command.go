// Package command holds what all commands share: signals end them, their last line says why they failed, and they exit
// with git's statuses.
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

// Exit statuses, as in git. A command ended by a signal exits with 128 plus the signal's number.
const (
	StatusFailed = 128
	StatusUsage  = 129
)

// UsageError is a command line that makes no sense.
type UsageError struct {
	Err   error
	Usage string // the usage text; only its first line is shown
}

func (e *UsageError) Error() string { return e.Err.Error() }

// SignalError is the cause of a context that a signal ended.
type SignalError struct{ os.Signal }

func (e SignalError) Error() string { return "stopped by a signal (" + e.String() + ")" }

// Main runs a command with a context that SIGINT, SIGTERM or SIGHUP ends, prints its error to stderr as [Status] does, and
// returns the exit status.
func Main(stderr io.Writer, run func(context.Context) error) int {
	// A broken standard output is an error like any other, after which the transport must still be ended. SIGPIPE is caught,
	// not ignored, since children would inherit that.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)

	ctx, stop := WithSignals(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx)
	stop()
	if signalled, ok := errors.AsType[SignalError](context.Cause(ctx)); ok && err != nil {
		err = signalled // whatever failed, failed because of it
	}
	return Status(err, stderr)
}

// WithSignals returns a context that any of the signals ends, with a SignalError as its cause. The function that it returns stops
// heeding them; a signal that came before still counts.
//
// Signals that were ignored when the process started, as under nohup(1), stay ignored. So does SIGQUIT if SIGINT was: a shell
// ignores both for a script's background job, and Go's runtime leaves only SIGINT ignored.
func WithSignals(parent context.Context, heeded ...os.Signal) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals, ended := make(chan os.Signal, 1), make(chan struct{})
	for _, s := range heeded {
		switch {
		case !signal.Ignored(s):
			signal.Notify(signals, s)
		case s == os.Interrupt:
			signal.Ignore(syscall.SIGQUIT)
		}
	}
	go func() {
		defer close(ended)
		if s, ok := <-signals; ok {
			cancel(SignalError{s})
		}
	}()
	return ctx, func() {
		signal.Stop(signals) // waits for a signal that is being delivered
		close(signals)
		<-ended
		cancel(nil)
	}
}

// Status prints a command's error to stderr, and returns its exit status.
func Status(err error, stderr io.Writer) int {
	var usage *UsageError
	var stopped SignalError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		first, _, _ := strings.Cut(usage.Usage, "\n")
		fmt.Fprintf(stderr, "error: %s\n%s (see -h)\n", OneLine(usage.Error()), first)
		return StatusUsage
	case errors.As(err, &stopped):
		// A user who pressed Ctrl-C knows why.
		if s, ok := stopped.Signal.(syscall.Signal); ok {
			return 128 + int(s)
		}
		return StatusFailed
	}
	fmt.Fprintf(stderr, "fatal: %s\n", OneLine(err.Error()))
	return StatusFailed
}

// OneLine returns a message as one line that can't control the terminal. Foreign text in it should already be quoted; this
// catches what isn't.
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
