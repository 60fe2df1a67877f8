package intake

import (
	"fmt"

	"aig/internal/links"
	"aig/internal/oid"
)

// alone returns the environment in which git sees the quarantine and nothing else. A finished pack contains all of its delta bases.
func (in *Incoming) alone() []string {
	return []string{"GIT_OBJECT_DIRECTORY=" + in.dir, "GIT_ALTERNATE_OBJECT_DIRECTORIES="}
}

// Links is [links.Read] for objects of a finished pack. An object that git can't read is the pack's fault.
func (in *Incoming) Links(names oid.Names, visit func(from int, target []byte, kind links.Kind) error) error {
	unread, err := links.Read(in.ctx, in.store.Repo, in.alone(), names, visit)
	if err == nil && unread > 0 {
		err = &PackError{Text: fmt.Sprintf("git can't read %d of its objects", unread)}
	}
	return in.why(err)
}
