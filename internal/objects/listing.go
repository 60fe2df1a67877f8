package objects

import (
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
)

// A pack whose index can't be opened is no error for git: its objects are left out of a list of all, in silence. So it
// happens when a repacking removes packs that the listing has begun with, and the one that has taken their place is not
// looked for; and when an index has been lost. Nor is it one, in a list, that an index names fewer objects than there are.
// Who promises that both sides hold everything has to know.

const (
	// maxListings is how often a store is listed anew that is being repacked meanwhile.
	maxListings = 20
	// packTime is how long a pack may be without its index, or an index without its pack, while somebody moves them in
	// or removes them.
	packTime  = 2 * time.Second
	packPause = 20 * time.Millisecond
)

// amidRepacking calls list, again where packs have gone meanwhile.
func amidRepacking(ctx context.Context, repo *git.Repo, list func() error) error {
	for range maxListings {
		before, err := findPacks(repo)
		if err != nil {
			return err
		}
		err = list()
		after, lookErr := findPacks(repo)
		switch {
		case lookErr != nil:
			return lookErr
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case before.within(after):
			if err != nil {
				return err
			}
			return awaitWhole(ctx, repo)
		}
	}
	return errors.New("the packs of our store change faster than they can be listed: " +
		"run the same command again when git gc or git repack is done")
}

// packs is the files of packs, as paths without their extensions, with what there is of each.
type packs map[string]struct{ pack, idx bool }

// findPacks looks at the object directory and its alternates.
func findPacks(repo *git.Repo) (packs, error) {
	found := make(packs)
	for _, dir := range objectDirs(repo) {
		dir = filepath.Join(dir, "pack")
		files, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, file := range files {
			name, ext := file.Name(), filepath.Ext(file.Name())
			if !strings.HasPrefix(name, "pack-") || ext != ".pack" && ext != ".idx" {
				continue
			}
			path := filepath.Join(dir, strings.TrimSuffix(name, ext))
			has := found[path]
			has.pack = has.pack || ext == ".pack"
			has.idx = has.idx || ext == ".idx"
			found[path] = has
		}
	}
	return found, nil
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

// awaitWhole waits until each pack has its index, and each index its pack.
func awaitWhole(ctx context.Context, repo *git.Repo) error {
	deadline := time.Now().Add(packTime)
	for {
		now, err := findPacks(repo)
		if err != nil {
			return err
		}
		damaged := now.damaged()
		if damaged == nil {
			return now.miscounted()
		}
		if time.Now().After(deadline) {
			return damaged
		}
		select {
		case <-time.After(packPause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (p packs) damaged() error {
	var paths []string
	for path, has := range p {
		if has.pack != has.idx {
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		return nil
	}
	path := slices.Min(paths)
	if p[path].pack {
		return fmt.Errorf("the pack %q has no index, and nobody can see what is in it: git index-pack makes one; "+
			"if it is left over from an interruption, remove it", path+".pack")
	}
	return fmt.Errorf("the index %q has no pack: restore that, or remove the index if its objects are to be had elsewhere",
		path+".idx")
}

// miscounted finds an index that names more or fewer objects than its pack has. What can't be read is left to git.
func (p packs) miscounted() error {
	for _, path := range slices.Sorted(maps.Keys(p)) {
		named, err := countNamed(path + ".idx")
		if err != nil {
			continue
		}
		if packed, err := countPacked(path + ".pack"); err == nil && packed != named {
			return fmt.Errorf("the index %q is damaged: it names %d objects, and its pack has %d: git index-pack makes it anew",
				path+".idx", named, packed)
		}
	}
	return nil
}

// countNamed is the number of objects in an index: the last entry of its fan-out table (gitformat-pack(5)).
func countNamed(idx string) (uint32, error) {
	const last = 255 * 4
	var head [8 + last + 4]byte // of version 2; version 1 begins with the table
	if err := readHead(idx, head[:]); err != nil {
		return 0, err
	}
	table := head[:]
	if string(head[:4]) == "\377tOc" {
		table = head[8:]
	}
	return binary.BigEndian.Uint32(table[last:]), nil
}

// countPacked is the number of objects in a pack by its header.
func countPacked(pack string) (uint32, error) {
	var head git.PackHeader
	start := make([]byte, len(head.B))
	if err := readHead(pack, start); err != nil {
		return 0, err
	}
	head.See(start)
	n, ok := head.Objects()
	if !ok {
		return 0, fmt.Errorf("%q is no pack", pack)
	}
	return n, nil
}

func readHead(file string, head []byte) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.ReadFull(f, head)
	return err
}

// maxAlternates is how deep alternates may have alternates, as for git.
const maxAlternates = 5

// objectDirs is the object directory and those of its alternates (gitrepository-layout(5), objects/info/alternates) that
// are plainly named.
func objectDirs(repo *git.Repo) []string {
	dirs := []string{repo.ObjectDir}
	for _, kv := range repo.Env {
		if list, ok := strings.CutPrefix(kv, "GIT_ALTERNATE_OBJECT_DIRECTORIES="); ok {
			dirs = append(dirs, filepath.SplitList(list)...)
		}
	}
	next := 0
	for range maxAlternates {
		end := len(dirs)
		for ; next < end; next++ {
			text, err := os.ReadFile(filepath.Join(dirs[next], "info", "alternates"))
			if err != nil {
				continue
			}
			for line := range strings.Lines(string(text)) {
				dir := strings.TrimSuffix(line, "\n")
				if dir == "" || dir[0] == '#' {
					continue
				}
				if !filepath.IsAbs(dir) {
					dir = filepath.Join(dirs[next], dir)
				}
				if !slices.Contains(dirs, dir) {
					dirs = append(dirs, dir)
				}
			}
		}
	}
	return dirs
}
