package intake

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"aig/internal/git"
	"aig/internal/links"
	"aig/internal/oid"
)

// Install moves a finished pack into the store or, if its objects are few and small, the objects themselves. It never replaces
// anything. A pack appears as a whole, with its index; loose objects appear one by one.
//
// Several packs can be received at once, but they are installed one after the other: a tree in one may name a .gitmodules or
// .gitattributes in another, which can only be checked here. If git rejects such a file, the error is a *PackError.
//
// When Install returns, what git fetch would make durable under the user's core.fsync is durable: index-pack syncs packs and their
// indexes, and their directory is synced here. Loose objects, by git's default, are left to the operating system, which may lose
// them in a power failure.
func (in *Incoming) Install() error {
	in.store.unchecked.mu.Lock()
	defer in.store.unchecked.mu.Unlock()
	err := in.checkSpecial()
	if err == nil {
		names, small := in.small()
		if !small || in.installLoose(names) != nil { // if anything goes wrong with the loose objects, the pack goes in
			err = in.installPack()
		}
	}
	return in.why(err)
}

func (in *Incoming) installPack() error {
	packDir := filepath.Join(in.store.ObjectDir, "pack")
	if moveDir(filepath.Dir(in.pack), packDir) {
		_, err := os.Lstat(filepath.Join(packDir, filepath.Base(in.pack)+".idx")) // it may have been swept
		return cmp.Or(err, syncDir(in.store.ObjectDir))
	}
	moved, err := in.movePack(packDir)
	if err != nil {
		in.takeBack(packDir, moved)
		return err
	}
	return syncDir(packDir)
}

// movePack returns the paths of the files that were not there before, even if it fails.
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

// takeBack removes what was moved of a pack whose index was not, perhaps because it was swept. Nobody else would: a pack without an
// index may be one that is still being installed. If there is an index all the same, another process has installed the same pack.
func (in *Incoming) takeBack(packDir string, moved []string) {
	if _, err := os.Lstat(filepath.Join(packDir, filepath.Base(in.pack)+".idx")); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	for _, file := range moved {
		os.Remove(file)
	}
}

// moveDir moves a directory of the quarantine, to which git has given the right permissions, into the store, unless it has one of that
// name.
func moveDir(from, to string) bool {
	_, err := os.Lstat(to)
	return errors.Is(err, fs.ErrNotExist) && os.Rename(from, to) == nil
}

// moveNew moves a file, but never replaces one: what is in a store stays as it is, and a pack of the same name holds the same
// objects. isNew is true if there was no file of that name.
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

// copyNew is moveNew to a directory of the store on another file system. git prune sweeps what an interrupted copy leaves behind.
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
	if err = cmp.Or(err, beside.Chmod(info.Mode()), beside.Sync(), beside.Close()); err != nil {
		return false, err
	}
	return moveNew(beside.Name(), to)
}

// syncDir makes renames durable. It ignores the errors of systems that can't sync a directory (Windows).
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

// maxLooseBytes is the total unpacked size up to which a pack's objects are stored loose. git has no such limit; but a loose object
// is no delta and is deflated anew, so a hundred versions of a large file, a few megabytes as deltas, would become gigabytes and take
// minutes. This much takes a second at most.
const maxLooseBytes = 16 << 20

// unpackLimit returns the number of objects below which a pack is stored loose: fetch.unpackLimit, else transfer.unpackLimit, as for
// git fetch. A negative value counts as unset.
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

// small reports whether the finished pack is to be stored as loose objects. If so, names has all of them, and appended delta bases.
func (in *Incoming) small() (names *oid.List, small bool) {
	if !in.few() {
		return nil, false
	}
	names, _, err := in.Names()
	return names, err == nil && in.size <= maxLooseBytes
}

// few reports whether the pack's objects, by its header, are few enough to be stored loose.
func (in *Incoming) few() bool { return int64(in.Objects()) < in.store.unpackLimit }

// installLoose unpacks the finished pack of the named objects, and moves them into the store.
//
// They are unpacked inside the quarantine, into an object directory that sees the store but not the pack: git writes no object that it
// finds elsewhere. So it doesn't write the delta bases that were appended to a thin pack either.
func (in *Incoming) installLoose(names *oid.List) error {
	loose := filepath.Join(in.dir, "loose")
	if err := os.Mkdir(loose, 0o777); err != nil {
		return err
	}
	pack, err := os.Open(in.pack + ".pack")
	if err != nil {
		return err
	}
	defer pack.Close()
	c := in.store.Command(in.ctx, in.store.quarantineEnv(loose), "unpack-objects", "-q")
	c.Stdin = pack
	if err := c.Run(); err != nil {
		return err
	}
	dirs, err := os.ReadDir(loose)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := moveLoose(filepath.Join(loose, dir.Name()), filepath.Join(in.store.ObjectDir, dir.Name())); err != nil {
			return err
		}
	}
	// What was unpacked may have been swept, and so may what git found in the store.
	kinds, err := links.Kinds(in.ctx, in.store.Repo, names)
	if slices.Contains(kinds, 0) {
		err = errSwept
	}
	return err
}

// moveLoose moves the loose objects of a directory.
func moveLoose(from, to string) error {
	if moveDir(from, to) {
		return nil
	}
	files, err := os.ReadDir(from)
	for _, file := range files {
		_, moveErr := moveNew(filepath.Join(from, file.Name()), filepath.Join(to, file.Name()))
		err = cmp.Or(err, moveErr)
	}
	return err
}
