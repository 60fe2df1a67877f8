package objects

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aig/internal/git"
	"aig/internal/links"
	"aig/internal/oid"
)

// Reached returns those of the given positions in list whose objects the tips reach. The tips are full object names; nil stands for
// all of our references. Missing objects are no error.
func Reached(ctx context.Context, repo *git.Repo, list *oid.List, among []uint32, tips []string) ([]uint32, error) {
	if len(among) == 0 {
		return nil, nil
	}
	args := []string{"rev-list", "--objects", "--no-object-names", "--missing=allow-any", "--ignore-missing", "--stdin"}
	if tips == nil {
		args = append(args, "--all")
	}
	c := repo.Command(ctx, nil, args...)
	c.Stdin = strings.NewReader(strings.Join(append(tips, ""), "\n"))
	reached := marks{list, oid.NewBitmap(list.Len(), nil), make([]byte, repo.Format.Size())}
	if err := c.Lines(reached.mark); err != nil {
		return nil, fmt.Errorf("finding out what our references reach: %w", err)
	}
	return reached.of(among, true), nil
}

// Borrowed returns those of the given positions in list whose objects only an alternate holds.
func Borrowed(ctx context.Context, repo *git.Repo, list *oid.List, among []uint32) ([]uint32, error) {
	if alternates, err := Alternates(ctx, repo); len(among) == 0 || len(alternates) == 0 || err != nil {
		return nil, err
	}
	ours := marks{list, oid.NewBitmap(list.Len(), nil), make([]byte, repo.Format.Size())}
	if err := own(ctx, repo, ours.mark); err != nil {
		return nil, err
	}
	return ours.of(among, false), nil
}

// own calls each with the hexadecimal name of every object in the store itself, not in an alternate: the loose ones first, then
// pack by pack, the smallest first. An object may come more than once.
func own(ctx context.Context, repo *git.Repo, each func(digits []byte) error) error {
	dirs, err := os.ReadDir(repo.ObjectDir)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if len(dir.Name()) != 2 {
			continue
		}
		files, err := os.ReadDir(filepath.Join(repo.ObjectDir, dir.Name()))
		if err != nil {
			return err
		}
		for _, file := range files {
			name := []byte(dir.Name() + file.Name())
			if !repo.Format.IsName(string(name)) {
				continue // whatever it is that lies there
			}
			if err := each(name); err != nil {
				return err
			}
		}
	}
	return ownPacks(ctx, repo, each)
}

func ownPacks(ctx context.Context, repo *git.Repo, each func(digits []byte) error) error {
	files, err := os.ReadDir(filepath.Join(repo.ObjectDir, "pack"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	sizes := make(map[string]int64)
	for _, file := range files {
		if filepath.Ext(file.Name()) != ".idx" {
			continue
		}
		if info, err := file.Info(); err == nil {
			sizes[file.Name()] = info.Size()
		}
	}
	indexes := slices.SortedFunc(maps.Keys(sizes), func(a, b string) int { return cmp.Or(cmp.Compare(sizes[a], sizes[b]), cmp.Compare(a, b)) })
	for _, index := range indexes {
		if err := eachOf(ctx, repo, filepath.Join(repo.ObjectDir, "pack", index), each); err != nil {
			return err
		}
	}
	return nil
}

func eachOf(ctx context.Context, repo *git.Repo, index string, each func(digits []byte) error) error {
	f, err := os.Open(index)
	if err != nil {
		return err
	}
	defer f.Close()
	c := repo.Command(ctx, nil, "show-index", "--object-format="+string(repo.Format))
	c.Stdin = f
	return c.Lines(func(line []byte) error { // offset, name, checksum
		_, line, _ = bytes.Cut(line, []byte(" "))
		return each(line[:min(len(line), hex.EncodedLen(repo.Format.Size()))])
	})
}

// marks is a set of objects of a list.
type marks struct {
	list *oid.List
	set  oid.Bitmap
	name []byte
}

func (m marks) mark(digits []byte) error {
	err := m.list.Format().Parse(m.name, digits)
	if at, found := m.list.Search(m.name); found && err == nil {
		m.set.Add(uint32(at))
	}
	return err
}

// of returns those of the positions that are marked, or that aren't.
func (m marks) of(among []uint32, marked bool) []uint32 {
	var some []uint32
	for _, at := range among {
		if m.set.Has(at) == marked {
			some = append(some, at)
		}
	}
	return some
}

// maxPointing bounds, in objects, what Pointing looks through.
const maxPointing = 1 << 16

// Pointing returns the commits, trees and tags among the store's loose objects and those of its smallest packs, as far as these
// are not more than maxPointing together. The large packs are what repacking has made of what references reach.
func Pointing(ctx context.Context, repo *git.Repo) (*oid.List, error) {
	enough := errors.New("enough")
	candidates := oid.NewList(repo.Format)
	name := make([]byte, repo.Format.Size())
	err := own(ctx, repo, func(digits []byte) error {
		if candidates.Len() == maxPointing {
			return enough
		}
		err := repo.Format.Parse(name, digits)
		candidates.Append(name)
		return err
	})
	if err != nil && err != enough {
		return nil, err
	}
	kinds, err := links.Kinds(ctx, repo, nil, candidates)
	pointing := oid.NewList(repo.Format)
	for i, kind := range kinds {
		if kind != 0 && kind != links.Blob {
			pointing.Append(candidates.At(i))
		}
	}
	return pointing, err
}
