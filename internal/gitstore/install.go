package gitstore

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
// one of them may be named by a tree in another, and is checked here, too late for Finish. A *GitError that is not
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
	packDir := filepath.Join(in.store.objectDir, "pack")
	if err := in.store.makeDir(packDir); err != nil {
		return fmt.Errorf("our store: %w", err)
	}
	// git finds packs by their .idx, so that comes last.
	for _, ext := range []string{".pack", ".rev", ".idx"} {
		err := moveNew(in.pack+ext, filepath.Join(packDir, filepath.Base(in.pack)+ext))
		if ext == ".rev" && errors.Is(err, fs.ErrNotExist) {
			continue // pack.writeReverseIndex=false, or an older git
		}
		if err != nil {
			return fmt.Errorf("our store: %w", err)
		}
	}
	return syncDir(packDir)
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
	of, err := os.Stat(s.objectDir)
	if err != nil {
		return err
	}
	return os.Chmod(dir, of.Mode()&(fs.ModePerm|fs.ModeSetgid))
}

// moveNew moves a file and never replaces one: what is in a store stays as it is. A pack of the same name holds the
// same objects.
func moveNew(from, to string) error {
	err := os.Link(from, to)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// A file system without hard links.
	if _, err := os.Lstat(to); err == nil {
		return nil
	}
	return os.Rename(from, to)
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
