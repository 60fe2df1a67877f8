//go:build unix

package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// Each kind of end has its status and message; no control character and no second line gets out.
func TestEnds(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		says   string
	}{
		{nil, 0, ""},
		{errors.New("no\x1b[2Jgood\nfatal: twice"), 128, "fatal: no\\x1b[2Jgood\\nfatal: twice\n"},
		{&UsageError{errors.New("what?"), "usage: x\n   or: y\n"}, 129, "error: what?\nusage: x (see -h)\n"},
		{fmt.Errorf("over: %w", SignalError{syscall.SIGINT}), 130, ""},
	} {
		var stderr strings.Builder
		if got := Main(&stderr, func(context.Context) error { return c.err }); got != c.status || stderr.String() != c.says {
			t.Errorf("%v: status %d, said %q", c.err, got, stderr.String())
		}
	}
}

// If a part of the program notices a signal by itself and fails before the context has ended, the signal still decides the status.
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

// A signal ends the context, and the exit status tells which one, whatever failed because of it.
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

// A signal that was ignored when the command started stays ignored: SIGHUP by nohup, SIGINT and SIGQUIT
// for a background job of a script.
func TestIgnoredStaysIgnored(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ ignored, sent, left string }{
		{"", "HUP", "status 129"},
		{"HUP", "HUP TERM", "status 143"},
		{"INT QUIT", "INT QUIT TERM", "status 143"},
		{"INT QUIT", "HUP", "status 129"},
	} {
		cmd := exec.Command("sh", "-c", `trap "" $IGNORED; exec "$0"`, self)
		cmd.Env = append(os.Environ(), "COMMAND_TEST_SEND="+c.sent, "IGNORED="+cmp.Or(c.ignored, "USR1"))
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != c.left+"\n" {
			t.Errorf("%q ignored, %q sent: %q, %v", c.ignored, c.sent, out, err)
		}
	}
}

// sends is the command that TestIgnoredStaysIgnored runs. It is sent each of the signals.
func sends(signals string) {
	var stderr strings.Builder
	status := Main(&stderr, func(ctx context.Context) error {
		for _, s := range strings.Fields(signals) {
			exec.Command("sh", "-c", "kill -"+s+" $PPID").Run()
		}
		<-ctx.Done()
		return ctx.Err()
	})
	fmt.Println("status", status)
}
