package session

import (
	"context"
	"encoding/hex"
	"fmt"
	"sync"

	"aig/internal/intake"
	"aig/internal/links"
	"aig/internal/objects"
	"aig/internal/oid"
)

// linkCheck checks that the objects named by commits, trees and tags are of the types that these say, since git index-pack looks
// at each object on its own. A commit whose tree is a blob would make git gc and git prune die, and git fsck call the blob corrupt.
// A missing object is no error, as stores may be partial; so linkCheck remembers what links say of objects still to come.
type linkCheck struct {
	s      *session
	looked func() error // lookAtOurs, at its first call; nothing else may use what follows before it has returned

	claimed []links.Kind          // what links say of each announced object, by its place in want
	parents oid.Bitmap            // places of the parents of commits that have come
	absent  map[uint64]links.Kind // what links say of objects that neither side is known to have, by short name; maxAbsent at most
	lacking bool                  // something that has come names such an object
}

// maxClaims bounds the claims of one pack: some 100 MiB. A pack with more is refused, and sent again in halves.
const maxClaims = 1 << 20

// maxAbsent bounds the absent objects of which we remember what links say: some 40 MiB. Partial clones have many.
const maxAbsent = 1 << 21

// maxPointing bounds how many objects of our own store are searched for links.
const maxPointing = 1 << 16

func newLinkCheck(s *session) *linkCheck {
	n := len(s.want.short)
	l := &linkCheck{s: s, claimed: make([]links.Kind, n), parents: oid.NewBitmap(n, nil), absent: make(map[uint64]links.Kind)}
	l.looked = sync.OnceValue(func() error { return l.lookAtOurs(s.outer) })
	return l
}

// claim is what a link says: that its target is of a kind.
type claim struct {
	of   target
	at   uint64 // the place in want, the position in our list, or the short name, in the order of the targets below
	kind links.Kind
}

type target uint8

const (
	coming  target = iota // announced by the peer
	ours                  // in our store since before
	nowhere               // neither
)

// contents is what one pack holds and says.
type contents struct {
	places   []uint32  // of its objects, in want
	pointing *oid.List // the commits, trees and tags among them
	commit   []bool    // of pointing: whether it is one

	claims  map[claim][]byte // each with the first object that makes it
	parents []uint32         // places of the announced parents of its commits
}

func newContents(format oid.Format) *contents {
	return &contents{pointing: oid.NewList(format), claims: make(map[claim][]byte)}
}

// add adds an announced object.
func (p *contents) add(place uint32, name []byte, kind links.Kind) {
	p.places = append(p.places, place)
	if kind != links.Blob {
		p.pointing.Append(name)
		p.commit = append(p.commit, kind == links.Commit)
	}
}

// check returns a *intake.PackError if an object of the pack contradicts a link, or one link another: git takes an object for
// what the first link says. Otherwise it notes what the pack says, for the packs to come. The pack must have passed all other checks.
// The caller holds the inbox's mutex.
func (l *linkCheck) check(p *contents) error {
	for _, place := range p.places {
		is := l.s.want.is[place]
		if wrong := l.claimed[place] &^ is; wrong != 0 {
			return bad(l.s.want.name(place), "it is a %s, but an object here calls it a %s: git fsck names that one, and git gc --prune=now "+
				"drops it if nothing needs it", is, wrong)
		}
	}
	for c, from := range p.claims {
		is, said := l.said(c)
		if is == 0 {
			is = p.claimedBesides(c)
		}
		if is != 0 && is != c.kind {
			return bad(from, "it calls a %s a %s", is, c.kind)
		}
		if said&^c.kind != 0 {
			return bad(from, "it calls a %s what an object here calls a %s: git fsck names that one, and git gc --prune=now drops it if "+
				"nothing needs it", c.kind, said&^c.kind)
		}
	}
	for c := range p.claims {
		l.note(c)
		l.lacking = l.lacking || c.of == nowhere
	}
	for _, place := range p.parents {
		l.parents.Add(place)
	}
	return nil
}

// said returns what the target of a claim is, if known, and what other packs have claimed of it.
func (l *linkCheck) said(c claim) (is, said links.Kind) {
	switch c.of {
	case coming:
		return l.s.want.is[c.at] &^ leftOut, l.claimed[c.at]
	case nowhere:
		return 0, l.absent[c.at]
	}
	return 0, 0
}

// claimedBesides returns another kind that the pack itself claims of the same target, or 0; nothing can be both.
func (p *contents) claimedBesides(c claim) links.Kind {
	for kind := links.Commit; kind <= links.Tag; kind <<= 1 {
		if _, also := p.claims[claim{c.of, c.at, kind}]; also && kind != c.kind {
			return kind
		}
	}
	return 0
}

// heads returns the full hexadecimal names of the commits that have come and are not the parent of another one.
func (l *linkCheck) heads() (names []string) {
	for i, kind := range l.s.want.is {
		if place := uint32(i); kind == links.Commit && !l.parents.Has(place) {
			names = append(names, hex.EncodeToString(l.s.want.name(place)))
		}
	}
	return names
}

func (l *linkCheck) note(c claim) {
	switch c.of {
	case coming:
		l.claimed[c.at] |= c.kind
	case nowhere:
		if _, known := l.absent[c.at]; known || len(l.absent) < maxAbsent {
			l.absent[c.at] |= c.kind
		}
	}
}

func bad(name []byte, format string, args ...any) error {
	return &intake.PackError{Object: hex.EncodeToString(name), Text: fmt.Sprintf(format, args...)}
}

// read reads the links of a pack.
func (l *linkCheck) read(pack *intake.Incoming, p *contents) error {
	if err := l.looked(); err != nil {
		return err
	}
	if p.pointing.Len() == 0 {
		return nil
	}
	return pack.Links(p.pointing, l.sorter(func(from int, c claim) error {
		if p.commit[from] && c.of == coming && c.kind == links.Commit {
			p.parents = append(p.parents, uint32(c.at))
		}
		if _, made := p.claims[c]; !made {
			p.claims[c] = p.pointing.At(from)
		}
		if len(p.claims) > maxClaims {
			return lie("its objects name more than %d others", maxClaims)
		}
		return nil
	}))
}

// lookAtOurs notes what objects of our own store say of objects that aren't here. What references reach is complete; objects
// that name missing ones came by themselves, and lie loose or in a small pack.
func (l *linkCheck) lookAtOurs(ctx context.Context) error {
	if l.s.local.Len() == 0 {
		return nil
	}
	names, err := objects.Pointing(ctx, l.s.o.Store.Repo, maxPointing)
	if err != nil {
		return err
	}
	_, err = links.Read(ctx, l.s.o.Store.Repo, nil, names, l.sorter(func(_ int, c claim) error {
		l.note(c)
		return nil
	}))
	return err
}

// sorter returns a visitor of links that turns each into a claim.
func (l *linkCheck) sorter(tell func(from int, c claim) error) func(from int, target []byte, kind links.Kind) error {
	return func(from int, target []byte, kind links.Kind) error {
		short := l.s.key.Short(target)
		if place, announced := l.s.want.search(short); announced {
			return tell(from, claim{coming, uint64(place), kind})
		} else if at, found := l.s.local.Search(target); found {
			return tell(from, claim{ours, uint64(at), kind})
		}
		return tell(from, claim{nowhere, short, kind})
	}
}

// compareWithOurs compares the claims on objects that we had before with what these are.
func (l *linkCheck) compareWithOurs(ctx context.Context, p *contents) error {
	var claims []claim
	var at []uint32
	for c := range p.claims {
		if c.of == ours {
			claims, at = append(claims, c), append(at, uint32(c.at))
		}
	}
	if len(claims) == 0 {
		return nil
	}
	kinds, err := links.Kinds(ctx, l.s.o.Store.Repo, oid.Selection{List: l.s.local, Index: at})
	if err != nil {
		return err
	}
	for i, c := range claims {
		if kinds[i] != 0 && kinds[i] != c.kind {
			return bad(p.claims[c], "it calls our %s %x a %s", kinds[i], l.s.local.At(int(c.at)), c.kind)
		}
	}
	return nil
}
