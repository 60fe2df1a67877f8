package objects

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strconv"

	"aig/internal/git"
	"aig/internal/links"
	"aig/internal/oid"
)

// limits bounds the pieces and the work on them.
type limits struct {
	bytes  int64 // of a piece at most, counting what its objects take on disk and objectBytes for each
	least  int64 // of a piece; up to twice that, everything is one piece
	share  int64 // how many pieces to make of everything, within these two bounds
	pieces int64 // about how many at most; beyond that, they grow
	named  int   // up to how many objects are looked up by name
	hinted int   // up to how many given commits are asked for the paths that they change
}

// defaultLimits was chosen on git's own history, 849,014 objects in a pack of 496 MB, and two cores.
//
// Pieces of 8 to 128 MiB all cost the same bytes, within 0.04 %, as one pack, since delta chains stay together; processor
// time to pack and index was 53 s in one pack, 52 s in 5 of 128 MiB, 53 s in 17 of 32, 59 s in 70 of 8. So the size trades
// what is lost if a run ends without time to save what it has received against how many packs a store gets: git searches
// all of them for an object, and gc.autoPackLimit is 50. A piece is a thirty-second of the whole, so that a run that is
// killed half-way costs little more than the other half; from 1 GiB on it is 32 MiB, and from 2 GiB on the pieces grow
// instead of their number. Up to 8 MiB everything is one piece, which has the best deltas.
//
// Hints for 24,656 commits cut 169 MB to 129 and the processor time of the whole from 27 s to 14; git takes two to three seconds
// to say what so many change. For 8,287 commits it was 49 to 25 MB and 17 to 8 s; for 398, 4.4 to 0.9 MB. For 56,622, most of a history, it was
// only 279 to 269 MB, and 8 s became 11.
var defaultLimits = limits{bytes: 32 << 20, least: 4 << 20, share: 32, pieces: 64, named: 1 << 16, hinted: 1 << 15}

// piece returns how large a piece is, given the size of everything.
func (l limits) piece(total int64) int64 {
	if total <= 2*l.least {
		return total
	}
	return max(min(l.bytes, max(l.least, total/l.share)), total/l.pieces)
}

// objectBytes is added to each object's size: even a small one takes work.
const objectBytes = 64

// Piece is what goes into one pack: self-contained, or thin against objects that the peer has. Pieces share their lists, so
// nobody changes them.
type Piece struct {
	Index []uint32 // positions in the list, in the order in which git gets them
	Bases []uint32 // positions of commits that the peer has: the pack may have deltas against what is behind them
	Fresh bool     // copy nothing from our packs: git doesn't check what it copies, and a damaged index can lead it to the wrong bytes
	Large bool     // one delta chain, or object, of more than a piece's size; another run on the same store makes the same pack of it
	list  *oid.List
	hints *hints
}

// NewPiece returns a piece of the given positions in list, with neither hints nor bases.
func NewPiece(list *oid.List, index []uint32) Piece { return Piece{Index: index, list: list} }

// Len returns the number of objects.
func (p Piece) Len() int { return len(p.Index) }

// Plan cuts what a peer lacks into pieces. list is all of our objects, ascending; give is the positions of those to give, ascending
// too. Every position of give ends up in exactly one piece.
//
// It takes some 18 bytes of memory for each object given, of which the pieces keep 8, a bit for each object of the list, and at most
// maxPathBytes for paths. An object that can't be read is no error here, but when its piece is packed.
func Plan(ctx context.Context, repo *git.Repo, list *oid.List, give []uint32) ([]Piece, error) {
	return plan(ctx, repo, list, give, defaultLimits)
}

func plan(ctx context.Context, repo *git.Repo, list *oid.List, give []uint32, max limits) ([]Piece, error) {
	if len(give) == 0 {
		return nil, nil
	}
	p := &planner{repo: repo, max: max, list: list, give: give, given: oid.NewBitmap(list.Len(), give)}
	p.cut(ctx)
	if len(p.commits) > 0 && len(p.commits) <= max.hinted {
		p.hint(ctx)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var pieces, large []Piece
	begin := 0
	for i, end := range p.ends {
		piece := Piece{Index: p.order[begin:end:end], Bases: p.bases, Large: p.large[i], list: list, hints: p.hints}
		if piece.Large {
			large = append(large, piece)
		} else {
			pieces = append(pieces, piece)
		}
		begin = end
	}
	return append(pieces, large...), nil // over a bad link, the many small objects should arrive first
}

// planner is the state of one Plan.
type planner struct {
	repo    *git.Repo
	max     limits
	list    *oid.List
	give    []uint32
	given   oid.Bitmap   // give, as a set
	order   []uint32     // give, in the order of the pieces
	ends    []int        // where in order each piece ends
	large   map[int]bool // the pieces that are Large
	commits []uint32     // those of give, ascending; only the first of them if they are more than max.hinted
	hints   *hints
	bases   []uint32 // positions in list of the first boundary commits, newest first
}

// cut puts give into the order of the store's packs and cuts it, keeping delta chains together, so that every delta in our packs
// goes out as it is. Cut in pack order alone, a quarter of them would lose their base to another piece and be computed anew: forty
// times the work on git's own history.
func (p *planner) cut(ctx context.Context) {
	var f *chains
	few := len(p.give) <= p.max.named
	if few { // looked up by name, which doesn't cost a pass over a large store
		f = p.measure(ctx, git.NameLines(oid.Selection{List: p.list, Index: p.give}, 0))
	}
	if !few || f.total > 2*p.max.least {
		f = p.measure(ctx, nil, "--batch-all-objects", "--unordered")
	}
	p.findCommits(ctx, f)
	p.order, p.ends, p.large = f.pieces(p.give, p.max)
}

// measure returns the chains of give. It asks git for the given names or, by options, for the whole store in
// pack order. It doesn't ask for types here: git would walk a whole delta chain for each of its objects.
func (p *planner) measure(ctx context.Context, names io.Reader, options ...string) *chains {
	f := newChains(len(p.give))
	args := []string{"cat-file", "--buffer", "--batch-check=%(objectname) %(objectsize:disk) %(deltabase)"}
	c := p.repo.Command(ctx, nil, append(args, options...)...)
	c.Stdin = names
	name := make([]byte, p.list.Format().Size())
	// git's status doesn't matter: what it has not listed, for whatever reason, is given all the same.
	c.Lines(func(line []byte) error {
		digits, rest, _ := bytes.Cut(line, []byte(" "))
		onDisk, base, _ := bytes.Cut(rest, []byte(" "))
		rank, found := p.rank(name, digits)
		size, err := strconv.ParseInt(string(onDisk), 10, 64)
		if !found || err != nil { // "missing", for one
			return nil
		}
		baseRank, found := p.rank(name, base) // all zeros for none
		if !found {
			baseRank = rank
		}
		f.add(rank, baseRank, size)
		return nil
	})
	for rank := range p.give {
		f.add(uint32(rank), uint32(rank), 0)
	}
	return f
}

// findCommits finds the commits of give, up to one more than get hints.
func (p *planner) findCommits(ctx context.Context, f *chains) {
	if len(p.give) == p.list.Len() {
		return // with nothing in common there are no bases, and packed deltas are reused anyway
	}
	kinds, err := links.ChainKinds(ctx, p.repo, nil, oid.Selection{List: p.list, Index: p.give}, f.parent)
	if err != nil {
		return // a damaged store has no hints
	}
	for rank, at := range p.give {
		if kinds[rank] == links.Commit {
			if p.commits = append(p.commits, at); len(p.commits) > p.max.hinted {
				break
			}
		}
	}
}

// rank returns an object's place in give. name is scratch space for a binary name.
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
