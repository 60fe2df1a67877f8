package transport

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"aig/internal/gittest"
)

// console is the user's side of a terminal.
type console struct {
	*gittest.Console
	t *testing.T
}

// openConsole runs a program on a terminal.
func openConsole(t *testing.T, env []string, argv ...string) *console {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	return &console{gittest.OpenConsole(t, cmd), t}
}

// awaitEnd waits until the program has ended by itself.
func (c *console) awaitEnd() {
	c.t.Helper()
	inTime(c.t, "the program", func() { c.Cmd.Wait() })
}

// runUnderConsole runs this test program on a terminal, without a shell.
func runUnderConsole(t *testing.T, expression string, env ...string) *console {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The race detector would have each process sleep for a second at its end.
	return openConsole(t, append(env, "GORACE=atexit_sleep_ms=0", "TRANSPORT_TEST_EXPRESSION="+expression), self)
}

// shellUnderConsole runs an interactive shell with job control, in which
// $SELF is this test program.
func shellUnderConsole(t *testing.T, expression string) *console {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := openConsole(t, []string{
		"PS1=ready> ", "ENV=", "GORACE=atexit_sleep_ms=0", "SELF=" + self, "TRANSPORT_TEST_EXPRESSION=" + expression,
	}, "sh", "-i")
	c.Expect("ready> ")
	return c
}

func (c *console) enter(line string) { c.Press(line + "\n") }

// foreground returns the terminal's foreground process group.
func (c *console) foreground() (group int) {
	c.t.Helper()
	raw, err := c.User.SyscallConn()
	if err == nil {
		raw.Control(func(fd uintptr) { group, err = unix.IoctlGetInt(int(fd), unix.TIOCGPGRP) })
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return group
}

// awaitForeground waits until the group has the terminal and its leader runs again: a Ctrl-Z sent earlier would be undone by
// the SIGCONT that continues the group.
func (c *console) awaitForeground(group int) {
	c.t.Helper()
	isStopped := func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", group))
		return err == nil && strings.Contains(string(status), "\nState:\tT")
	}
	for deadline := time.Now().Add(patience); c.foreground() != group || isStopped(); {
		if time.Now().After(deadline) {
			c.t.Fatalf("the foreground is group %d, not %d", c.foreground(), group)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

const (
	ctrlC = "\x03"
	ctrlZ = "\x1a"
)

// question is a transport that asks on the terminal, as ssh does, and passes
// the answer on.
const question = `exec 3<>/dev/tty; printf 'yes or no? ' >&3; read -r answer <&3; echo "said $answer"`

// A transport that reads from the terminal gets its answer, and the terminal is
// ours again when the transport has ended.
func TestTerminalQuestion(t *testing.T) {
	c := runUnderConsole(t, question)
	c.Expect("yes or no? ")
	c.enter("maybe")
	c.Expect(`read "said maybe\n", exit status 0, interrupted=false, foreground=true, echo=true`)
}

// A transport that can't be run doesn't keep the terminal.
func TestTerminalStartFails(t *testing.T) {
	c := runUnderConsole(t, "overlong")
	c.Expect("failed: transport: running ")
	c.Expect("argument list too long, foreground=true")
}

// After TakeTerminal we can ask questions ourselves, while the transport runs.
func TestTakeTerminal(t *testing.T) {
	c := runUnderConsole(t, question+"; cat", "TRANSPORT_TEST_TAKE=1")
	c.Expect("yes or no? ")
	c.enter("maybe")
	c.Expect(`own question after "said maybe\n": `)
	c.enter("mine")
	c.Expect(`own answer "mine\n" <nil> foreground=true`)
}

// We learn of a Ctrl-C at the transport's question, whatever the transport makes of it.
func TestTerminalInterrupt(t *testing.T) {
	tests := []struct{ name, expression, want string }{
		{"dies of it", question, `read "", signal: interrupt, interrupted=true, foreground=true`},
		{"shell's status", `(` + question + `); exit 130`, `interrupted=true, foreground=true`},
		{"as ssh does", `trap 'exit 255' INT; ` + question, `read "", exit status 255, interrupted=true, foreground=true`},
		{"status of its own", `trap 'exit 130' INT; ` + question, `read "", exit status 130, interrupted=true, foreground=true`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := runUnderConsole(t, test.expression)
			c.Expect("yes or no? ")
			c.Press(ctrlC)
			c.Expect(test.want)
		})
	}
}

// Ctrl-Z at the transport's question stops the whole job, as its shell sees
// it; in the foreground again, the question can still be answered.
func TestTerminalStop(t *testing.T) {
	c := shellUnderConsole(t, question)
	c.enter("$SELF")
	c.Expect("yes or no? ")
	transport := c.foreground()
	for range 3 {
		c.Press(ctrlZ)
		c.Expect("Stopped")
		c.Expect("ready> ")
		c.enter("echo $((6*7)) shell")
		c.Expect("42 shell")
		c.enter("fg")
		c.awaitForeground(transport)
	}
	c.enter("maybe")
	c.Expect(`read "said maybe\n", exit status 0, interrupted=false, foreground=true, echo=true`)
	c.Expect("ready> ")
	c.enter("echo $((6*7)) shell")
	c.Expect("42 shell")
}

// ssh's status after Ctrl-C alone isn't taken for an interrupt.
func TestTerminalNotInterrupted(t *testing.T) {
	c := runUnderConsole(t, `exit 255`)
	c.Expect(`read "", exit status 255, interrupted=false, foreground=true`)
}

// A Ctrl-Z that is noticed only after the terminal was taken back doesn't leave
// the transport stopped while the user believes that the job runs.
func TestTerminalStopTooLate(t *testing.T) {
	c := runUnderConsole(t, `echo; cat; kill -TSTP $$`, "TRANSPORT_TEST_TAKE=1")
	c.Expect("own question after ")
	c.enter("mine")
	c.Expect(`own answer "mine\n" <nil> foreground=true`)
	c.awaitEnd() // for which the transport has to go on
}

// If no shell could continue us, Ctrl-Z leaves the question as it was.
func TestTerminalStopWithoutShell(t *testing.T) {
	c := runUnderConsole(t, question)
	c.Expect("yes or no? ")
	c.Press(ctrlZ)
	c.Expect("^Z")
	c.enter("maybe")
	c.Expect(`read "said maybe\n", exit status 0, interrupted=false, foreground=true`)
}

// A background job whose transport asks a question is stopped, like any such
// job, and in the foreground the question can be answered.
func TestTerminalQuestionInBackground(t *testing.T) {
	c := shellUnderConsole(t, question)
	shell := c.foreground()
	c.enter("$SELF &")
	c.Expect("yes or no? ")
	c.enter("") // a shell reports its jobs only before a prompt
	c.enter("wait; jobs")
	c.Expect("Stopped")
	if c.foreground() != shell {
		t.Error("the terminal was taken from the shell")
	}
	c.enter("fg")
	c.enter("maybe")
	c.Expect(`read "said maybe\n", exit status 0, interrupted=false, foreground=true`)
}

// Nobody can answer a background job that no shell will ever continue: its
// transport gets SIGHUP, and isn't left waiting for ever.
func TestTerminalQuestionOrphaned(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "go")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	c := shellUnderConsole(t, `echo started >/dev/tty; read -r _ <"`+fifo+`"; `+question)
	shell := c.foreground()
	c.enter("($SELF &)")
	c.Expect("started")
	c.awaitForeground(shell) // a process that has already begun to read isn't stopped
	if err := os.WriteFile(fifo, []byte("\n"), 0); err != nil {
		t.Fatal(err)
	}
	c.Expect(`read "", signal: hangup, interrupted=false, foreground=false`)
}

// Two transports of one job, as of `git fetch -j`, may both ask, and are answered one after the other.
func TestTerminalTurns(t *testing.T) {
	c := shellUnderConsole(t, question)
	c.enter(`sh -c '"$SELF" & "$SELF"; wait; echo both'`)
	c.Expect("yes or no? ")
	c.Expect("yes or no? ")
	c.enter("first")
	c.Expect(`read "said first\n", exit status 0, interrupted=false`)
	c.enter("second")
	c.Expect(`read "said second\n", exit status 0, interrupted=false`)
	c.Expect("both\r\n")
}

// A transport that is killed while it asks for a password doesn't leave the terminal without echo.
func TestTerminalModesRestored(t *testing.T) {
	c := runUnderConsole(t, `stty -echo </dev/tty; kill -9 $$`)
	c.Expect(`read "", signal: killed, interrupted=false, foreground=true, echo=true`)
}

// A transport that isn't killed may leave the terminal's modes as it likes.
func TestTerminalModesKept(t *testing.T) {
	c := runUnderConsole(t, `stty -echo </dev/tty`)
	c.Expect(`read "", exit status 0, interrupted=false, foreground=true, echo=false`)
}
