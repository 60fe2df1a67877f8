package git

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
)

// LineWriter calls Line with each line that is written to it, without the line feed. Empty lines are left out, and a line longer than
// maxLine is cut.
type LineWriter struct {
	Line func(line []byte) // the line is valid until it returns
	part []byte
}

// maxLine is more than a path and what git says of it.
const maxLine = 8 << 10

func (w *LineWriter) Write(p []byte) (int, error) {
	for part := range bytes.Lines(p) {
		text, whole := bytes.CutSuffix(part, []byte("\n"))
		w.part = append(w.part, text[:min(len(text), maxLine-len(w.part))]...)
		if whole {
			w.Close()
		}
	}
	return len(p), nil
}

// Close ends an unfinished last line.
func (w *LineWriter) Close() {
	if len(w.part) > 0 {
		w.Line(w.part)
		w.part = w.part[:0]
	}
}

// said is what matters of a child's standard error. It must not be read before the child has ended.
type said struct {
	fatal, why string // the last "fatal: " and "error: "
	line       string // the last one
	complaint  string // the first warning or error
}

// promisors is a warning without meaning for us: git prints it in every partial clone.
const promisors = "warning: This repository uses promisor remotes. Some objects may not be loaded."

// hear takes a line of standard error.
func (c *Child) hear(line []byte) {
	if c.OnError != nil {
		c.OnError(line)
	}
	s := &c.said
	s.line = strings.TrimSpace(string(line))
	if fatal, is := strings.CutPrefix(s.line, "fatal: "); is {
		s.fatal = fatal
	}
	why, isError := strings.CutPrefix(s.line, "error: ")
	if isError {
		s.why = why
	}
	if s.complaint == "" && s.line != promisors && (isError || strings.HasPrefix(s.line, "warning: ")) {
		s.complaint = s.line
	}
}

// Said returns the line that says why a child has failed: the last "fatal: " and the last "error: ", or else the last line.
func (c *Child) Said() string {
	if c.said.fatal != "" && c.said.why != "" {
		return c.said.why + ": " + c.said.fatal
	}
	return cmp.Or(c.said.fatal, c.said.why, c.said.line)
}

// Complaint returns an error if a child that succeeded has printed a warning or an error all the same: git leaves out what it
// can't read.
func (c *Child) Complaint() error {
	if c.said.complaint == "" {
		return nil
	}
	return fmt.Errorf("%s says %q, so it may have missed objects: git fsck says more", c.name, c.said.complaint)
}
