// Package git starts git's children, all of them, and has what is common to them: the configuration, errors, limits, and
// the repository that they work on.
package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Git starts git's children.
type Git struct {
	// Dir is where they run; "" is the current directory.
	Dir string
	// Env is the environment they start from, as os.Environ gives it.
	Env []string
	// Settings, if there are any, spare a child for each configuration variable that is not set. They are those of one
	// moment.
	Settings *Settings
	// maxMemory is what each child may use of memory for its data, in bytes; 0 is no limit. It is that of the Repo.
	maxMemory int64
}

// Child is one run of git. Its errors say what git said.
type Child struct {
	*exec.Cmd
	name      string
	maxMemory int64
	stderr    tail
}

// Command is the one place where a git child is made. extraEnv goes on top of the hardened environment.
func (g Git) Command(ctx context.Context, extraEnv []string, args ...string) *Child {
	c := &Child{Cmd: exec.CommandContext(ctx, "git", args...), maxMemory: g.maxMemory}
	for len(args) > 2 && args[0] == "-c" {
		args = args[2:]
	}
	c.name = "git " + args[0]
	c.Dir = g.Dir
	c.Env = append(append(append([]string(nil), g.Env...),
		// A name that a peer chose must never be fetched from a promisor remote: that would run its transport.
		"GIT_NO_LAZY_FETCH=1",
		// Objects are given under the name that their own content has.
		"GIT_NO_REPLACE_OBJECTS=1",
		// Messages are read by this program (which error is ours, which the pack's): no translation.
		"LC_ALL=C",
		// No child may ask anything: standard input and the terminal belong to the transport.
		"GIT_TERMINAL_PROMPT=0",
		// Nothing but objects is written; git must not refresh an index in passing either.
		"GIT_OPTIONAL_LOCKS=0",
	), extraEnv...)
	c.Stderr = &c.stderr
	// After the kill that a cancelled context means, nobody waits for what still holds the pipes open.
	c.WaitDelay = 2 * time.Second
	endWithUs(c.Cmd)
	return c
}

// Start starts the child, within its limit of memory. The child has not read a byte by then, or few: it has only just
// been loaded. And what it may have got before the limit counts all the same.
func (c *Child) Start() error {
	if err := c.Cmd.Start(); err != nil || c.maxMemory == 0 {
		return c.explain(err)
	}
	if err := limitMemory(c.Process.Pid, c.maxMemory); err != nil {
		c.Process.Kill()
		c.Wait()
		return fmt.Errorf("its memory can't be limited: %w (aig.maxMemory=0 does without)", err)
	}
	return nil
}

// Wait, Run and Output are those of exec.Cmd, whose own would go round Start and say less.
func (c *Child) Wait() error { return c.explain(c.Cmd.Wait()) }

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

// LimitMemory lets the child have no more than that for its data, in bytes.
func (c *Child) LimitMemory(bytes int64) {
	if c.maxMemory == 0 || bytes < c.maxMemory {
		c.maxMemory = bytes
	}
}

// Said returns the telling line of the standard error of a child that has ended, without "fatal: ".
func (c *Child) Said() string { return c.stderr.last() }

// CopyStderr makes the child's standard error go to w as well.
func (c *Child) CopyStderr(w io.Writer) { c.Stderr = io.MultiWriter(&c.stderr, w) }

// explain turns the error of a run into one that says what git said.
func (c *Child) explain(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("git is not in PATH")
	}
	return &Error{Command: c.name, Said: c.Said(), Err: err, maxMemory: c.maxMemory}
}

// Error is a git child's failure.
type Error struct {
	Command   string // "git index-pack"
	Said      string // the telling line of its standard error, without "fatal: "
	Err       error
	maxMemory int64 // the limit that it had
}

func (e *Error) Error() string {
	switch {
	case e.Said == "":
		return fmt.Sprintf("%s: %v", e.Command, e.Err)
	case e.maxMemory > 0 && e.Says(noThread): // which has two causes, and git is told of neither
		return fmt.Sprintf("%s can start no more threads: there is a limit of processes that is too low (ulimit -u), "+
			"or aig.maxMemory is, which is %s: %q", e.Command, ByteSize(e.maxMemory), e.Said)
	case e.maxMemory > 0 && e.OutOfMemory():
		return fmt.Sprintf("%s needs more memory than aig.maxMemory lets it use, which is %s (raise it; 0 is no limit): %q",
			e.Command, ByteSize(e.maxMemory), e.Said)
	}
	return fmt.Sprintf("%s: %q", e.Command, e.Said)
}

func (e *Error) Unwrap() error { return e.Err }

// OfMachine tells whether the failure is this machine's (a full disk, a permission, a limit, a signal), and not of what
// git was given to read. Git prints strerror(3) texts, which LC_ALL=C makes predictable, and a few of its own.
func (e *Error) OfMachine() bool {
	return signalOf(e.Err) != 0 || e.OutOfMemory() ||
		e.Says("No space left on device", "Out of diskspace", "Disk quota exceeded", "File too large", "Permission denied",
			"Read-only file system", "Too many open files", "nput/output error", "unable to create temporary file")
}

// Interrupted tells whether it was Ctrl-C: the terminal sends that to git, too, which may hear of it before we do.
func (e *Error) Interrupted() bool { return signalOf(e.Err) == syscall.SIGINT }

// OutOfMemory tells whether git got no more memory: the machine has none, or the limit was reached.
func (e *Error) OutOfMemory() bool {
	return e.Says("Cannot allocate memory", "ut of memory", noThread)
}

const noThread = "unable to create thread"

// Says tells whether git said one of the texts, by itself. What it says of an object that its checks reject can have
// the object's own words in it.
func (e *Error) Says(texts ...string) bool {
	if e.Rejected() {
		return false
	}
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(e.Said, text) })
}

// The last words of a git index-pack that has rejected an object: at once, or after all checks were made.
const (
	fsckPacked = "fsck error in packed object"
	FsckEnded  = "fsck error in pack objects"
)

// Rejected tells whether git's checks have rejected an object.
func (e *Error) Rejected() bool {
	return strings.HasSuffix(e.Said, fsckPacked) || strings.HasSuffix(e.Said, FsckEnded)
}

// tail keeps the end of what is written to it. It is read only after the child has ended.
type tail struct{ b []byte }

const tailSize = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if over := len(t.b) - tailSize; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

// last is the line that says why: the last "fatal: " with the "error: " before it, else the last line there is.
func (t *tail) last() string {
	var why, fatal, line string
	for l := range bytes.Lines(t.b) {
		line = strings.TrimSpace(string(l))
		if s, ok := strings.CutPrefix(line, "error: "); ok {
			why = s
		}
		if s, ok := strings.CutPrefix(line, "fatal: "); ok {
			fatal = s
		}
	}
	switch {
	case fatal != "" && why != "":
		return why + ": " + fatal
	case fatal != "":
		return fatal
	case why != "":
		return why
	}
	return line
}

// promisors is what git warns of in each partial clone.
const promisors = "warning: This repository uses promisor remotes. Some objects may not be loaded."

// Complaint returns what a child that has succeeded nonetheless had to say of an error or a warning: git leaves out what it
// can't read.
func (c *Child) Complaint() error {
	for l := range bytes.Lines(c.stderr.b) {
		line := strings.TrimSpace(string(l))
		if line == promisors {
			continue
		}
		if strings.HasPrefix(line, "error: ") || strings.HasPrefix(line, "warning: ") {
			return fmt.Errorf("%s says %q, and can't have seen all that is there: git fsck says more", c.name, line)
		}
	}
	return nil
}

// WithoutLocalEnv is env without the variables that tie git to one repository (`git rev-parse --local-env-vars`):
// what a program that may open another repository must be started with.
func (g Git) WithoutLocalEnv(ctx context.Context, env []string) ([]string, error) {
	c := g.Command(ctx, nil, "rev-parse", "--local-env-vars")
	out, err := c.Output()
	if err != nil {
		return nil, err
	}
	local := make(map[string]bool)
	for _, name := range strings.Fields(string(out)) {
		local[name] = true
	}
	var kept []string
	for _, kv := range env {
		if name, _, _ := strings.Cut(kv, "="); !local[name] {
			kept = append(kept, kv)
		}
	}
	return kept, nil
}

// Lines runs the child and calls each with every line of its output, without the line feed; it is valid until each returns.
// An error of each's ends the child, and is returned as it is.
func (c *Child) Lines(each func(line []byte) error) error { return c.Records('\n', each) }

// maxRecord is about how long a line is at most; a longer one, of a path that somebody has made up, is an error.
const maxRecord = 1 << 20

// Records is Lines for what ends with another byte than a line feed.
func (c *Child) Records(end byte, each func(record []byte) error) error {
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	r := bufio.NewReaderSize(out, 1<<16)
	for {
		var line []byte
		line, err = r.ReadSlice(end)
		for err == bufio.ErrBufferFull && len(line) < maxRecord {
			var rest []byte
			line = slices.Clone(line)
			rest, err = r.ReadSlice(end)
			line = append(line, rest...)
		}
		if err != nil { // at the end: what is cut short is no line, and the status tells
			break
		}
		if err = each(line[:len(line)-1]); err != nil {
			out.Close()
			c.Wait() // it ends of its closed pipe
			return err
		}
	}
	if err == bufio.ErrBufferFull {
		out.Close()
	}
	if waited := c.Wait(); waited != nil || err == io.EOF {
		return waited
	}
	return err
}

// ExitCode returns the status that a child has ended with, or -1.
func ExitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// signalOf is the signal that ended a child, or 0.
func signalOf(err error) syscall.Signal {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return status.Signal()
		}
	}
	return 0
}

// Stopped tells whether a child was ended by somebody else: by a person, or the kernel that needed its memory.
func Stopped(err error) bool {
	switch signalOf(err) {
	case syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP:
		return true
	}
	return false
}

// OfMachine tells whether err is a child's, and this machine's fault.
func OfMachine(err error) bool {
	var failed *Error
	return errors.As(err, &failed) && failed.OfMachine()
}
