package objects

import (
	"bytes"
	"context"
	"slices"
	"strconv"

	"aig/internal/git"
	"aig/internal/oid"
)

// limits bound pieces and the work on them.
type limits struct {
	bytes  int64 // of a piece at most, as its objects lie on the disk, with objectBytes for each
	least  int64 // of a piece, unless all is less; 0 is no bound
	share  int64 // a piece is one part in so many of all, within these two bounds; 0 is as large as it can be
	pieces int64 // about as many at most: beyond, they grow
	named  int   // objects that are looked up by name
	walk   int   // given commits, beyond which no trees are gone through
}

// defaultLimits was chosen on git's own history, 849,014 objects in a pack of 496 MB, and two cores.
//
// Pieces of 8 to 128 MiB all cost the same bytes, within 0.04 %, as the one pack, since delta chains stay together;
// processor time to pack and index was 53 s in one pack, 52 s in 5 of 128 MiB, 53 s in 17 of 32, 59 s in 70 of 8. So the
// size is a matter of what a broken link costs, against how many packs a store gets: git looks through all of them for
// an object, and gc.autoPackLimit is 50. A piece is a thirty-second of all, so that a link that breaks half-way costs
// little more than the other half; from 1 GiB on it is 32 MiB, and from 2 GiB on the pieces grow instead of their
// number. Up to 8 MiB all is one piece, whose deltas are the best.
//
// Going through the trees of 24,656 commits took a second, and brought 169 MB down to 129 and the whole from 27 s of
// processor time to 14. For 8,287 commits it was 49 to 25 MB and 17 to 8 s; for 398, 4.4 to 0.9 MB. For 56,622, most of
// a history, it was 279 to 269 MB only, and 8 s became 11.
var defaultLimits = limits{bytes: 32 << 20, least: 4 << 20, share: 32, pieces: 64, named: 1 << 16, walk: 1 << 15}

// whole is up to how much is one piece.
func (l limits) whole() int64 {
	if l.least == 0 {
		return l.bytes
	}
	return 2 * l.least
}

// piece is how large a piece is where there is so much in all.
func (l limits) piece(total int64) int64 {
	size := l.bytes
	if l.share > 0 {
		size = min(size, max(l.least, total/l.share))
	}
	if total <= l.whole() {
		size = max(size, total)
	}
	return max(size, total/l.pieces)
}

// objectBytes is what an object counts besides its bytes: the work that each makes, however small.
const objectBytes = 64

// Piece is what goes into one pack: complete in itself, or thin only against objects that the peer has.
type Piece struct {
	list  *oid.List
	index []uint32
	hints *hints
	bases []uint32 // positions in list of preferred bases, commits that the peer has
	fresh bool     // see Fresh
}

// NewPiece is a piece of the given positions in list, without hints and bases.
func NewPiece(list *oid.List, index []uint32) Piece { return Piece{list: list, index: index} }

// Len is the number of objects.
func (p Piece) Len() int { return len(p.index) }

// Index is the objects' positions in the list, in the order in which git gets them; to be read only.
func (p Piece) Index() []uint32 { return p.index }

// Thin tells whether the pack may hold deltas against objects that are not in it, but with the peer.
func (p Piece) Thin() bool { return len(p.bases) > 0 }

// WithoutBases is the same objects for a peer that lacks the bases after all: a pack that is complete in itself.
func (p Piece) WithoutBases() Piece {
	p.bases = nil
	return p
}

// Fresh is the same objects in a pack of which nothing is copied from our packs as it lies there: each object is read and
// compressed anew. git looks at nothing that it copies, and may find the wrong bytes by an index that is damaged.
func (p Piece) Fresh() Piece {
	p.fresh = true
	return p
}

// IsFresh tells whether nothing is copied.
func (p Piece) IsFresh() bool { return p.fresh }

// Plan cuts what a peer lacks into pieces. list is all of our objects, ascending; give is the positions, ascending too,
// of those that the peer lacks, so that the rest of list is what it has of ours. Every position is in exactly one piece.
//
// It costs 12 bytes of memory for each object given, of which the pieces keep 8, a bit for each of the list, and at most
// maxPathBytes for paths. An object that cannot be read is no failure here: the piece that it is in fails when it is
// packed.
func Plan(ctx context.Context, repo *git.Repo, list *oid.List, give []uint32) ([]Piece, error) {
	return plan(ctx, repo, list, give, defaultLimits)
}

func plan(ctx context.Context, repo *git.Repo, list *oid.List, give []uint32, max limits) ([]Piece, error) {
	if len(give) == 0 {
		return nil, nil
	}
	p := &planner{repo: repo, max: max, list: list, give: give, given: oid.NewBitmap(list.Len(), give)}
	if err := p.cut(ctx); err != nil {
		return nil, err
	}
	// With nothing in common there are no bases, and the deltas of a packed store are reused as they are.
	if len(give) < list.Len() && len(p.commits) > 0 && len(p.commits) <= max.walk {
		p.walk(ctx)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	pieces := make([]Piece, 0, len(p.ends))
	begin := 0
	for _, end := range p.ends {
		pieces = append(pieces, Piece{list: list, index: p.order[begin:end:end], hints: p.hints, bases: p.bases})
		begin = end
	}
	return pieces, nil
}

// planner is the state of one Plan.
type planner struct {
	repo    *git.Repo
	max     limits
	list    *oid.List
	give    []uint32
	given   oid.Bitmap // give, as a set
	order   []uint32   // give, in the order of the pieces
	ends    []int      // where in order each piece ends
	commits []uint32   // those of give, ascending; more than max.walk of them are not all here
	hints   *hints
	bases   []uint32
}

// cut puts give into the order of the store's packs and cuts it, but keeps delta chains together: an object and all
// that is stored as deltas against it, however far away. So every delta that lies in our packs goes out as it is; cut in
// pack order alone, a quarter of them would have lost their base to another piece and be searched for anew, which made
// forty times the work of it on git's own history.
func (p *planner) cut(ctx context.Context) error {
	f := newChains(len(p.give))
	if len(p.give) <= p.max.named {
		// A few objects are looked up by name: that costs nothing for the rest of a large store.
		err := p.measure(ctx, f, &git.NameLines{Names: oid.Selection{List: p.list, Index: p.give}})
		if err != nil {
			return err
		}
		if f.total <= p.max.whole() {
			p.order, p.ends = f.pieces(p.give, p.max)
			return nil
		}
		f = newChains(len(p.give))
	}
	if err := p.measure(ctx, f, nil); err != nil {
		return err
	}
	p.order, p.ends = f.pieces(p.give, p.max)
	return nil
}

// measure adds give to the chains and finds its commits, from git's answers for the given names, or from its listing of the
// whole store, in pack order, where there are none.
func (p *planner) measure(ctx context.Context, f *chains, names *git.NameLines) error {
	args := []string{"cat-file", "--buffer", "--batch-check=%(objectname) %(objecttype) %(objectsize:disk) %(deltabase)"}
	if names == nil {
		args = append(args, "--batch-all-objects", "--unordered")
	}
	c := p.repo.Command(ctx, nil, args...)
	if names != nil {
		c.Stdin = names
	}
	p.commits = nil
	name := make([]byte, p.list.Format().Size())
	// Its status is no matter: what it has not listed, for whatever reason, is given all the same.
	c.Lines(func(line []byte) error {
		fields := bytes.Fields(line)
		if len(fields) < 4 { // "missing", for one
			return nil
		}
		rank, found := p.rank(name, fields[0])
		size, err := strconv.ParseInt(string(fields[2]), 10, 64)
		if !found || err != nil {
			return nil
		}
		base, found := p.rank(name, fields[3]) // all zeros for none
		if !found {
			base = rank
		}
		if f.add(rank, base, size) && string(fields[1]) == "commit" && len(p.commits) <= p.max.walk {
			p.commits = append(p.commits, p.give[rank])
		}
		return nil
	})
	for rank := range p.give {
		f.add(uint32(rank), uint32(rank), 0)
	}
	slices.Sort(p.commits)
	return ctx.Err()
}

// rank finds an object's place in give; name is room for its binary name.
func (p *planner) rank(name, digits []byte) (rank uint32, found bool) {
	if p.list.Format().Parse(name, digits) != nil {
		return 0, false
	}
	at, found := p.list.Search(name)
	if !found || !p.given.Has(uint32(at)) {
		return 0, false
	}
	if len(p.give) == p.list.Len() {
		return uint32(at), true
	}
	i, found := slices.BinarySearch(p.give, uint32(at))
	return uint32(i), found
}
