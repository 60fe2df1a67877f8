package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"aig/internal/git"
	"aig/internal/oid"
)

// git lists what it can see. A pack whose index it can't open is left out in silence: a repacking removes packs that the
// listing has begun with, an index is lost, or this user may not read it. A directory that isn't there has no objects.
// Who promises that both sides hold everything has to know.

const (
	// maxListings is how often a store is listed anew that is being repacked meanwhile.
	maxListings = 20
	// packTime is how long a pack may be without its index, or an index without its pack, while somebody moves them in
	// or removes them.
	packTime  = 2 * time.Second
	packPause = 20 * time.Millisecond
)

// List returns the names of all objects that are present, ascending, each once: those in packs, loose ones and those of
// alternates. What a partial clone has promised but not got is not among them. Names of objects that turn out corrupt
// can be. A list that may not be complete is an error.
func List(ctx context.Context, repo *git.Repo) (*oid.List, error) {
	alternates, err := Alternates(ctx, repo)
	if err != nil {
		return nil, err
	}
	dirs := append(alternates, repo.ObjectDir)
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
	c := repo.Command(ctx, nil, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)", "--buffer")
	err := c.Lines(func(line []byte) error {
		if err := repo.Format.Parse(name, line); err != nil {
			return fmt.Errorf("git cat-file's list of objects: %w", err)
		}
		// Everything after this searches and merges by order.
		if n := names.Len(); n > 0 && bytes.Compare(names.At(n-1), name) >= 0 {
			return fmt.Errorf("git cat-file's list of objects is out of order at %x", name)
		}
		names.Append(name)
		return nil
	})
	if err == nil {
		err = c.Complaint()
	}
	return names, err
}

// Alternates returns the object directories that the store borrows from, those of alternates among them.
func Alternates(ctx context.Context, repo *git.Repo) (dirs []string, err error) {
	c := repo.Command(ctx, nil, "count-objects", "-v")
	err = c.Lines(func(line []byte) error {
		dir, isAlternate := strings.CutPrefix(string(line), "alternate: ")
		if !isAlternate {
			return nil
		}
		if dir[0] == '"' {
			var err error
			if dir, err = strconv.Unquote(dir); err != nil {
				return fmt.Errorf("git count-objects said %q: %w", line, err)
			}
		}
		dirs = append(dirs, dir)
		return nil
	})
	return dirs, err
}

// packs is the files of packs, as paths without their extensions, with what there is of each.
type packs map[string]struct{ pack, idx bool }

// look checks that everything in the object directories can be listed and read, as far as git looks there for objects,
// and returns their packs.
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
				err = readable(filepath.Join(path, "alternates"))
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

// readable returns why a file or directory can't be read. One that isn't there is no error, but a link to it is: a disk
// may not be mounted.
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

// within tells whether no index has gone.
func (p packs) within(later packs) bool {
	for path, has := range p {
		if has.idx && !later[path].idx {
			return false
		}
	}
	return true
}

// lookWhole looks until each pack has its index, and each index its pack.
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
			return fmt.Errorf("the pack %q has no index, and nobody can see what is in it: git index-pack makes one; "+
				"if it is left over from an interruption, remove it", path+".pack")
		case !has.pack:
			return fmt.Errorf("the index %q has no pack: restore that, or remove the index if its objects are to be had elsewhere",
				path+".idx")
		}
	}
	return nil
}
