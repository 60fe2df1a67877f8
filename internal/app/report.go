package app

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"

	"golang.org/x/term"

	"aig/internal/git"
	"aig/internal/oid"
	"aig/internal/screen"
	"aig/internal/session"
)

// maxLines is the most objects that are listed one by one on a terminal.
const maxLines = 100

// report writes what was moved, and the promise, for a person or a script to read.
type report struct {
	to       io.Writer
	out      *bufio.Writer // to, or nowhere
	screen   *screen.Screen
	format   oid.Format
	form     Report
	terminal bool
}

func newReport(c Config, s *screen.Screen, format oid.Format) *report {
	r := &report{to: c.Stdout, screen: s, format: format, form: c.Report}
	if c.Transport == "-" {
		r.to = s
	} else {
		r.terminal = term.IsTerminal(int(c.Stdout.Fd()))
	}
	r.out = bufio.NewWriter(r.to)
	// Over standard input and output, the peer sees what we say as its transport's words, if at all.
	if c.Quiet || c.Transport == "-" && c.Report == ReportAsFits {
		r.out = bufio.NewWriter(io.Discard)
	}
	return r
}

// common writes how many objects both sides had, at once: what comes next may take long.
func (r *report) common(objects uint64) {
	io.WriteString(r.screen, "") // the progress line gives way
	fmt.Fprintf(r.out, "= %d\n", objects)
	r.out.Flush() // an error recurs at the end
}

// moved writes what was sent and received; the last line is the promise that both sides hold everything.
func (r *report) moved(result *session.Result, p session.Progress, everything bool) error {
	var sent, received int
	if !result.Left {
		sent, received = result.Sent.Len(), result.Received.Len()
	}
	switch {
	case result.Left: // nothing was to be moved
	case r.form == ReportSummary:
		fmt.Fprintf(r.out, "> %d\n< %d\n", sent, received)
	case r.form == ReportAsFits && r.terminal && sent+received > maxLines:
		fmt.Fprintf(r.out, "> %s objects, %s\n", grouped(sent), git.ByteSize(p.BytesOut))
		fmt.Fprintf(r.out, "< %s objects, %s\n", grouped(received), git.ByteSize(p.BytesIn))
	default:
		for i := range result.Sent.Len() {
			r.object('>', result.Sent.At(i))
		}
		for i := range result.Received.Len() {
			r.object('<', result.Received.At(i))
		}
	}
	if everything {
		r.out.WriteString(".\n")
	}
	if err := r.out.Flush(); err != nil {
		return fmt.Errorf("both sides hold everything, but the report could not be written: %w", err)
	}
	return nil
}

// would writes what would be sent and received.
func (r *report) would(dry *session.DryRunError) error {
	fmt.Fprintf(r.out, "> %d\n< %d\n", dry.Give, dry.Get)
	return r.out.Flush()
}

// grouped returns a number with a comma before every three digits.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func (r *report) object(direction byte, name []byte) {
	r.out.WriteByte(direction)
	r.out.WriteString(" obj:")
	r.out.WriteString(string(r.format))
	r.out.WriteByte(':')
	r.out.Write(hex.AppendEncode(r.out.AvailableBuffer(), name))
	r.out.WriteByte('\n')
}
