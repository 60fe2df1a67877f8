// Package branches compares a peer's branches with ours: how far each is ahead or behind, which git command takes it
// without losing anything, and which commits came in that nothing points to. docs/man/git-aig-sync.1 has the porcelain format.
package branches

import (
	"cmp"
	"slices"
	"strings"

	"aig/internal/ref"
)

// Class is how a branch of the peer's compares with ours of the same name.
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

// Branch holds the facts about a branch of the peer's.
type Branch struct {
	Name       string   // full, as the peer tells it: "refs/heads/main", or "HEAD" where the peer's is detached
	Ours       string   // full hexadecimal object name; "" if it is not here
	Theirs     string   // the same of the peer's; any other text counts as none
	OnlyOurs   int      // commits that only ours reaches
	OnlyTheirs int      // commits that only theirs reaches
	Related    bool     // ours and theirs share a commit
	Same       int      // of OnlyTheirs, those with the same patch as one of OnlyOurs
	Unknown    string   // why the four before say nothing; "" if they do
	Dirty      []string // paths at which taking it would touch uncommitted changes
}

// Class returns the class that follows from the facts.
func (b Branch) Class() Class {
	switch {
	case !ref.IsObjectName(b.Theirs):
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

// why returns the reason for the class Unknown.
func (b Branch) why() string {
	if !ref.IsObjectName(b.Theirs) {
		return "the peer sent no full object name"
	}
	return b.Unknown
}

// Here is what is checked out in our repository, as far as suggestions depend on it.
type Here struct {
	Bare      bool              // there is no working tree here
	Branch    string            // full name of the branch that is checked out, unborn or not; "" if HEAD is detached
	Commit    string            // full hexadecimal name of what HEAD stands for; "" if it is unborn
	Elsewhere map[string]string // the directories of other working trees, by the full name of the branch there
}

// Report is everything that there is to say.
type Report struct {
	Here     Here
	Branches []Branch             // as Pair gives them
	Tips     []string             // commits that came in and that nothing points to; full hexadecimal names, newest first
	About    map[string]ref.About // of Tips and of Branches' Theirs, as far as it is known
	Broken   []string             // such commits of which no branch should be made: their history is incomplete, or git's checks refuse it
}

// Pair finds the branches that both have or that only the peer has, sorted by name. Ours and Theirs are filled in, the
// facts are not. A peer's detached HEAD is among them, unless a branch of the peer's stands for the same commit. Where a
// name is told twice, the first counts; references that are no branches don't.
func Pair(ours, theirs []ref.Ref) []Branch {
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
		case strings.HasPrefix(r.Name, ref.Branches):
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
