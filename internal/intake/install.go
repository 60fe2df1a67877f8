package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"aig/internal/git"
)

// Install moves a finished pack into the store or, if its objects are few and small, the objects themselves. It never replaces
// anything. A pack is complete from the moment its index appears; of loose objects, each is by itself.
//
// Several packs can be on their way at once, but they are installed one after the other: a tree in one may name a .gitmodules or
// .gitattributes in another, which can only be checked here. An error that is OfPeer means that git rejects such a file.
//
// When Install returns, what git fetch would make durable is durable, under the user's core.fsync: index-pack syncs packs and their
// indexes, and their directory is synced here. Loose objects, by git's default, are left to the operating system, which may lose
// them in a power failure.
func (in *Incoming) Install() error {
	err := in.why(in.install())
	if errors.Is(err, errSwept) {
		return fmt.Errorf("our store: %w", err)
	}
	return err
}

func (in *Incoming) install() error {
	in.store.unchecked.mu.Lock()
	defer in.store.unchecked.mu.Unlock()
	if err := in.checkSpecial(&in.store.unchecked); err != nil {
		return err
	}
	few, small, err := in.small()
	switch {
	case err != nil:
	case small:
		err = in.installLoose(few)
	default:
		err = in.installPack()
	}
	if err != nil {
		err = fmt.Errorf("our store: %w", err)
	}
	return err
}

func (in *Incoming) installPack() error {
	packDir := filepath.Join(in.store.ObjectDir, "pack")
	if err := in.store.makeDir(packDir); err != nil {
		return err
	}
	moved, err := in.movePack(packDir)
	if err != nil {
		in.takeBack(packDir, moved)
		return err
	}
	return syncDir(packDir)
}

// movePack returns the paths of those files that were not there before, also with an error.
func (in *Incoming) movePack(packDir string) (moved []string, err error) {
	// git finds packs by their .idx, so that comes last.
	for _, ext := range []string{".pack", ".rev", ".idx"} {
		to := filepath.Join(packDir, filepath.Base(in.pack)+ext)
		isNew, err := moveNew(in.pack+ext, to)
		if ext == ".rev" && errors.Is(err, fs.ErrNotExist) {
			continue // pack.writeReverseIndex=false, or an older git
		}
		if err != nil {
			return moved, err
		}
		if isNew {
			moved = append(moved, to)
		}
	}
	return moved, nil
}

// takeBack removes what was moved of a pack without its index, which may have been swept. Nobody else would remove it: a pack
// without its index could be in the making. An index that is there all the same comes from another process with the same pack.
func (in *Incoming) takeBack(packDir string, moved []string) {
	if _, err := os.Lstat(filepath.Join(packDir, filepath.Base(in.pack)+".idx")); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	for _, file := range moved {
		os.Remove(file)
	}
}

// makeDir makes a directory inside the object directory if there is none, with the permissions that git would give it.
func (s *Store) makeDir(dir string) error {
	err := os.Mkdir(dir, 0o777)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil || s.shared == 0 {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	mode := info.Mode().Perm() | s.shared
	if s.exact {
		mode = s.shared
	}
	mode |= mode & 0o444 >> 2 // who may read may enter
	if mode&0o060 != 0 {
		mode |= fs.ModeSetgid
	}
	return os.Chmod(dir, mode)
}

// readShared reads core.sharedRepository: the permissions that are added to those that the umask leaves or, if exact, replace
// them; 0 for none.
func readShared(ctx context.Context, g git.Git) (shared fs.FileMode, exact bool, err error) {
	value, _, err := g.Config(ctx, "core.sharedRepository", "")
	switch value {
	case "group", "1", "true", "yes", "on":
		return 0o660, false, err
	case "all", "world", "everybody", "2":
		return 0o664, false, err
	}
	mode, parseErr := strconv.ParseUint(value, 8, 12)
	if parseErr != nil || mode&0o600 != 0o600 { // "umask", or what git itself refuses
		return 0, false, err
	}
	return fs.FileMode(mode) & 0o666, true, err
}

// moveNew moves a file, but never replaces one: what is in a store stays as it is, and a pack of the same name holds the same
// objects. isNew is true if there was none.
func moveNew(from, to string) (isNew bool, err error) {
	err = os.Link(from, to)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err == nil, err
	}
	// A file system without hard links.
	if _, err := os.Lstat(to); err == nil {
		return false, nil
	}
	if err = os.Rename(from, to); errors.Is(err, syscall.EXDEV) {
		return copyNew(from, to)
	}
	return err == nil, err
}

// copyNew is moveNew where a directory of the store is on another file system. git prune sweeps what an interruption leaves of it.
func copyNew(from, to string) (isNew bool, err error) {
	file, err := os.Open(from)
	if err != nil {
		return false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	beside, err := os.CreateTemp(filepath.Dir(to), "tmp_aig_")
	if err != nil {
		return false, err
	}
	defer os.Remove(beside.Name())
	_, err = io.Copy(beside, file)
	if err = errors.Join(err, beside.Chmod(info.Mode()), beside.Sync(), beside.Close()); err != nil {
		return false, err
	}
	return moveNew(beside.Name(), to)
}

// syncDir makes renames durable. Errors of systems that can't sync a directory (Windows) are ignored.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrInvalid) {
		return err
	}
	return nil
}

// defaultUnpackLimit is git's own default of transfer.unpackLimit (git-config(1)).
const defaultUnpackLimit = 100

// maxLooseBytes is the largest unpacked size of all objects of a pack that are stored loose. git has no such limit; but a loose
// object is whole and deflated anew, so a hundred versions of a large file, a few megabytes as deltas, would become gigabytes and
// take minutes. This much takes a second at most.
const maxLooseBytes = 16 << 20

// unpackLimit returns the number of objects below which a pack is stored loose: fetch.unpackLimit, else transfer.unpackLimit, as for
// git fetch. A negative value doesn't count.
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

// small reports whether the finished pack is to be stored as loose objects. If so, it names all of them, appended delta bases among
// them.
func (in *Incoming) small() (names []string, small bool, err error) {
	if int64(in.Objects()) >= in.store.unpackLimit {
		return nil, false, nil
	}
	c := in.store.Command(in.ctx, in.alone(),
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

// installLoose unpacks the finished pack of the named objects, and moves them into the store.
//
// They are unpacked inside the quarantine, into an object directory that sees the store but not the pack: git writes no object that it
// finds elsewhere. So a delta base that was appended to a thin pack isn't written either.
func (in *Incoming) installLoose(names []string) error {
	dir := filepath.Join(in.dir, "loose")
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	pack, err := os.Open(in.pack + ".pack")
	if err != nil {
		return err
	}
	defer pack.Close()
	c := in.store.Command(in.ctx, in.store.quarantineEnv(dir), "unpack-objects", "-q")
	c.Stdin = pack
	if err := c.Run(); err != nil {
		return err
	}
	var elsewhere strings.Builder
	for _, name := range names {
		err := in.store.moveInto(filepath.Join(in.store.ObjectDir, name[:2]), filepath.Join(dir, name[:2], name[2:]))
		if errors.Is(err, fs.ErrNotExist) {
			elsewhere.WriteString(name + "\n")
		} else if err != nil {
			return err
		}
	}
	// What was not unpacked must be in the store; else it was swept.
	c = in.store.Command(in.ctx, nil, "cat-file", "--batch-check=%(objectname)", "--buffer")
	c.Stdin = strings.NewReader(elsewhere.String())
	err = c.Lines(func(line []byte) error {
		if bytes.HasSuffix(line, []byte(" missing")) {
			return errSwept
		}
		return nil
	})
	if err != nil {
		return err
	}
	return nil
}

// maxMoves is how often a directory is made again that somebody removes.
const maxMoves = 100

// moveInto moves a file into a directory of the object directory, making that if it isn't there. git prune-packed and git gc remove
// such a directory when it is empty, between any two steps of ours.
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
