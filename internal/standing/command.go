package standing

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is the longest branch name in bytes that is put into a command.
const maxName = 255

// Command is a command line for a POSIX shell that takes the branch and can't lose anything: git refuses where something
// would be overwritten or is not a fast-forward. It is "" where there is nothing to take, where the class is Unknown, and
// where the branch's name isn't one that git accepts and a terminal shows.
func (h Here) Command(b Branch) string {
	name, isBranch := strings.CutPrefix(b.Name, branchPrefix)
	if b.Name == "HEAD" {
		name = "HEAD"
	} else if !isBranch || !takable(name) {
		return ""
	}
	checkedOut := !h.Bare && (b.Name == h.Branch || b.Name == "HEAD")
	elsewhere, inOther := h.Elsewhere[b.Name]
	if inOther && !printable(elsewhere) {
		return ""
	}
	switch b.Class() {
	case New:
		switch {
		case checkedOut: // it is unborn
			return shell("git", "merge", "--ff-only", b.Theirs)
		case inOther:
			return shell("git", "-C", elsewhere, "merge", "--ff-only", b.Theirs)
		case b.Name == "HEAD":
			return keep(b.Theirs)
		}
		return shell("git", "branch", name, b.Theirs)
	case FastForward:
		switch {
		case checkedOut:
			return shell("git", "merge", "--ff-only", b.Theirs)
		case inOther:
			return shell("git", "-C", elsewhere, "merge", "--ff-only", b.Theirs)
		case b.Name == "HEAD":
			return keep(b.Theirs)
		}
		// Not git branch -f, which would go back as well as forward.
		return shell("git", "fetch", ".", b.Theirs+":"+b.Name)
	case RequiresMerge:
		switch {
		case checkedOut:
			return shell("git", "merge", b.Theirs)
		case inOther:
			return shell("git", "-C", elsewhere, "merge", b.Theirs)
		case h.Bare || h.Branch == "":
			// There is nowhere to merge, or a detached HEAD, whose commits a switch would leave behind.
			return keep(b.Theirs)
		}
		return shell("git", "switch", name) + " && " + shell("git", "merge", b.Theirs)
	case Unrelated:
		return keep(b.Theirs)
	}
	return ""
}

// Takes tells whether taking the branch would write the working tree here, so that uncommitted changes matter.
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

// keep is a command that gives a commit a branch of its own. The name is ours, and git refuses one that exists.
func keep(commit string) string {
	return shell("git", "branch", "from-peer-"+commit[:12], commit)
}

// takable tells whether a branch's name may stand in a command: git takes it for this branch and for nothing else, and a
// terminal shows all of it.
func takable(name string) bool {
	return validBranch(name) && !isObjectName(name) && printable(name)
}

// validBranch follows git-check-ref-format(1), with --branch.
func validBranch(name string) bool {
	if name == "" || len(name) > maxName || name == "@" || name == "HEAD" || name[0] == '-' {
		return false
	}
	if strings.HasSuffix(name, ".") || strings.Contains(name, "..") || strings.Contains(name, "@{") ||
		strings.ContainsAny(name, " ~^:?*[\\") {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	for i := range len(name) {
		if name[i] < ' ' || name[i] == 0x7f {
			return false
		}
	}
	return true
}

// invisible is what counts as printable and shows nothing (Unicode, Default_Ignorable_Code_Point).
var invisible = []*unicode.RangeTable{unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector}

// printable tells whether a terminal shows every character of s as it is: no control character, none that turns the
// direction of the text or is invisible, nothing that isn't UTF-8.
func printable(s string) bool {
	if s == "" || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) || r == utf8.RuneError || unicode.In(r, invisible...) {
			return false
		}
	}
	return true
}

// shell joins words to a command line for a POSIX shell. All words are printable.
func shell(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = shellQuote(w)
	}
	return strings.Join(quoted, " ")
}

// shellQuote is a word that a POSIX shell takes for exactly s. Inside single quotes nothing is special but the closing
// one (POSIX.1-2017, Shell Command Language, 2.2.2).
func shellQuote(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !isPlain(r) && r != ':' }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// isPlain tells whether a character means nothing to a shell or a terminal, in any place.
func isPlain(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._/+@-", r)
}
