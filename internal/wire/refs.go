package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// MaxRefs is how many references a side tells at most.
const MaxRefs = 1 << 17

// MaxRefsSize is how many bytes a side's references have at most, in all of its TypeRefs frames.
const MaxRefsSize = 32 << 20

// maxRefLine is how long a line of a TypeRefs frame can be in bytes.
const maxRefLine = 4096

// Ref is a reference of a side. Its parts are foreign text: without spaces and line ends, otherwise unchecked.
type Ref struct {
	OID    string // full and hexadecimal; all zeros for a HEAD whose branch is not born yet
	Name   string // "HEAD" or full, "refs/heads/main"
	Target string // of a symbolic reference, else ""
}

// AppendRefs appends to b lines `oid SP name [SP target] LF` of as many of refs as fit into one frame, and returns the
// others. A reference that no line can hold is left out.
func AppendRefs(b []byte, refs []Ref) (body []byte, rest []Ref) {
	start := len(b)
	for i, r := range refs {
		line := r.OID + " " + r.Name
		if r.Target != "" {
			line += " " + r.Target
		}
		if len(line) >= maxRefLine {
			continue
		}
		if len(b)-start+len(line)+1 > MaxBody {
			return b, refs[i:]
		}
		b = append(append(b, line...), '\n')
	}
	return b, nil
}

// CanTell tells whether AppendRefs has a line for a reference.
func CanTell(r Ref) bool {
	return len(r.OID)+len(r.Name)+len(r.Target)+2 < maxRefLine &&
		r.OID != "" && r.Name != "" && !strings.ContainsAny(r.OID+r.Name+r.Target, " \n")
}

// RefsSize is how many bytes references have that are told.
func RefsSize(refs []Ref) (size int) {
	for _, r := range refs {
		size += len(r.OID) + len(r.Name) + 2
		if r.Target != "" {
			size += len(r.Target) + 1
		}
	}
	return size
}

// ParseRefs reads the body of a TypeRefs frame.
func ParseRefs(body []byte) ([]Ref, error) {
	var refs []Ref
	for len(body) > 0 {
		line, rest, ok := bytes.Cut(body, []byte{'\n'})
		fields := strings.Split(string(line), " ")
		if !ok || len(line) >= maxRefLine || len(fields) < 2 || len(fields) > 3 {
			return nil, fmt.Errorf("the peer tells a reference %.80q", line)
		}
		r := Ref{OID: fields[0], Name: fields[1]}
		if len(fields) == 3 {
			if r.Target = fields[2]; r.Target == "" {
				return nil, fmt.Errorf("the peer tells a reference %.80q", line)
			}
		}
		if r.OID == "" || r.Name == "" {
			return nil, fmt.Errorf("the peer tells a reference %.80q", line)
		}
		refs = append(refs, r)
		body = rest
	}
	if len(refs) == 0 {
		return nil, errors.New("the peer tells no reference where some were due")
	}
	return refs, nil
}
