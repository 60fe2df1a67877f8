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
	"slices"
)

// Salvage ends a pack that was cut, and returns another, to be finished, of those of its objects that were received whole; nil if
// there are none. git packs each delta behind its base, so all of them can be used.
func (in *Incoming) Salvage(alone bool) (*Incoming, error) {
	in.stdin.Close()
	in.index.Wait()
	in.stdin = nil
	dir := filepath.Join(in.dir, "pack")
	left, _ := fs.Glob(os.DirFS(dir), "tmp_pack_*")
	if len(left) == 0 {
		left, _ = fs.Glob(os.DirFS(dir), "*.pack") // the pack is complete; only the message that ends it is missing
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
	header := binary.BigEndian.AppendUint32(slices.Clone(in.header[:8]), objects)
	sum := in.store.Format.Hash()
	rest, err := in.store.Receive(in.ctx, int(objects), alone)
	if err != nil {
		return nil, err
	}
	in.store.input.Add(-end - int64(sum.Size())) // it was counted when it was received
	pack := io.MultiReader(bytes.NewReader(header), io.NewSectionReader(cut, headerSize, end-headerSize))
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
	r := bufio.NewReader(pack) // an io.ByteReader, so zlib reads no further than it must
	if _, err := io.CopyN(io.Discard, r, headerSize); err != nil {
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
			_, err = io.CopyBuffer(discard{in.ctx}, z, buf) // a small pack can inflate to many gigabytes
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

// discard drops what is written to it, and fails once its context has ended.
type discard struct{ ctx context.Context }

func (d discard) Write(p []byte) (int, error) { return len(p), d.ctx.Err() }

// skipHeader skips what precedes an object's deflated data (gitformat-pack(5), "Pack entry"). size is that of an object name, in bytes.
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
	case 6: // OBJ_OFS_DELTA: the distance to the base
		skipNumber(more)
	case 7: // OBJ_REF_DELTA: the name of the base
		_, err = io.CopyN(io.Discard, r, int64(size))
	}
	return err
}
