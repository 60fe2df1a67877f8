// Package standing says where a peer stands: how its branches relate to ours, which git command takes each of them
// without losing anything, and which commits came in that nothing points to. It is given the facts, and does no input or
// output but to the writer that it is handed.
//
// # The porcelain format
//
// For scripts, version 1. Every line ends in a line feed and consists of fields with a single space between them. The
// first field is the kind of line. A field is written as it is if it consists of ASCII letters, digits and . _ / + @ -
// only and is not empty and not a single -; else it is quoted as a Go string, in ASCII and with \x20 for a space. So no
// field contains a space, and a line can be split at spaces before anything is unquoted. A single - stands for nothing.
// Object names are full and hexadecimal.
//
//	# aig refs 1
//	ref <class> <ours> <theirs> <only-ours> <only-theirs> <name>
//	why <reason>
//	dirty <path>
//	tip <commit>
//	end
//
// The line that begins with # comes first and names the version. Then there is a ref line for every branch that both
// have or that only the peer has, sorted by name: its class (below), the object name here (- if it is not here) and at
// the peer (- if it gave none that is one), how many commits only ours and only theirs reaches (- - if the class is new,
// unrelated or unknown), and the reference's full name. A peer whose HEAD is detached has a ref line named HEAD, which is
// compared with HEAD here. A why line belongs to the ref line before it, and follows where the class is unknown. So does
// a dirty line, one for each path at which the working tree has uncommitted changes that taking the branch would touch.
// The tip lines name the commits that came in and to which nothing points, newest first. The end line says that nothing
// is left out. Readers pass over kinds of line that they don't know; a new version number means that they can't.
//
// The classes are up-to-date, fast-forward (theirs has commits on top of ours), behind (ours has commits on top of
// theirs), requires-merge (both have some), unrelated (they share no commit), new (it is not here) and unknown.
package standing

import (
	"cmp"
	"encoding/hex"
	"slices"
	"strings"
)

// Ref is a reference as its owner tells it.
type Ref struct {
	Name   string // full: "HEAD", "refs/heads/main"
	OID    string // hexadecimal; "" for an unborn HEAD
	Target string // of a symbolic reference, else ""
}

// Class is how a branch of the peer's stands to ours of the same name.
type Class string

// The classes, as the porcelain format has them.
const (
	UpToDate      Class = "up-to-date"
	FastForward   Class = "fast-forward"
	Behind        Class = "behind"
	RequiresMerge Class = "requires-merge"
	Unrelated     Class = "unrelated"
	New           Class = "new"
	Unknown       Class = "unknown"
)

// Branch is the facts about a branch of the peer's.
type Branch struct {
	Name       string   // full, as the peer tells it: "refs/heads/main", or "HEAD" where the peer's is detached
	Ours       string   // full hexadecimal object name; "" if it is not here
	Theirs     string   // the same of the peer's; any other text counts as none
	OnlyOurs   int      // commits that only ours reaches
	OnlyTheirs int      // commits that only theirs reaches
	Related    bool     // ours and theirs share a commit
	Unknown    string   // why the three before say nothing; "" if they do
	Dirty      []string // paths at which taking it would touch uncommitted changes
}

// Class is what the facts come to.
func (b Branch) Class() Class {
	switch {
	case !isObjectName(b.Theirs):
		return Unknown
	case b.Ours == b.Theirs:
		return UpToDate
	case b.Unknown != "":
		return Unknown
	case b.Ours == "":
		return New
	case !b.Related:
		return Unrelated
	case b.OnlyOurs == 0:
		return FastForward
	case b.OnlyTheirs == 0:
		return Behind
	}
	return RequiresMerge
}

// why is the reason of the class Unknown.
func (b Branch) why() string {
	if !isObjectName(b.Theirs) {
		return "the peer gives no full object name"
	}
	return b.Unknown
}

// Here is what is checked out in our repository, as far as it matters for what can be suggested.
type Here struct {
	Bare      bool              // there is no working tree here
	Branch    string            // full name of the branch that is checked out, unborn or not; "" if HEAD is detached
	Elsewhere map[string]string // the directories of other working trees, by the full name of the branch there
}

// Report is everything that there is to say.
type Report struct {
	Here     Here
	Branches []Branch // as Pair gives them, with the facts filled in
	Tips     []string // commits that came in and to which nothing points; full hexadecimal names, newest first
}

// Pair finds the branches that both have or that only the peer has, sorted by name. Ours and Theirs are filled in, the
// facts are not. A peer's detached HEAD is among them, unless a branch of the peer's stands for the same commit. Where a
// name is told twice, the first counts; references that are no branches don't.
func Pair(ours, theirs []Ref) []Branch {
	here := make(map[string]string)
	for _, r := range ours {
		here[r.Name] = r.OID
	}
	seen := make(map[string]bool)
	tips := make(map[string]bool)
	var detached string
	var branches []Branch
	for _, r := range theirs {
		if seen[r.Name] {
			continue
		}
		seen[r.Name] = true
		switch {
		case r.Name == "HEAD" && r.Target == "":
			detached = r.OID
		case strings.HasPrefix(r.Name, branchPrefix):
			tips[r.OID] = true
			branches = append(branches, Branch{Name: r.Name, Ours: here[r.Name], Theirs: r.OID})
		}
	}
	if detached != "" && !tips[detached] {
		branches = append(branches, Branch{Name: "HEAD", Ours: here["HEAD"], Theirs: detached})
	}
	slices.SortFunc(branches, func(a, b Branch) int { return cmp.Compare(a.Name, b.Name) })
	return branches
}

const branchPrefix = "refs/heads/"

// isObjectName tells whether a text is a full object name of either format, which is safe to show and to suggest.
func isObjectName(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	_, err := hex.DecodeString(s)
	return err == nil && s == strings.ToLower(s)
}
