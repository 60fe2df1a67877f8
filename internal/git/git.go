// Package git starts every git child of the program, and holds what they have in common: configuration, errors, limits, and
// the repository they work on.
package git

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"aig/internal/trace"
)

// Git starts git's children.
type Git struct {
	// Dir is where they run; "" is the current directory.
	Dir string
	// Env is the environment they start from, as os.Environ gives it.
	Env []string
	// Settings, if not nil, caches the configuration: no child is started for a variable that is not set.
	Settings *Settings
	// Trace, if not nil, is told of each child.
	Trace *trace.Trace
	// maxMemory is how many bytes of data each child may have in memory; 0 is no limit.
	maxMemory int64
}

// Child is one run of git. Its errors say what git said.
type Child struct {
	*exec.Cmd
	OnError   func(line []byte) // if not nil, is called with each line of standard error
	name      string
	maxMemory int64
	lowered   bool // maxMemory is below what aig.maxMemory allows
	stderr    LineWriter
	said      said
	trace     *trace.Trace
	exited    func(code int) // tells trace
}

// Command makes a git child; nothing else makes one. extraEnv is added to the hardened environment.
func (g Git) Command(ctx context.Context, extraEnv []string, args ...string) *Child {
	c := &Child{Cmd: exec.CommandContext(ctx, "git", args...), maxMemory: g.maxMemory, trace: g.Trace}
	for len(args) > 2 && args[0] == "-c" {
		args = args[2:]
	}
	c.name = "git " + args[0]
	c.Dir = g.Dir
	c.Env = append(append(append([]string(nil), g.Env...),
		// A name that a peer chose must never be fetched from a promisor remote: that would run its transport.
		"GIT_NO_LAZY_FETCH=1",
		// An object's name is that of its own content, not of a replacement.
		"GIT_NO_REPLACE_OBJECTS=1",
		// References are the repository's own: only git upload-pack would take a part of them for all.
		"GIT_NAMESPACE=",
		// This program reads git's messages (which error is ours, which the pack's), so they must not be translated.
		"LC_ALL=C",
		// No child may ask anything: standard input and the terminal belong to the transport.
		"GIT_TERMINAL_PROMPT=0",
		// Nobody waits for a single line, so git needn't write each by itself.
		"GIT_FLUSH=0",
		// Nothing but objects is written; git must not refresh an index in passing either.
		"GIT_OPTIONAL_LOCKS=0",
	), append(g.Trace.Env(), extraEnv...)...)
	c.stderr.Line = c.hear
	c.Stderr = &c.stderr
	// Once a cancelled context has killed the child, don't wait for whatever else holds its pipes open.
	c.WaitDelay = 2 * time.Second
	endWithUs(c.Cmd)
	return c
}

// Start starts the child and limits its memory. By then it has read hardly anything, and what it has allocated counts too.
func (c *Child) Start() error {
	c.exited = c.trace.Child("git", c.Args)
	if err := c.Cmd.Start(); err != nil || c.maxMemory == 0 {
		return c.explain(err)
	}
	if err := limitMemory(c.Process.Pid, c.maxMemory); err != nil {
		c.Process.Kill()
		c.Wait()
		return fmt.Errorf("can't limit the memory of %s: %w (aig.maxMemory=0 sets no limit)", c.name, err)
	}
	return nil
}

// Wait, Run and Output replace those of exec.Cmd, which would bypass Start and say less.
func (c *Child) Wait() error {
	err := c.Cmd.Wait()
	c.stderr.Close()
	err = c.explain(err)
	c.exited(c.ProcessState.ExitCode())
	return err
}

func (c *Child) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

func (c *Child) Output() ([]byte, error) {
	var out bytes.Buffer
	c.Stdout = &out
	err := c.Run()
	return out.Bytes(), err
}

// LimitMemory lowers the child's memory limit. Its errors then don't name aig.maxMemory, which would not help if it were raised.
func (c *Child) LimitMemory(bytes int64) {
	if c.maxMemory == 0 || bytes < c.maxMemory {
		c.maxMemory, c.lowered = bytes, true
	}
}

// explain turns the error of a run into one that says what git said.
func (c *Child) explain(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("git is not in PATH")
	}
	failed := &Error{Command: c.name, Said: c.Said(), Err: err}
	if !c.lowered {
		failed.maxMemory = c.maxMemory
	}
	return failed
}

// Error is a git child's failure.
type Error struct {
	Command   string // "git index-pack"
	Said      string // the line of its standard error that says why, without "fatal: "
	Err       error
	maxMemory int64 // what aig.maxMemory allows, if that is its limit
}

func (e *Error) Error() string {
	switch {
	case e.Said == "":
		return fmt.Sprintf("%s: %v", e.Command, e.Err)
	case e.maxMemory > 0 && e.Says(noThread): // there are two possible causes, and git can't tell which
		return fmt.Sprintf("%s can't start more threads: the limit of processes (ulimit -u) or aig.maxMemory (%s) is too low: %q",
			e.Command, ByteSize(e.maxMemory), e.Said)
	case e.maxMemory > 0 && e.OutOfMemory():
		return fmt.Sprintf("%s needs more memory than aig.maxMemory allows, which is %s (raise it; 0 is no limit): %q",
			e.Command, ByteSize(e.maxMemory), e.Said)
	}
	return fmt.Sprintf("%s: %q", e.Command, e.Said)
}

func (e *Error) Unwrap() error { return e.Err }

// MachineWords returns what git says where the machine is at fault: strerror(3) texts, and a few of its own.
func MachineWords() []string {
	return []string{"No space left on device", "Out of diskspace", "Disk quota exceeded", "File too large", "Permission denied",
		"Read-only file system", "Too many open files", "nput/output error", "unable to create temporary file"}
}

// OfMachine reports whether the machine is at fault (a full disk, permissions, a limit, a signal), not what git was given to
// read. Git prints strerror(3) texts, which LC_ALL=C makes predictable, and a few of its own.
func (e *Error) OfMachine() bool {
	return signalOf(e.Err) != 0 || e.OutOfMemory() || e.Says(MachineWords()...)
}

// Interrupted reports whether Ctrl-C ended git: the terminal signals git too, and git may hear of it first.
func (e *Error) Interrupted() bool { return signalOf(e.Err) == syscall.SIGINT }

// OutOfMemory reports whether git ran out of memory, the machine's or what its limit allows.
func (e *Error) OutOfMemory() bool {
	return e.Says("Cannot allocate memory", "ut of memory", noThread)
}

const noThread = "unable to create thread"

// Says reports whether git's message contains one of the texts. A message about a rejected object never counts: it may quote
// the object.
func (e *Error) Says(texts ...string) bool {
	if e.Rejected() {
		return false
	}
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(e.Said, text) })
}

// How git index-pack ends when it rejects an object: at once, or after all checks.
const (
	fsckPacked = "fsck error in packed object"
	FsckEnded  = "fsck error in pack objects"
)

// Rejected reports whether git's checks have rejected an object.
func (e *Error) Rejected() bool {
	return strings.HasSuffix(e.Said, fsckPacked) || strings.HasSuffix(e.Said, FsckEnded)
}

// WithoutLocalEnv returns env without the variables that tie git to one repository (`git rev-parse --local-env-vars`), for a
// program that may open another one.
func (g Git) WithoutLocalEnv(ctx context.Context, env []string) ([]string, error) {
	out, err := g.Command(ctx, nil, "rev-parse", "--local-env-vars").Output()
	if err != nil {
		return nil, err
	}
	local := strings.Fields(string(out))
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(local, name)
	}), nil
}

// Lines runs the child and calls each with every line of its output, without the line feed. The line is valid until each
// returns. If each fails, the child ends and Lines returns that error.
func (c *Child) Lines(each func(line []byte) error) error { return c.Records('\n', each) }

// maxRecord is the longest record that is accepted, in bytes. A longer one is a path made up to fill our memory.
const maxRecord = 1 << 20

// pipeSize is how much a pipe holds on Linux, in bytes.
const pipeSize = 64 << 10

// Records is Lines for records that end in another byte than a line feed.
func (c *Child) Records(end byte, each func(record []byte) error) error {
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	records := bufio.NewScanner(out)
	records.Buffer(make([]byte, pipeSize), maxRecord)
	records.Split(func(data []byte, _ bool) (int, []byte, error) {
		if at := bytes.IndexByte(data, end); at >= 0 {
			return at + 1, data[:at], nil
		}
		return 0, nil, nil // a record that is cut short is dropped; the exit status says why
	})
	for err == nil && records.Scan() {
		err = each(records.Bytes())
	}
	err = cmp.Or(err, records.Err())
	out.Close() // if we stop early, it dies of its closed pipe
	waited := c.Wait()
	return cmp.Or(err, waited)
}

// ExitCode returns the status that a child has ended with, or -1.
func ExitCode(err error) int {
	if exit, ended := errors.AsType[*exec.ExitError](err); ended {
		return exit.ExitCode()
	}
	return -1
}

// signalOf returns the signal that ended a child, or 0.
func signalOf(err error) syscall.Signal {
	if exit, ended := errors.AsType[*exec.ExitError](err); ended {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return status.Signal()
		}
	}
	return 0
}

// Stopped reports whether somebody else ended the child: a person, or the kernel for want of memory.
func Stopped(err error) bool {
	switch signalOf(err) {
	case syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP:
		return true
	}
	return false
}

// OfMachine reports whether err is a child's failure that is this machine's fault; see [Error.OfMachine].
func OfMachine(err error) bool {
	failed, ofGit := errors.AsType[*Error](err)
	return ofGit && failed.OfMachine()
}
