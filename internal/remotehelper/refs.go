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

// sift returns the listing as git may read it, in ascending order, so that HEAD comes before refs/…, and says on stderr if it left
// out a reference. It works in place: the peer may have a million references.
func sift(l Listing, stderr io.Writer) Listing {
	var bad []string
	isName := func(s string) bool { return l.Format.IsName(s) && ref.IsObjectName(s) }
	l.Refs = slices.DeleteFunc(l.Refs, func(r ref.Ref) bool {
		unborn := r.OID == "" && r.Target != "" // a helper has no way to tell git of it
		good := ref.IsName(r.Name) && (unborn || isName(r.OID)) && (r.Peeled == "" || isName(r.Peeled))
		if !good {
			bad = append(bad, r.Name)
		}
		return !good || unborn
	})
	slices.SortStableFunc(l.Refs, func(a, b ref.Ref) int { return strings.Compare(a.Name, b.Name) })
	l.Refs = slices.CompactFunc(l.Refs, func(a, b ref.Ref) bool {
		if a.Name == b.Name {
			bad = append(bad, b.Name)
		}
		return a.Name == b.Name
	})
	if len(bad) > 0 {
		fmt.Fprintf(stderr, "warning: left out %d of the peer's references, such as %.200q: git takes no such name or value, or it is listed twice\n",
			len(bad), bad[0])
	}
	for i := range l.Refs {
		r := &l.Refs[i]
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
