// Package gitstore is everything that starts git: listing a repository's objects, packing some of them, taking packs
// in through a quarantine, reading configuration. Nothing here writes anything but objects.
package gitstore

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
	// maxMemory is what each child may use of memory for its data, in bytes; 0 is no limit. It is that of the Store.
	maxMemory int64
}

// child is one run of git.
type child struct {
	*exec.Cmd
	name      string
	maxMemory int64
	stderr    tail
}

// command is the one place where a git child is made. extraEnv goes on top of the hardened environment.
func (g Git) command(ctx context.Context, extraEnv []string, args ...string) *child {
	c := &child{Cmd: exec.CommandContext(ctx, "git", args...), name: "git " + args[0], maxMemory: g.maxMemory}
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
func (c *child) Start() error {
	if err := c.Cmd.Start(); err != nil || c.maxMemory == 0 {
		return err
	}
	if err := limitMemory(c.Process.Pid, c.maxMemory); err != nil {
		c.Process.Kill()
		c.Wait()
		return fmt.Errorf("its memory can't be limited: %w (aig.maxMemory=0 does without)", err)
	}
	return nil
}

// Run and Output are those of exec.Cmd, whose own would go round Start.
func (c *child) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

func (c *child) Output() ([]byte, error) {
	var out bytes.Buffer
	c.Stdout = &out
	err := c.Run()
	return out.Bytes(), err
}

// explain turns the error of a run into one that says what git said.
func (c *child) explain(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("git is not in PATH")
	}
	return &GitError{Command: c.name, Said: c.stderr.last(), Err: err, maxMemory: c.maxMemory}
}

// run runs the child to its end and explains its failure.
func (c *child) run() error { return c.explain(c.Run()) }

// GitError is a git child's failure.
type GitError struct {
	Command   string // "git index-pack"
	Said      string // the telling line of its standard error, without "fatal: "
	Err       error
	maxMemory int64 // the limit that it had
}

func (e *GitError) Error() string {
	switch {
	case e.Said == "":
		return fmt.Sprintf("%s: %v", e.Command, e.Err)
	case e.maxMemory > 0 && e.said(noThread): // which has two causes, and git is told of neither
		return fmt.Sprintf("%s can start no more threads: there is a limit of processes that is too low (ulimit -u), "+
			"or aig.maxMemory is, which is %s: %q", e.Command, byteSize(e.maxMemory), e.Said)
	case e.maxMemory > 0 && e.OutOfMemory():
		return fmt.Sprintf("%s needs more memory than aig.maxMemory lets it use, which is %s (raise it; 0 is no limit): %q",
			e.Command, byteSize(e.maxMemory), e.Said)
	}
	return fmt.Sprintf("%s: %q", e.Command, e.Said)
}

func (e *GitError) Unwrap() error { return e.Err }

// OfMachine tells whether the failure is this machine's (a full disk, a permission, a limit, a signal), and not of what
// git was given to read. Git prints strerror(3) texts, which LC_ALL=C makes predictable, and a few of its own.
func (e *GitError) OfMachine() bool {
	return signalOf(e.Err) != 0 || e.OutOfMemory() ||
		e.said("No space left on device", "Out of diskspace", "Disk quota exceeded", "File too large", "Permission denied",
			"Read-only file system", "Too many open files", "nput/output error", "unable to create temporary file")
}

// Interrupted tells whether it was Ctrl-C: the terminal sends that to git, too, which may hear of it before we do.
func (e *GitError) Interrupted() bool { return signalOf(e.Err) == syscall.SIGINT }

// OutOfMemory tells whether git got no more memory: the machine has none, or the limit was reached.
func (e *GitError) OutOfMemory() bool {
	return e.said("Cannot allocate memory", "ut of memory", noThread)
}

const noThread = "unable to create thread"

// said tells whether git said one of the texts, by itself. What it says of an object that its checks reject can have
// the object's own words in it.
func (e *GitError) said(texts ...string) bool {
	if strings.HasSuffix(e.Said, fsckPacked) || strings.HasSuffix(e.Said, fsckEnded) {
		return false
	}
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(e.Said, text) })
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

// complaint is what a child that has succeeded nonetheless had to say of an error: git leaves out what it can't read.
func (c *child) complaint() error {
	for l := range bytes.Lines(c.stderr.b) {
		if s, ok := strings.CutPrefix(strings.TrimSpace(string(l)), "error: "); ok {
			return fmt.Errorf("%s says %q, and can't have seen all that is there: git fsck says more", c.name, s)
		}
	}
	return nil
}

// WithoutLocalEnv is env without the variables that tie git to one repository (`git rev-parse --local-env-vars`):
// what a program that may open another repository must be started with.
func (g Git) WithoutLocalEnv(ctx context.Context, env []string) ([]string, error) {
	c := g.command(ctx, nil, "rev-parse", "--local-env-vars")
	out, err := c.Output()
	if err != nil {
		return nil, c.explain(err)
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

// lines runs the child and calls each with every line of its output, without the line feed. An error of each's ends the
// child, and is returned as it is.
func (c *child) lines(each func(line []byte) error) error {
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return c.explain(err)
	}
	r := bufio.NewReaderSize(out, 1<<16)
	for {
		var line []byte
		line, err = r.ReadBytes('\n')
		if err != nil { // at the end: what is cut short is no line, and the status tells
			break
		}
		if err = each(line[:len(line)-1]); err != nil {
			out.Close()
			c.Wait() // it ends of its closed pipe
			return err
		}
	}
	if waited := c.Wait(); waited != nil || err == io.EOF {
		return c.explain(waited)
	}
	return err
}

func exitCode(err error) int {
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

// stopped tells whether a child was ended by somebody else: by a person, or the kernel that needed its memory.
func stopped(err error) bool {
	switch signalOf(err) {
	case syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP:
		return true
	}
	return false
}

func ofMachine(err error) bool {
	var failed *GitError
	return errors.As(err, &failed) && failed.OfMachine()
}
