package app

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"

	"aig/internal/oid"
	"aig/internal/screen"
	"aig/internal/session"
)

// report writes what was moved, and the promise, for a person or a script to read.
type report struct {
	to      io.Writer
	out     *bufio.Writer // to, or nowhere
	screen  *screen.Screen
	format  oid.Format
	summary bool
	err     error // of the first line, which is written when there is nobody to return an error to
}

func newReport(w io.Writer, s *screen.Screen, c Config, format oid.Format) *report {
	out := w
	if c.Quiet {
		out = io.Discard
	}
	return &report{to: w, out: bufio.NewWriter(out), screen: s, format: format, summary: c.Summary}
}

// common writes how many objects both sides had, at once: what comes next may take long.
func (r *report) common(objects uint64) {
	io.WriteString(r.screen, "") // the progress line gives way
	fmt.Fprintf(r.out, "= %d\n", objects)
	r.err = r.out.Flush()
}

// moved writes what was sent and received; the last line is the promise that both sides hold everything.
func (r *report) moved(result *session.Result, everything bool) error {
	switch {
	case result.Left: // nothing was to be moved
	case r.summary:
		fmt.Fprintf(r.out, "> %d\n< %d\n", result.Sent.Len(), result.Received.Len())
	default:
		for i := range result.Sent.Len() {
			r.object('>', result.Sent.At(i))
		}
		for name, err := range result.Received.All() {
			if err != nil {
				return err
			}
			r.object('<', name)
		}
	}
	if everything {
		r.out.WriteString(".\n")
	}
	err := r.out.Flush()
	if r.err != nil {
		err = r.err
	}
	if err != nil {
		return fmt.Errorf("both sides hold everything, but the report could not be written: %w", err)
	}
	return nil
}

func (r *report) object(direction byte, name []byte) {
	r.out.WriteByte(direction)
	r.out.WriteString(" obj:")
	r.out.WriteString(string(r.format))
	r.out.WriteByte(':')
	r.out.Write(hex.AppendEncode(r.out.AvailableBuffer(), name))
	r.out.WriteByte('\n')
}
