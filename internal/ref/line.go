package ref

import "strings"

// The words of a line.
const (
	unborn       = "unborn"
	symrefTarget = "symref-target:"
	peeled       = "peeled:"
)

// Line returns the reference as a line of git's answer to ls-refs (gitprotocol-v2(5)), without the line feed.
func (r Ref) Line() string {
	line := r.OID
	if line == "" {
		line = unborn
	}
	line += " " + r.Name
	if r.Target != "" {
		line += " " + symrefTarget + r.Target
	}
	if r.Peeled != "" {
		line += " " + peeled + r.Peeled
	}
	return line
}

// ParseLine reads such a line; ok is false if it is none. Attributes other than ours are ignored.
func ParseLine(line string) (r Ref, ok bool) {
	fields := strings.Split(line, " ")
	if len(fields) < 2 || fields[0] == "" || fields[1] == "" {
		return r, false
	}
	r.Name = fields[1]
	if fields[0] != unborn {
		r.OID = fields[0]
	}
	for _, attribute := range fields[2:] {
		if target, ok := strings.CutPrefix(attribute, symrefTarget); ok {
			r.Target = target
		} else if oid, ok := strings.CutPrefix(attribute, peeled); ok {
			r.Peeled = oid
		}
	}
	return r, true
}
