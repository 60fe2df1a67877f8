package objects

import (
	"bufio"
	"context"
	"encoding/hex"
	"io"

	"aig/internal/git"
)

// Pack writes one pack of the piece's objects to w, and flushes it if it is whole. It returns w's own errors as they are. Any other error means that an
// object, or one that a base needs, is missing or corrupt, or that git could not run; the pack that w has got is then cut short.
//
// With bases, git silently leaves out what is in the tree of one, since the peer should have it. A partial peer may lack it; it then
// refuses the pack, which has fewer objects than its end says.
func Pack(ctx context.Context, repo *git.Repo, p Piece, w *bufio.Writer) error {
	// git gets a list of names and walks nothing, so shallow and partial stores pack like any other. Never --thin: git would take
	// the names for revisions to walk, and pack something else.
	args := []string{"pack-objects", "--stdout", "--delta-base-offset", "-q"}
	if p.Fresh {
		args = append(args, "--no-reuse-object")
	}
	c := repo.Command(ctx, nil, args...)
	c.Stdin = p.lines()
	out, err := c.StdoutPipe() // c.Stdout would be cut off soon after git has ended, however slowly w takes the rest
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(w, out)
	out.Close() // if w has failed, git dies of it
	if ended := c.Wait(); err == nil {
		err = ended
	}
	if err == nil {
		err = w.Flush()
	}
	return err
}

// lines returns the list that git pack-objects reads, documented only in its source: first "-<commit>" for each preferred base,
// then "<name> <path>". Every line begins with a name that we chose, so a path without a line feed can at worst be a bad hint.
func (p Piece) lines() io.Reader {
	bases, names := 0, 0
	return git.LineReader(func(line []byte) ([]byte, error) {
		switch {
		case bases < len(p.Bases):
			line = hex.AppendEncode(append(line, '-'), p.list.At(int(p.Bases[bases])))
			bases++
		case names < len(p.Index):
			line = hex.AppendEncode(line, p.list.At(int(p.Index[names])))
			if path, known := p.hints.of(p.Index[names]); known {
				line = append(append(line, ' '), path...)
			}
			names++
		default:
			return nil, io.EOF
		}
		return append(line, '\n'), nil
	})
}
