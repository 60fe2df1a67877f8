// Package ref holds what every part of the program means by a reference: its fields, the rules for its name, and how it
// and other foreign text may be shown.
package ref

import "strings"

// Max is how many references a side tells and is told, at most.
const Max = 1 << 20

// MaxName is the longest name of a reference in bytes: no file system has longer paths (PATH_MAX).
const MaxName = 4096

// Branches is what the full name of a branch begins with.
const Branches = "refs/heads/"

// Ref is a reference, as its owner tells it. A peer's is foreign text in every field.
type Ref struct {
	Name   string // "HEAD" or full: "refs/heads/main"
	OID    string // a full object name; "" for an unborn HEAD
	Target string // the full name that a symbolic reference points to, else ""
	Peeled string // the object that an annotated tag peels to, else ""
}

// About is what a person is told of a commit. All of it may be foreign text.
type About struct {
	Subject, Author string
	Date, Age       string // of the author: YYYY-MM-DD, and "2 hours ago"
}

// SnapshotSubject is what the subject of a snapshot of uncommitted work begins with.
const SnapshotSubject = "uncommitted work of "

// IsObjectName reports whether s is a full object name of either format in git's own spelling, lower-case hexadecimal.
// Such a name is safe to show, to suggest and to hand to git. The null object name is none.
func IsObjectName(s string) bool { return isHash(s) && strings.Trim(s, "0") != "" }

func isHash(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// IsName reports whether name may be a reference's full name, by git-check-ref-format(1) and by the rule of git's own
// transports: a name from elsewhere is HEAD or lies under refs/, since anything else could be a file in a git directory.
func IsName(name string) bool {
	if name == "HEAD" {
		return true
	}
	if len(name) > MaxName || !strings.HasPrefix(name, "refs/") || HasControl(name) || strings.ContainsAny(name, " ~^:?*[\\") ||
		strings.Contains(name, "..") || strings.Contains(name, "@{") || strings.HasSuffix(name, ".") {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}

// IsBranch reports whether git takes name, without refs/heads/, for the branch of that name and for nothing else: not
// for an option, a commit, or another branch (git check-ref-format --branch).
func IsBranch(name string) bool {
	return IsName(Branches+name) && name[0] != '-' && name != "@" && name != "HEAD" && !isHash(name)
}
