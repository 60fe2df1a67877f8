package identity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"aig/internal/gittest"
)

// TestMain makes this program one that its own tests run, if the environment
// asks for it.
func TestMain(m *testing.M) {
	if file, ok := os.LookupEnv("IDENTITY_TEST_FILE"); ok {
		ctx, stop := signal.NotifyContext(context.Background(), unix.SIGUSR1)
		defer stop()
		id, err := Load(ctx, file, AskPassphrase)
		outcome := fmt.Sprint("error ", err)
		if err == nil {
			outcome = "loaded " + fingerprintOf(id)
		}
		modes, err := unix.IoctlGetTermios(0, unix.TCGETS)
		fmt.Printf("%s, echo=%v\n", outcome, err == nil && modes.Lflag&unix.ECHO != 0)
		os.Exit(0)
	}
	os.Exit(gittest.Main(m))
}

// openConsole runs this test program on a terminal to load a key.
func openConsole(t *testing.T, file string) *gittest.Console {
	t.Helper()
	return gittest.OpenConsole(t, loader(t, file))
}

// loader returns a command that runs this program to load a key.
func loader(t *testing.T, file string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	// The race detector would have each process sleep for a second at its end.
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "IDENTITY_TEST_FILE="+file)
	return cmd
}

// The passphrase is asked for on the terminal, is not shown, and can be edited
// like any line; afterwards the terminal is as it was.
func TestTerminal(t *testing.T) {
	home(t)
	file := keygen(t, "open sesame", "-t", "ed25519")
	c := openConsole(t, file)
	question := "Enter passphrase for key '" + file + "': "
	c.Expect(question)
	c.Press("sesame street\n")
	c.Expect(question)
	c.Press("oops\x15open sesame!\x7f\n") // kill and erase
	c.Expect("loaded " + fingerprint(t, file) + ", echo=true")
	if shown := c.Shown(); strings.Contains(shown, "sesame") {
		t.Errorf("the terminal shows %q", shown)
	}
}

// Ctrl-C, a signal from elsewhere and the end of the context each end the
// question, and the terminal is as it was.
func TestTerminalCutShort(t *testing.T) {
	home(t)
	file := keygen(t, "right", "-t", "ed25519")
	tests := []struct {
		name string
		cut  func(c *gittest.Console)
		want string
	}{
		{"Ctrl-C", func(c *gittest.Console) { c.Press("half\x03") }, "needs a passphrase: interrupted, echo=true"},
		{"SIGTERM", func(c *gittest.Console) { c.Cmd.Process.Signal(unix.SIGTERM) }, "needs a passphrase: interrupted, echo=true"},
		{"context", func(c *gittest.Console) { c.Cmd.Process.Signal(unix.SIGUSR1) }, "needs a passphrase: user defined signal 1 signal received, echo=true"},
		{"end of input", func(c *gittest.Console) { c.Press("\x04") }, "needs a passphrase, and none was given, echo=true"},
		{"empty line", func(c *gittest.Console) { c.Press("\n") }, "needs a passphrase, and none was given, echo=true"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := openConsole(t, file)
			c.Expect("Enter passphrase")
			test.cut(c)
			c.Expect(test.want)
		})
	}
}

// askpass writes an askpass program, a shell script.
func askpass(t *testing.T, script string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ask pass")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

// SSH_ASKPASS_REQUIRE, the display and the terminal decide who is asked.
func TestWhoIsAsked(t *testing.T) {
	home(t)
	file := keygen(t, "right", "-t", "ed25519")
	loaded := "loaded " + fingerprint(t, file)
	program := askpass(t, "echo right")
	const onTerminal, nowhere = "Enter passphrase for key", "there is no terminal"
	tests := []struct {
		require, program, display string
		terminal                  bool
		want                      string
	}{
		{"", "", "", true, onTerminal},
		{"", program, ":0", true, onTerminal},
		{"never", program, ":0", true, onTerminal},
		{"prefer", program, "", true, onTerminal},
		{"prefer", "", ":0", true, onTerminal},
		{"prefer", program, ":0", true, loaded},
		{"force", program, "", true, loaded},
		{"FORCE", program, "", true, loaded},
		{"force", "", "", true, "SSH_ASKPASS names no program"},
		{"", program, "", false, loaded},
		{"prefer", program, "", false, loaded},
		{"force", program, "", false, loaded},
		{"never", program, ":0", false, nowhere},
		{"", "", ":0", false, nowhere},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("require=%s program=%v display=%s terminal=%v", test.require, test.program != "", test.display, test.terminal), func(t *testing.T) {
			t.Setenv("SSH_ASKPASS_REQUIRE", test.require)
			t.Setenv("SSH_ASKPASS", test.program)
			t.Setenv("DISPLAY", test.display)
			if test.terminal {
				openConsole(t, file).Expect(test.want)
				return
			}
			cmd := loader(t, file)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // away from any terminal
			output, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(output), test.want) {
				t.Errorf("%v: %q, want %q", err, output, test.want)
			}
			if test.want == nowhere && !(strings.Contains(string(output), "ssh-add") && strings.Contains(string(output), "SSH_ASKPASS")) {
				t.Errorf("%q doesn't say what to do", output)
			}
		})
	}
}

// An askpass program gets the prompt as its argument, and the first line that it
// writes is the answer.
func TestAskProgram(t *testing.T) {
	tests := []struct{ name, script, want, err string }{
		{"prompt", `printf '%s|%s\n' $# "$1"`, "1|a prompt?", ""},
		{"first line", `printf 'one\ntwo\n'`, "one", ""},
		{"no line end", `printf one`, "one", ""},
		{"CR LF", `printf 'one\r\n'`, "one", ""},
		{"nothing", `:`, "", ""},
		{"not our input", `cat; echo one`, "one", ""},
		{"cancelled", `echo ignored; exit 1`, "", "exit status 1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := askProgram(t.Context(), askpass(t, test.script), "a prompt?")
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			if !bytes.Equal(got, []byte(test.want)) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	if _, err := askProgram(t.Context(), filepath.Join(t.TempDir(), "none"), "?"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// The end of the context ends an askpass program.
func TestAskProgramCutShort(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "started")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FIFO", fifo)
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	started := make(chan struct{})
	go func() {
		defer close(started)
		os.ReadFile(fifo)
		cancel(cause)
	}()
	done := make(chan error, 1)
	go func() {
		_, err := askProgram(ctx, askpass(t, `: >"$FIFO"; exec sleep 1000`), "?")
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, cause) {
			t.Errorf("error %v, want %v", err, cause)
		}
	case <-time.After(patience):
		t.Fatal("it doesn't end")
	}
	<-started
}
