package branches

import (
	"strings"

	"aig/internal/ref"
)

// Command returns a command line for a POSIX shell that takes the branch and can't lose anything: git refuses if something
// would be overwritten or is not a fast-forward. It returns "" if there is nothing to take, if the class is Unknown, or if
// the branch's name isn't one that git accepts and a terminal shows.
func (h Here) Command(b Branch) string {
	name, isBranch := strings.CutPrefix(b.Name, ref.Branches)
	if b.Name == "HEAD" {
		name = "HEAD"
	} else if !isBranch || !takable(name) {
		return ""
	}
	here := []string{"git"}
	checkedOut := !h.Bare && (b.Name == h.Branch || b.Name == "HEAD")
	elsewhere, inOther := h.Elsewhere[b.Name]
	if inOther && !checkedOut {
		here = append(here, "-C", elsewhere)
	}
	switch class := b.Class(); {
	case class == UpToDate, class == Behind, class == Unknown, inOther && !ref.Printable(elsewhere):
		return ""
	case class == Unrelated, b.Name == "HEAD" && h.Bare:
		return keep(b.Theirs)
	case class == RequiresMerge && (checkedOut || inOther):
		return ref.Shell(append(here, "merge", b.Theirs)...)
	case checkedOut, inOther: // if New, it is unborn here
		return ref.Shell(append(here, "merge", "--ff-only", b.Theirs)...)
	case class == New:
		return ref.Shell("git", "branch", name, b.Theirs)
	case class == FastForward: // not git branch -f, which would go back as well as forward
		return ref.Shell("git", "fetch", ".", b.Theirs+":"+b.Name)
	case h.Bare, h.Branch == "": // there is nowhere to merge, or a detached HEAD, whose commits a switch would leave behind
		return keep(b.Theirs)
	}
	return ref.Shell("git", "switch", name) + " && " + ref.Shell("git", "merge", b.Theirs)
}

// Takes reports whether taking the branch would write the working tree here, so that uncommitted changes matter.
func (h Here) Takes(b Branch) bool {
	if h.Bare || b.Name != h.Branch && b.Name != "HEAD" {
		return false
	}
	switch b.Class() {
	case New, FastForward, RequiresMerge:
		return true
	}
	return false
}

// keep returns a command that gives a commit a branch of its own. The name is ours, and git refuses one that exists.
func keep(commit string) string {
	return ref.Shell("git", "branch", "from-peer-"+commit[:12], commit)
}

// takable reports whether a branch's name may stand in a command: git takes it for this branch and for nothing else, and
// a terminal shows all of it.
func takable(name string) bool {
	return len(name) <= maxShownName && ref.IsBranch(name) && ref.Printable(name)
}
