package intake

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Install moves a finished pack into the store, or its objects where they are few and small; nothing that is there is
// ever replaced. A pack is complete from the moment its index appears; of loose objects each is for itself.
//
// Several packs can be on their way at once, but are installed one after the other: a .gitmodules or .gitattributes in
// one of them may be named by a tree in another, and is checked here, too late for Finish. A *git.Error that is not
// OfMachine is such a file that git rejects.
//
// What git fetch makes durable is durable when Install returns, by git's own children and under the user's core.fsync:
// packs and their indices are synced by index-pack, and their directory here; loose objects, by git's default, are left
// to the operating system, which after a power failure may have lost them.
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
	if err != nil {
		return fmt.Errorf("our store: %w", err)
	}
	if small {
		return in.installLoose(few)
	}
	return in.installPack()
}

func (in *Incoming) installPack() error {
	packDir := filepath.Join(in.store.ObjectDir, "pack")
	if err := in.store.makeDir(packDir); err != nil {
		return fmt.Errorf("our store: %w", err)
	}
	moved, err := in.movePack(packDir)
	if err != nil {
		in.takeBack(packDir, moved)
		return fmt.Errorf("our store: %w", err)
	}
	return syncDir(packDir)
}

// movePack returns the paths of the files that were not there before, also with an error.
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

// takeBack removes what was moved of a pack whose index has not come, since it was swept meanwhile, say. Without the
// index nobody can tell a pack from what an interruption has left, and nobody would remove it. An index that is there
// all the same is another process's, of the same pack.
func (in *Incoming) takeBack(packDir string, moved []string) {
	if _, err := os.Lstat(filepath.Join(packDir, filepath.Base(in.pack)+".idx")); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	for _, file := range moved {
		os.Remove(file)
	}
}

// makeDir makes a directory inside the object directory, with the permissions of the object directory itself: that is
// what core.sharedRepository has left there.
func (s *Store) makeDir(dir string) error {
	err := os.Mkdir(dir, 0o777)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	of, err := os.Stat(s.ObjectDir)
	if err != nil {
		return err
	}
	return os.Chmod(dir, of.Mode()&(fs.ModePerm|fs.ModeSetgid))
}

// moveNew moves a file and never replaces one: what is in a store stays as it is. A pack of the same name holds the
// same objects. It tells whether the file is new there.
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
	err = os.Rename(from, to)
	return err == nil, err
}

// syncDir makes renames durable. Systems that cannot sync a directory (Windows) say so by an error that means nothing.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrInvalid) {
		return fmt.Errorf("our store: %w", err)
	}
	return nil
}
