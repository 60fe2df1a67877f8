package remotehelper

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"aig/internal/oid"
	"aig/internal/ref"
)

// Listing is the peer's references, in any order. Nothing in it is trusted: Serve checks each before git reads it.
type Listing struct {
	Format oid.Format
	Refs   []ref.Ref
}

// maxWarnings bounds how many lines a peer with many bad names can write on the user's terminal.
const maxWarnings = 8

// sift returns the listing as git may read it, in ascending order, so that HEAD comes before refs/…, and says on stderr what it left
// out. It works in place: the peer may have a million references.
func sift(l Listing, stderr io.Writer) Listing {
	warn := warner{w: stderr}
	defer warn.rest()

	isName := func(s string) bool { return l.Format.IsName(s) && ref.IsObjectName(s) }
	l.Refs = slices.DeleteFunc(l.Refs, func(r ref.Ref) bool {
		if err := ref.CheckName(r.Name); err != nil {
			warn.say("left out a reference of the peer's, %.200q: %v", r.Name, err)
			return true
		}
		if r.OID == "" && r.Target != "" {
			return true // an unborn branch: a helper has no way to tell git of it
		}
		if !isName(r.OID) {
			warn.say("left out a reference of the peer's, %.200q: %.80q is not a %s object name", r.Name, r.OID, l.Format)
			return true
		}
		return false
	})
	slices.SortStableFunc(l.Refs, func(a, b ref.Ref) int { return strings.Compare(a.Name, b.Name) })
	l.Refs = slices.CompactFunc(l.Refs, func(a, b ref.Ref) bool {
		if a.Name == b.Name {
			warn.say("left out a reference of the peer's, %.200q: it is listed twice", b.Name)
		}
		return a.Name == b.Name
	})
	for i := range l.Refs {
		r := &l.Refs[i]
		if r.Peeled != "" && !isName(r.Peeled) {
			warn.say("the peer's %.200q points to %.80q, which is not a %s object name", r.Name, r.Peeled, l.Format)
			r.Peeled = ""
		}
		// git takes a symbolic reference's value from its target's line, which must hold an object name. So a target that isn't
		// listed (hidden, left out), is symbolic itself or has another value makes this one a plain reference.
		at, listed := slices.BinarySearchFunc(l.Refs, r.Target, func(r ref.Ref, name string) int { return strings.Compare(r.Name, name) })
		if !listed || l.Refs[at].Target != "" || l.Refs[at].OID != r.OID {
			r.Target = ""
		}
	}
	return l
}

// write answers "list" with a sifted listing.
func (l Listing) write(w *bufio.Writer, withFormat bool) {
	if withFormat {
		fmt.Fprintf(w, ":object-format %s\n", l.Format)
	}
	for _, r := range l.Refs {
		if r.Target != "" {
			fmt.Fprintf(w, "@%s %s\n", r.Target, r.Name)
		} else {
			fmt.Fprintf(w, "%s %s\n", r.OID, r.Name)
		}
		if r.Peeled != "" {
			fmt.Fprintf(w, "%s %s^{}\n", r.Peeled, r.Name)
		}
	}
	fmt.Fprintln(w)
}

// warner writes at most maxWarnings warnings, and then how many more there were.
type warner struct {
	w io.Writer
	n int
}

func (w *warner) say(format string, a ...any) {
	if w.n++; w.n <= maxWarnings {
		fmt.Fprintf(w.w, "warning: "+format+"\n", a...)
	}
}

func (w *warner) rest() {
	if w.n > maxWarnings {
		fmt.Fprintf(w.w, "warning: and %d more of this kind\n", w.n-maxWarnings)
	}
}
