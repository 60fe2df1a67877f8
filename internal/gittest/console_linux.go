package gittest

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// consolePatience bounds every wait for a Console's program; reaching it is a failure.
const consolePatience = 30 * time.Second

// Console is the user's side of a pseudo-terminal on which a program runs.
type Console struct {
	User *os.File
	Cmd  *exec.Cmd

	t     testing.TB
	mu    sync.Mutex
	shown string
	seen  int // how much of it has been expected
	news  chan struct{}
}

// OpenConsole starts a program as the leader of a new session on a new pseudo-terminal, and ends it with the test.
func OpenConsole(t testing.TB, cmd *exec.Cmd) *Console {
	t.Helper()
	user, program := Terminal(t)
	defer program.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &Console{User: user, Cmd: cmd, t: t, news: make(chan struct{}, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read()
	}()
	t.Cleanup(func() {
		// The hang-up ends what is left on the terminal; the kill is for a program under test that survives it.
		user.Close()
		<-done
		kill := time.AfterFunc(consolePatience, func() { cmd.Process.Kill() })
		cmd.Wait()
		kill.Stop()
	})
	return c
}

// read takes in what the terminal shows.
func (c *Console) read() {
	buf := make([]byte, 4096)
	for {
		n, err := c.User.Read(buf)
		c.mu.Lock()
		c.shown += string(buf[:n])
		c.mu.Unlock()
		select {
		case c.news <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// Shown returns all that the terminal has shown.
func (c *Console) Shown() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown
}

// Expect waits until the terminal shows the text after what was expected before.
func (c *Console) Expect(text string) {
	c.t.Helper()
	for timeout := time.After(consolePatience); ; {
		rest := c.Shown()[c.seen:]
		if at := strings.Index(rest, text); at >= 0 {
			c.seen += at + len(text)
			return
		}
		select {
		case <-c.news:
		case <-timeout:
			c.t.Fatalf("the terminal doesn't show %q, but %q", text, rest)
		}
	}
}

// Press types keys.
func (c *Console) Press(keys string) {
	c.t.Helper()
	if _, err := io.WriteString(c.User, keys); err != nil {
		c.t.Fatal(err)
	}
}
