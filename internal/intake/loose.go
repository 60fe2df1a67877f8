package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"aig/internal/git"
)

// defaultUnpackLimit is git's own default of transfer.unpackLimit (git-config(1)).
const defaultUnpackLimit = 100

// maxLooseBytes is how large, unpacked, the objects of a pack may be altogether to be stored loose. git has no such
// limit; but a loose object is whole and deflated anew, so that a hundred versions of a large file, a few megabytes as
// deltas, become gigabytes of loose objects and minutes of work. This much takes a second at most.
const maxLooseBytes = 16 << 20

// unpackLimit reads below how many objects a pack is stored loose: fetch.unpackLimit, else transfer.unpackLimit, as for
// git fetch. A negative one counts as none.
func unpackLimit(ctx context.Context, g git.Git) (int64, error) {
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

// small tells whether the finished pack is to be stored as loose objects, and if so, names all objects in it, appended
// delta bases among them.
func (in *Incoming) small() (names []string, small bool, err error) {
	if int64(in.Objects()) >= in.store.unpackLimit {
		return nil, false, nil
	}
	c := in.store.Command(in.ctx, []string{"GIT_OBJECT_DIRECTORY=" + in.dir, "GIT_ALTERNATE_OBJECT_DIRECTORIES="},
		"cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objectsize)", "--buffer")
	var total uint64
	err = c.Lines(func(line []byte) error {
		name, digits, _ := strings.Cut(string(line), " ")
		size, err := strconv.ParseUint(digits, 10, 63)
		if err != nil {
			return err
		}
		names = append(names, name)
		if total += size; total > maxLooseBytes {
			return errTooLarge
		}
		return nil
	})
	switch {
	case errors.Is(err, errTooLarge):
		return nil, false, nil
	case err == nil && len(names) < int(in.Objects()):
		err = errSwept
	}
	return names, err == nil, err
}

var errTooLarge = errors.New("too large to be stored loose")

// installLoose unpacks the finished pack of the named objects into loose ones, and moves them into the store.
//
// They are written in the quarantine as well, in an object directory of their own that sees the store and not the pack:
// git writes no object that it finds elsewhere. So a delta base that was appended to a thin pack is not written either.
func (in *Incoming) installLoose(names []string) error {
	dir := filepath.Join(in.dir, "loose")
	if err := os.Mkdir(dir, 0o777); err != nil {
		return fmt.Errorf("our store: %w", err)
	}
	pack, err := os.Open(in.pack + ".pack")
	if err != nil {
		return fmt.Errorf("our store: %w", err)
	}
	defer pack.Close()
	c := in.store.Command(in.ctx, in.store.quarantineEnv(dir), "unpack-objects", "-q")
	c.Stdin = pack
	if err := c.Run(); err != nil {
		return fmt.Errorf("our store: %w", err)
	}
	var elsewhere strings.Builder
	for _, name := range names {
		err := in.store.moveInto(filepath.Join(in.store.ObjectDir, name[:2]), filepath.Join(dir, name[:2], name[2:]))
		if errors.Is(err, fs.ErrNotExist) {
			elsewhere.WriteString(name + "\n")
		} else if err != nil {
			return fmt.Errorf("our store: %w", err)
		}
	}
	// What was not unpacked must be in the store, and not be swept.
	c = in.store.Command(in.ctx, nil, "cat-file", "--batch-check=%(objectname)", "--buffer")
	c.Stdin = strings.NewReader(elsewhere.String())
	err = c.Lines(func(line []byte) error {
		if bytes.HasSuffix(line, []byte(" missing")) {
			return errSwept
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("our store: %w", err)
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
			_, err = moveNew(from, filepath.Join(dir, filepath.Base(from)))
		}
		if !errors.Is(err, fs.ErrNotExist) || try == maxMoves {
			return err
		}
		if _, err := os.Lstat(from); err != nil {
			return err
		}
	}
}
