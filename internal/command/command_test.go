//go:build unix

package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// Each kind of end has its status and its words; nothing raw and no second line gets out.
func TestEnds(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		says   string
	}{
		{nil, 0, ""},
		{errors.New("no\x1b[2Jgood\nfatal: twice"), 128, "fatal: no\\x1b[2Jgood\\nfatal: twice\n"},
		{&UsageError{errors.New("what?"), "usage: x\n"}, 129, "error: what?\nusage: x\n"},
		{fmt.Errorf("over: %w", SignalError{syscall.SIGINT}), 130, ""},
	} {
		var stderr strings.Builder
		if got := Main(&stderr, func(context.Context) error { return c.err }); got != c.status || stderr.String() != c.says {
			t.Errorf("%v: status %d, said %q", c.err, got, stderr.String())
		}
	}
}

// A signal that a part of the program notices by itself, and fails of, before the context has ended is still the signal.
func TestSignalIsNotLost(t *testing.T) {
	for range 100 {
		var stderr strings.Builder
		got := Main(&stderr, func(context.Context) error {
			own := make(chan os.Signal, 1)
			signal.Notify(own, syscall.SIGINT)
			defer signal.Stop(own)
			if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
				return err
			}
			<-own
			return errors.New("interrupted")
		})
		if got != 130 || stderr.String() != "" {
			t.Fatalf("status %d, said %q", got, stderr.String())
		}
	}
}

// A signal ends the context, and the exit status tells which one, whatever failed of it.
func TestSignalEndsTheCommand(t *testing.T) {
	var stderr strings.Builder
	got := Main(&stderr, func(ctx context.Context) error {
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			return err
		}
		if err := self.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		<-ctx.Done()
		return errors.New("some pipe broke")
	})
	if got != 143 || stderr.String() != "" {
		t.Errorf("status %d, said %q", got, stderr.String())
	}
}
