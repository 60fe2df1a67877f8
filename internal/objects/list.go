// Package objects lists the objects of a store, plans which go into which pack, packs them, and verifies those that can't be packed.
package objects

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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

// git lists what it can see. It silently leaves out a pack whose index it can't open: one that a repack has just removed, one whose
// index is lost, one that this user may not read. It takes a missing directory for an empty one. We promise that both sides hold
// everything, so we have to notice.

const (
	// maxListings is how often a store that is being repacked is listed before we give up.
	maxListings = 20
	// packTime is how long a pack may lack its index, or an index its pack, while somebody is installing or removing them.
	packTime  = 2 * time.Second
	packPause = 20 * time.Millisecond
)

// List returns the names of all objects that are present, ascending, each once: packed, loose, and in alternates. Those that a promisor
// remote has only promised are not among them; corrupt ones can be. It fails if the list may be incomplete.
func List(ctx context.Context, repo *git.Repo) (*oid.List, error) {
	alternates, err := repo.Alternates(ctx)
	if err != nil {
		return nil, err
	}
	dirs := append([]string{repo.ObjectDir}, alternates...)
	for range maxListings {
		before, err := look(dirs)
		if err != nil {
			return nil, err
		}
		names, err := listOnce(ctx, repo)
		after, lookErr := lookWhole(ctx, dirs)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case lookErr != nil:
			return nil, lookErr
		case before.within(after):
			return names, err
		}
	}
	return nil, errors.New("the packs of our store change faster than they can be listed: " +
		"run the same command again when git gc or git repack is done")
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

// packs says which files of each pack exist, by its path without extension.
type packs map[string]struct{ pack, idx bool }

// look checks that everything that git looks at in the object directories can be listed and read, and returns the packs.
func look(dirs []string) (packs, error) {
	found := make(packs)
	for _, dir := range dirs {
		places, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, place := range places {
			path := filepath.Join(dir, place.Name())
			switch name := place.Name(); {
			case name == "pack":
				err = found.look(path)
			case name == "info":
				if err = readable(path); err == nil {
					err = readable(filepath.Join(path, "alternates"))
				}
			case len(name) == 2 && strings.Trim(name, "0123456789abcdef") == "":
				err = readable(path)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

func (p packs) look(dir string) error {
	if err := readable(dir); err != nil {
		return err
	}
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, file := range files {
		path, ext := filepath.Join(dir, file.Name()), filepath.Ext(file.Name())
		if !strings.HasPrefix(file.Name(), "pack-") || ext != ".pack" && ext != ".idx" {
			continue
		}
		if err := readable(path); err != nil {
			return err
		}
		path = strings.TrimSuffix(path, ext)
		has := p[path]
		has.pack = has.pack || ext == ".pack"
		has.idx = has.idx || ext == ".idx"
		p[path] = has
	}
	return nil
}

// readable returns an error if a file or directory can't be read. A missing one is fine, but a dangling symbolic link is not: perhaps
// a disk isn't mounted.
func readable(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, gone := os.Lstat(path); gone != nil {
			return nil
		}
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.IsDir() {
		return err
	}
	if _, err := f.Readdirnames(1); err != nil && err != io.EOF {
		return err
	}
	return nil
}

// within reports whether later still has every index.
func (p packs) within(later packs) bool {
	for path, has := range p {
		if has.idx && !later[path].idx {
			return false
		}
	}
	return true
}

// lookWhole looks until every pack has its index and every index its pack.
func lookWhole(ctx context.Context, dirs []string) (packs, error) {
	for deadline := time.Now().Add(packTime); ; {
		found, err := look(dirs)
		if err != nil {
			return nil, err
		}
		damaged := found.damaged()
		if damaged == nil || time.Now().After(deadline) {
			return found, damaged
		}
		select {
		case <-time.After(packPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (p packs) damaged() error {
	for _, path := range slices.Sorted(maps.Keys(p)) {
		switch has := p[path]; {
		case !has.idx:
			return fmt.Errorf("the pack %q has no index, so its objects can't be read: make one with git index-pack, "+
				"or remove the pack if an interrupted command left it", path+".pack")
		case !has.pack:
			return fmt.Errorf("the index %q has no pack: restore the pack, or remove the index if its objects exist elsewhere",
				path+".idx")
		}
	}
	return nil
}
