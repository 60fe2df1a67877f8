package intake

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Salvage ends a pack that was cut, and returns one, to be finished, of those of its objects that have come whole; nil if there
// are none. What git packs has each delta behind its base, so that all of them are of use.
func (in *Incoming) Salvage(alone bool) (*Incoming, error) {
	in.stdin.Close()
	in.index.Wait()
	in.stdin = nil
	dir := filepath.Join(in.dir, "pack")
	left, _ := fs.Glob(os.DirFS(dir), "tmp_pack_*")
	if len(left) == 0 {
		left, _ = fs.Glob(os.DirFS(dir), "*.pack") // nothing was cut but the word that this is all
	}
	if len(left) == 0 {
		return nil, nil
	}
	cut, err := os.Open(filepath.Join(dir, left[0]))
	if err != nil {
		return nil, err
	}
	defer cut.Close()
	objects, end := in.whole(cut)
	if objects == 0 {
		return nil, nil
	}
	header := in.header.B
	binary.BigEndian.PutUint32(header[8:], objects)
	size := int64(len(header))
	sum := in.store.Format.Hash()
	rest, err := in.store.Receive(in.ctx, int(objects), alone)
	if err != nil {
		return nil, err
	}
	in.store.input.Add(-end - int64(sum.Size())) // it was counted when it came
	pack := io.MultiReader(bytes.NewReader(header[:]), io.NewSectionReader(cut, size, end-size))
	_, err = io.Copy(rest, io.TeeReader(pack, sum))
	if err == nil {
		_, err = rest.Write(sum.Sum(nil))
	}
	if err != nil {
		rest.Discard()
		return nil, err
	}
	return rest, nil
}

// whole returns how many objects at the beginning of the pack are whole, and where the last of them ends.
func (in *Incoming) whole(pack io.ReadSeeker) (objects uint32, end int64) {
	r := bufio.NewReader(pack) // zlib takes no more than it needs of what gives single bytes
	if _, err := io.CopyN(io.Discard, r, int64(len(in.header.B))); err != nil {
		return 0, 0
	}
	var z io.ReadCloser
	buf := make([]byte, 32<<10)
	for ; objects < in.Objects(); objects++ {
		err := skipHeader(r, in.store.Format.Size())
		if err == nil && z == nil {
			z, err = zlib.NewReader(r)
		} else if err == nil {
			err = z.(zlib.Resetter).Reset(r, nil)
		}
		if err == nil {
			_, err = io.CopyBuffer(discard{in.ctx}, z, buf) // a small pack can become many gigabytes
		}
		if err != nil {
			break
		}
		read, err := pack.Seek(0, io.SeekCurrent)
		if err != nil {
			break
		}
		end = read - int64(r.Buffered())
	}
	return objects, end
}

// discard takes what is written to it, as long as its context lasts.
type discard struct{ ctx context.Context }

func (d discard) Write(p []byte) (int, error) { return len(p), d.ctx.Err() }

// skipHeader reads what is before the deflated data of an object (gitformat-pack(5), "Pack entry"), whose names have so many bytes.
func skipHeader(r *bufio.Reader, size int) error {
	first, err := r.ReadByte()
	const more = 0x80 // another byte of the number follows
	skipNumber := func(c byte) {
		for err == nil && c&more != 0 {
			c, err = r.ReadByte()
		}
	}
	skipNumber(first)
	switch first >> 4 & 7 {
	case 6: // a delta, of what is so many bytes before
		skipNumber(more)
	case 7: // a delta, of what has this name
		_, err = io.CopyN(io.Discard, r, int64(size))
	}
	return err
}
