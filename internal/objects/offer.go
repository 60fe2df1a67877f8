package objects

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	reached := marks{list, oid.NewBitmap(list.Len(), nil)}
	name := make([]byte, repo.Format.Size())
	err := c.Lines(func(digits []byte) error {
		if err := repo.Format.Parse(name, digits); err != nil {
			return err
		}
		return reached.mark(name)
	})
	if err != nil {
		return nil, fmt.Errorf("finding out what our references reach: %w", err)
	}
	return reached.of(among, true), nil
}

// Borrowed returns those of the given positions in list whose objects only an alternate holds.
func Borrowed(ctx context.Context, repo *git.Repo, list *oid.List, among []uint32) ([]uint32, error) {
	if alternates, err := Alternates(ctx, repo); len(among) == 0 || len(alternates) == 0 || err != nil {
		return nil, err
	}
	ours := marks{list, oid.NewBitmap(list.Len(), nil)}
	if err := own(ctx, repo, ours.mark); err != nil {
		return nil, err
	}
	return ours.of(among, false), nil
}

// own calls each with the name of every object in the store itself, not in an alternate: the loose ones first, then pack by pack, the
// smallest first. An object may come more than once.
func own(ctx context.Context, repo *git.Repo, each func(name []byte) error) error {
	dirs, err := os.ReadDir(repo.ObjectDir)
	if err != nil {
		return err
	}
	name := make([]byte, repo.Format.Size())
	for _, dir := range dirs {
		if len(dir.Name()) != 2 {
			continue
		}
		files, err := os.ReadDir(filepath.Join(repo.ObjectDir, dir.Name()))
		if err != nil {
			return err
		}
		for _, file := range files {
			if repo.Format.Parse(name, []byte(dir.Name()+file.Name())) != nil {
				continue // whatever it is that lies there
			}
			if err := each(name); err != nil {
				return err
			}
		}
	}
	return ownPacks(ctx, repo, each)
}

func ownPacks(ctx context.Context, repo *git.Repo, each func(name []byte) error) error {
	files, err := os.ReadDir(filepath.Join(repo.ObjectDir, "pack"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var indexes []fs.FileInfo
	for _, file := range files {
		if info, err := file.Info(); err == nil && filepath.Ext(file.Name()) == ".idx" {
			indexes = append(indexes, info)
		}
	}
	slices.SortStableFunc(indexes, func(a, b fs.FileInfo) int { return cmp.Compare(a.Size(), b.Size()) })
	for _, index := range indexes {
		err := repo.ShowIndex(ctx, filepath.Join(repo.ObjectDir, "pack", index.Name()), func(_ int64, name []byte) error { return each(name) })
		if err != nil {
			return err
		}
	}
	return nil
}

// marks is a set of objects of a list.
type marks struct {
	list *oid.List
	set  oid.Bitmap
}

func (m marks) mark(name []byte) error {
	if at, found := m.list.Search(name); found {
		m.set.Add(uint32(at))
	}
	return nil
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
	err := own(ctx, repo, func(name []byte) error {
		if candidates.Len() == maxPointing {
			return enough
		}
		candidates.Append(name)
		return nil
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
