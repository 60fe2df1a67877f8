package gitstore

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// defaultUnpackLimit is git's own default of transfer.unpackLimit (git-config(1)).
const defaultUnpackLimit = 100

// maxLooseBytes is how large, unpacked, the objects of a pack may be altogether to be stored loose. git has no such
// limit; but a loose object is whole and deflated anew, so that a hundred versions of a large file, a few megabytes as
// deltas, become gigabytes of loose objects and minutes of work. This much takes a second at most.
const maxLooseBytes = 16 << 20

// unpackLimit reads below how many objects a pack is stored loose: fetch.unpackLimit, else transfer.unpackLimit, as for
// git fetch. A negative one counts as none.
func unpackLimit(ctx context.Context, g Git) (int64, error) {
	for _, key := range []string{"fetch.unpackLimit", "transfer.unpackLimit"} {
		v, ok, err := g.Config(ctx, key, "int")
		if err != nil {
			return 0, err
		}
		if n, err := strconv.ParseInt(v, 10, 64); ok && err == nil && n >= 0 {
			return n, nil
		}
	}
	return defaultUnpackLimit, nil
}

// small tells whether the finished pack is to be stored as loose objects.
func (in *Incoming) small() (bool, error) {
	if int64(in.Objects()) >= in.store.unpackLimit {
		return false, nil
	}
	c := in.store.git.command(in.ctx, []string{"GIT_OBJECT_DIRECTORY=" + in.dir, "GIT_ALTERNATE_OBJECT_DIRECTORIES="},
		"cat-file", "--batch-all-objects", "--batch-check=%(objectsize)", "--buffer")
	out, err := c.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := c.Start(); err != nil {
		return false, c.explain(err)
	}
	var total uint64
	var parseErr error
	sizes := bufio.NewScanner(out)
	for parseErr == nil && total <= maxLooseBytes && sizes.Scan() {
		var size uint64
		if size, parseErr = strconv.ParseUint(sizes.Text(), 10, 63); parseErr == nil {
			total += size
		}
	}
	if parseErr != nil || total > maxLooseBytes {
		out.Close()
		c.Wait() // it died of the pipe that was closed on it
		return false, parseErr
	}
	if err := c.Wait(); err != nil {
		return false, c.explain(err)
	}
	return true, sizes.Err()
}

// installLoose unpacks the finished pack into loose objects, and moves them into the store.
//
// They are written in the quarantine as well, in an object directory of their own that sees the store and not the pack:
// git writes no object that it finds elsewhere. So a delta base that was appended to a thin pack is not written either.
func (in *Incoming) installLoose() error {
	dir := filepath.Join(in.dir, "loose")
	if err := os.Mkdir(dir, 0o777); err != nil {
		return fmt.Errorf("our store: %w", err)
	}
	pack, err := os.Open(in.pack + ".pack")
	if err != nil {
		return fmt.Errorf("our store: %w", err)
	}
	defer pack.Close()
	c := in.store.git.command(in.ctx, in.store.quarantineEnv(dir), "unpack-objects", "-q")
	c.Stdin = pack
	if err := c.run(); err != nil {
		return fmt.Errorf("our store: %w", err)
	}
	dirs, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("our store: %w", err)
	}
	for _, d := range dirs {
		// "pack" and "info" are none of it.
		if _, err := hex.DecodeString(d.Name()); err != nil {
			continue
		}
		if err := in.store.moveLoose(filepath.Join(dir, d.Name()), filepath.Join(in.store.objectDir, d.Name())); err != nil {
			return fmt.Errorf("our store: %w", err)
		}
	}
	return nil
}

// moveLoose moves the loose objects that share the first two digits of their names.
func (s *Store) moveLoose(from, to string) error {
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, file := range files {
		// A file under another name than an object's, git's own tmp_obj_*, was never finished.
		if _, err := hex.DecodeString(file.Name()); err != nil {
			continue
		}
		if err := s.moveInto(to, filepath.Join(from, file.Name())); err != nil {
			return err
		}
	}
	return nil
}

// maxMoves is how often a directory is made again. Whoever removes it has to look for it each time.
const maxMoves = 100

// moveInto moves a file into a directory of the object directory, which is made if it is not there. git removes such a
// directory when it is empty (git prune-packed, git gc), between any two steps of ours.
func (s *Store) moveInto(dir, from string) error {
	for try := 1; ; try++ {
		err := s.makeDir(dir)
		if err == nil {
			err = moveNew(from, filepath.Join(dir, filepath.Base(from)))
		}
		if !errors.Is(err, fs.ErrNotExist) || try == maxMoves {
			return err
		}
		if _, err := os.Lstat(from); err != nil {
			return err
		}
	}
}
