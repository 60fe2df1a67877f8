package intake

import (
	"bytes"

	"aig/internal/links"
	"aig/internal/oid"
)

// alone makes git see the quarantine and nothing else. A finished pack has all of its delta bases in it.
func (in *Incoming) alone() []string {
	return []string{"GIT_OBJECT_DIRECTORY=" + in.dir, "GIT_ALTERNATE_OBJECT_DIRECTORIES="}
}

// Kinds calls visit with each object of a finished pack, appended delta bases among them, in the order in which they lie there.
// The name is valid until visit returns.
func (in *Incoming) Kinds(visit func(name []byte, kind links.Kind) error) error {
	name := make([]byte, in.store.Format.Size())
	c := in.store.Command(in.ctx, in.alone(), "cat-file", "--batch-all-objects", "--unordered", "--buffer",
		"--batch-check=%(objectname) %(objecttype)")
	return in.why(c.Lines(func(line []byte) error {
		digits, kind, _ := bytes.Cut(line, []byte(" "))
		if err := in.store.Format.Parse(name, digits); err != nil {
			return err
		}
		return visit(name, links.ParseKind(string(kind)))
	}))
}

// Links is [links.Read] for objects of a finished pack.
func (in *Incoming) Links(names oid.Names, visit func(from int, target []byte, kind links.Kind) error) error {
	return in.why(links.Read(in.ctx, in.store.Repo, in.alone(), names, visit))
}
