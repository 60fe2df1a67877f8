// Package ref holds what every part of the program means by a reference: its fields, the rules for its name, and how it
// and other foreign text may be shown.
package ref

import (
	"errors"
	"fmt"
	"strings"
)

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

// CheckName says what is wrong with a reference's full name, by git-check-ref-format(1) and by the rule of git's own
// transports: a name from elsewhere is HEAD or lies under refs/, since anything else could be a file in a git directory.
func CheckName(name string) error {
	switch {
	case name == "HEAD":
		return nil
	case len(name) > MaxName:
		return fmt.Errorf("a reference's name must not be longer than %d bytes", MaxName)
	case !strings.HasPrefix(name, "refs/"):
		return errors.New("a reference must be HEAD or lie under refs/")
	case HasControl(name):
		return errors.New("a reference's name must not contain control characters")
	case strings.ContainsAny(name, " ~^:?*[\\"):
		return errors.New("a reference's name must not contain spaces or any of ~^:?*[\\")
	case strings.Contains(name, ".."), strings.Contains(name, "@{"):
		return errors.New("a reference's name must not contain .. or @{")
	case strings.HasSuffix(name, "."):
		return errors.New("a reference's name must not end with a full stop")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return errors.New("no part of a reference's name may be empty, begin with a full stop or end with .lock")
		}
	}
	return nil
}

// IsBranch reports whether git takes name, without refs/heads/, for the branch of that name and for nothing else: not
// for an option, a commit, or another branch (git check-ref-format --branch).
func IsBranch(name string) bool {
	return CheckName(Branches+name) == nil && name[0] != '-' && name != "@" && name != "HEAD" && !isHash(name)
}
