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
	"strings"
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
}

// child is one run of git.
type child struct {
	*exec.Cmd
	name   string
	stderr tail
}

// command is the one place where a git child is made. extraEnv goes on top of the hardened environment.
func (g Git) command(ctx context.Context, extraEnv []string, args ...string) *child {
	c := &child{Cmd: exec.CommandContext(ctx, "git", args...), name: "git " + args[0]}
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
	return c
}

// explain turns the error of a run into one that says what git said.
func (c *child) explain(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("git is not in PATH")
	}
	return &GitError{Command: c.name, Said: c.stderr.last(), Err: err}
}

// run runs the child to its end and explains its failure.
func (c *child) run() error { return c.explain(c.Cmd.Run()) }

// GitError is a git child's failure.
type GitError struct {
	Command string // "git index-pack"
	Said    string // the telling line of its standard error, without "fatal: "
	Err     error
}

func (e *GitError) Error() string {
	if e.Said == "" {
		return fmt.Sprintf("%s: %v", e.Command, e.Err)
	}
	return fmt.Sprintf("%s: %q", e.Command, e.Said)
}

func (e *GitError) Unwrap() error { return e.Err }

// OfMachine tells whether the failure is this machine's (a full disk, a permission, a limit), and not of what git was
// given to read. Git prints strerror(3) texts, which LC_ALL=C makes predictable.
func (e *GitError) OfMachine() bool {
	for _, s := range []string{
		"No space left on device", "Disk quota exceeded", "File too large", "Permission denied",
		"Read-only file system", "Too many open files", "Cannot allocate memory", "ut of memory", "nput/output error",
		"unable to create temporary file", "unable to create thread",
	} {
		if strings.Contains(e.Said, s) {
			return true
		}
	}
	return false
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

func ofMachine(err error) bool {
	var failed *GitError
	return errors.As(err, &failed) && failed.OfMachine()
}
