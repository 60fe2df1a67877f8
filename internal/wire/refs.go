package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"aig/internal/ref"
)

// MaxRefsSize bounds the bytes of a side's references, in all of its TypeRefs frames together.
const MaxRefsSize = 128 << 20

// maxRefLine bounds a line of a TypeRefs frame in bytes.
const maxRefLine = 4096

// The words of a line, as in the output of ls-refs (gitprotocol-v2(5)).
const (
	unborn       = "unborn"
	symrefTarget = "symref-target:"
	peeled       = "peeled:"
)

func refLine(r ref.Ref) string {
	oid := r.OID
	if oid == "" {
		oid = unborn
	}
	line := oid + " " + r.Name
	if r.Target != "" {
		line += " " + symrefTarget + r.Target
	}
	if r.Peeled != "" {
		line += " " + peeled + r.Peeled
	}
	return line + "\n"
}

// AppendRefs appends to b the lines of as many of refs as fit into one frame, and returns the rest. All must satisfy CanTell.
func AppendRefs(b []byte, refs []ref.Ref) (body []byte, rest []ref.Ref) {
	start := len(b)
	for i, r := range refs {
		line := refLine(r)
		if len(b)-start+len(line) > MaxBody {
			return b, refs[i:]
		}
		b = append(b, line...)
	}
	return b, nil
}

// CanTell reports whether a line can express the reference.
func CanTell(r ref.Ref) bool {
	return len(refLine(r)) <= maxRefLine && r.Name != "" && r.OID != unborn &&
		!strings.ContainsAny(r.OID+r.Name+r.Target+r.Peeled, " \n")
}

// RefsSize returns how many bytes the lines of refs take.
func RefsSize(refs []ref.Ref) (size int) {
	for _, r := range refs {
		size += len(refLine(r))
	}
	return size
}

// ParseRefs reads the body of a TypeRefs frame. Attributes other than ours are ignored.
func ParseRefs(body []byte) ([]ref.Ref, error) {
	var refs []ref.Ref
	for len(body) > 0 {
		line, rest, ok := bytes.Cut(body, []byte{'\n'})
		fields := strings.Split(string(line), " ")
		if !ok || len(line) >= maxRefLine || len(fields) < 2 || fields[0] == "" || fields[1] == "" {
			return nil, fmt.Errorf("the peer sent a malformed reference: %.80q", line)
		}
		r := ref.Ref{OID: fields[0], Name: fields[1]}
		if r.OID == unborn {
			r.OID = ""
		}
		for _, attribute := range fields[2:] {
			if target, ok := strings.CutPrefix(attribute, symrefTarget); ok {
				r.Target = target
			} else if oid, ok := strings.CutPrefix(attribute, peeled); ok {
				r.Peeled = oid
			}
		}
		refs = append(refs, r)
		body = rest
	}
	if len(refs) == 0 {
		return nil, errors.New("the peer sent no references where some were due")
	}
	return refs, nil
}
