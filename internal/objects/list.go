// Package objects lists the objects of a store, plans which go into which pack, packs them, and verifies those that can't be packed.
package objects

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"aig/internal/git"
	"aig/internal/oid"
)

// git lists what it can see, and complains of a directory that it can't read. It silently leaves out a pack whose index it can't open:
// one that a repack has just removed, one whose index is lost, one that this user may not read. It takes a missing directory for an
// empty one. We promise that both sides hold everything, so we have to notice.

const (
	// maxListings is how often we look at a store that is being repacked, or is damaged, before we give up. While somebody is installing
	// or removing packs, one may lack its index, or an index its pack.
	maxListings = 20
	packPause   = 100 * time.Millisecond
)

// List returns the names of all objects that are present, ascending, each once: packed, loose, and in alternates. Those that a promisor
// remote has only promised are not among them; corrupt ones can be. It fails if the list may be incomplete.
func List(ctx context.Context, repo *git.Repo) (*oid.List, error) {
	alternates, err := repo.Alternates(ctx)
	if err != nil {
		return nil, err
	}
	dirs := append([]string{repo.ObjectDir}, alternates...)
	var damage error
	for range maxListings {
		before, err := packFiles(dirs)
		if err != nil {
			return nil, err
		}
		if damage = damaged(before); damage == nil {
			names, listErr := listOnce(ctx, repo)
			after, err := packFiles(dirs)
			switch damage = damaged(after); {
			case ctx.Err() != nil:
				return nil, context.Cause(ctx)
			case err != nil:
				return nil, err
			case damage == nil && within(before, after):
				return names, listErr
			}
		}
		select {
		case <-time.After(packPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return nil, cmp.Or(damage, errors.New("the packs of our store change faster than they can be listed: "+
		"run the same command again when git gc or git repack is done"))
}

func listOnce(ctx context.Context, repo *git.Repo) (*oid.List, error) {
	names := oid.NewList(repo.Format)
	name := make([]byte, repo.Format.Size())
	var last uint64
	c := repo.Command(ctx, nil, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)", "--buffer")
	err := c.Lines(func(line []byte) error {
		if err := repo.Format.Parse(name, line); err != nil {
			return fmt.Errorf("git cat-file's list of objects: %w", err)
		}
		// Everything after this relies on the order, which the first bits mostly decide.
		prefix := binary.BigEndian.Uint64(name)
		if n := names.Len(); n > 0 && prefix <= last && bytes.Compare(names.At(n-1), name) >= 0 {
			return fmt.Errorf("git cat-file's list of objects is out of order at %x", name)
		}
		last = prefix
		names.Append(name)
		return nil
	})
	if err == nil {
		err = c.Complaint()
	}
	return names, err
}

// packFiles returns the paths of the packs and their indexes in the object directories, all of which can be opened.
func packFiles(dirs []string) (map[string]bool, error) {
	found := make(map[string]bool)
	for _, dir := range dirs {
		dir = filepath.Join(dir, "pack")
		if err := readable(dir); err != nil {
			return nil, err
		}
		files, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, file := range files {
			path, ext := filepath.Join(dir, file.Name()), filepath.Ext(file.Name())
			if !strings.HasPrefix(file.Name(), "pack-") || ext != ".pack" && ext != ".idx" {
				continue
			}
			if err := readable(path); err != nil {
				return nil, err
			}
			found[path] = true
		}
	}
	return found, nil
}

// readable returns an error if a file or directory can't be opened. A missing one is fine, but a dangling symbolic link is not: perhaps
// a disk isn't mounted.
func readable(path string) error {
	f, err := os.Open(path)
	if err == nil {
		return f.Close()
	}
	if _, gone := os.Lstat(path); errors.Is(err, fs.ErrNotExist) && gone != nil {
		return nil
	}
	return err
}

// within reports whether all of the files are among the later ones.
func within(files, later map[string]bool) bool {
	for path := range files {
		if !later[path] {
			return false
		}
	}
	return true
}

// damaged returns an error if a pack has no index, or an index no pack.
func damaged(files map[string]bool) error {
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if pack, isIndex := strings.CutSuffix(path, ".idx"); isIndex && !files[pack+".pack"] {
			return fmt.Errorf("the index %q has no pack: restore the pack, or remove the index if its objects exist elsewhere", path)
		}
		if index, isPack := strings.CutSuffix(path, ".pack"); isPack && !files[index+".idx"] {
			return fmt.Errorf("the pack %q has no index, so its objects can't be read: make one with git index-pack, "+
				"or remove the pack if an interrupted command left it", path)
		}
	}
	return nil
}
