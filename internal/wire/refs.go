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

// AppendRefs appends to b the lines of as many of refs as fit into one frame, and returns the rest. All must satisfy CanTell.
func AppendRefs(b []byte, refs []ref.Ref) (body []byte, rest []ref.Ref) {
	start := len(b)
	for i, r := range refs {
		line := r.Line() + "\n"
		if len(b)-start+len(line) > MaxBody {
			return b, refs[i:]
		}
		b = append(b, line...)
	}
	return b, nil
}

// CanTell reports whether a line can express the reference.
func CanTell(r ref.Ref) bool {
	line := r.Line()
	back, ok := ref.ParseLine(line)
	return ok && back == r && len(line) < maxRefLine && !strings.Contains(line, "\n")
}

// RefsSize returns how many bytes the lines of refs take.
func RefsSize(refs []ref.Ref) (size int) {
	for _, r := range refs {
		size += len(r.Line() + "\n")
	}
	return size
}

// ParseRefs reads the body of a TypeRefs frame.
func ParseRefs(body []byte) ([]ref.Ref, error) {
	var refs []ref.Ref
	for len(body) > 0 {
		line, rest, ok := bytes.Cut(body, []byte{'\n'})
		r, isRef := ref.ParseLine(string(line))
		if !ok || !isRef || len(line) >= maxRefLine {
			return nil, fmt.Errorf("the peer sent a malformed reference: %.80q", line)
		}
		refs = append(refs, r)
		body = rest
	}
	if len(refs) == 0 {
		return nil, errors.New("the peer sent no references where some were due")
	}
	return refs, nil
}
