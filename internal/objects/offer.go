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

	"aig/internal/git"
	"aig/internal/links"
	"aig/internal/oid"
)

// Reached returns those of the positions among, in list, whose objects the revisions reach, which are arguments of git rev-list.
// Missing objects are no error.
func Reached(ctx context.Context, repo *git.Repo, list *oid.List, among []uint32, revisions ...string) ([]uint32, error) {
	if len(among) == 0 {
		return nil, nil
	}
	args := []string{"rev-list", "--objects", "--no-object-names", "--missing=allow-any", "--ignore-missing"}
	c := repo.Command(ctx, nil, append(args, revisions...)...)
	reached := oid.NewBitmap(list.Len(), nil)
	add := adder(list, reached)
	name := make([]byte, repo.Format.Size())
	err := c.Lines(func(digits []byte) error {
		if err := repo.Format.Parse(name, digits); err != nil {
			return err
		}
		add(name)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("finding out what our references reach: %w", err)
	}
	return slices.DeleteFunc(slices.Clone(among), func(at uint32) bool { return !reached.Has(at) }), nil
}

// Borrowed returns those of the positions among, in list, whose objects only an alternate holds.
func Borrowed(ctx context.Context, repo *git.Repo, list *oid.List, among []uint32) ([]uint32, error) {
	if alternates, err := repo.Alternates(ctx); len(among) == 0 || len(alternates) == 0 || err != nil {
		return nil, err
	}
	ours := oid.NewBitmap(list.Len(), nil)
	add := adder(list, ours)
	if err := ownLoose(repo, add); err != nil {
		return nil, err
	}
	indexes, err := ownIndexes(repo)
	if err != nil {
		return nil, err
	}
	for _, index := range indexes {
		if err := repo.ShowIndex(ctx, index.path, func(_ int64, name []byte) error { add(name); return nil }); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(slices.Clone(among), ours.Has), nil
}

// ownLoose calls each with the name of every loose object in the store itself, not in an alternate.
func ownLoose(repo *git.Repo, each func(name []byte)) error {
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
			digits := dir.Name() + file.Name()
			if !repo.Format.IsName(digits) || repo.Format.Parse(name, []byte(digits)) != nil {
				continue // not an object: git reads lower-case names only
			}
			each(name)
		}
	}
	return nil
}

// index is the index file of a pack.
type index struct {
	path string
	size int64
}

// ownIndexes returns the indexes of the store itself, the smallest first.
func ownIndexes(repo *git.Repo) (indexes []index, err error) {
	dir := filepath.Join(repo.ObjectDir, "pack")
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, file := range files {
		if filepath.Ext(file.Name()) != ".idx" {
			continue
		}
		if info, err := file.Info(); err == nil {
			indexes = append(indexes, index{filepath.Join(dir, file.Name()), info.Size()})
		}
	}
	slices.SortFunc(indexes, func(a, b index) int { return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.path, b.path)) })
	return indexes, nil
}

// adder returns a function that adds the named object to a set, by its position in list.
func adder(list *oid.List, set oid.Bitmap) func(name []byte) {
	return func(name []byte) {
		if at, found := list.Search(name); found {
			set.Add(uint32(at))
		}
	}
}

// Pointing returns the commits, trees and tags among the store's loose objects and in its smallest packs, but looks at no more than
// most objects. The large packs hold what references reached when they were repacked.
func Pointing(ctx context.Context, repo *git.Repo, most int) (*oid.List, error) {
	names, pointing := oid.NewList(repo.Format), oid.NewList(repo.Format)
	err := ownLoose(repo, func(name []byte) {
		if names.Len() < most {
			names.Append(name)
		}
	})
	if err != nil {
		return nil, err
	}
	indexes, err := ownIndexes(repo)
	if err != nil {
		return nil, err
	}
	room := int64(most - names.Len())
	for _, index := range indexes {
		// An index has a name, a checksum and an offset for each object (gitformat-pack(5)).
		if room -= index.size / int64(repo.Format.Size()+4+4); room < 0 {
			break
		}
		if err := appendPack(ctx, repo, index.path, names); err != nil && !errors.Is(err, fs.ErrNotExist) { // a repack may have removed it
			return nil, err
		}
	}
	kinds, err := links.Kinds(ctx, repo, names)
	for i, kind := range kinds {
		if kind != 0 && kind != links.Blob {
			pointing.Append(names.At(i))
		}
	}
	return pointing, err
}

// appendPack appends the names of a pack's objects in its order, in which a tree mostly repeats one shortly before.
func appendPack(ctx context.Context, repo *git.Repo, index string, names *oid.List) error {
	type packed struct {
		offset int64
		name   string
	}
	var order []packed
	err := repo.ShowIndex(ctx, index, func(offset int64, name []byte) error {
		order = append(order, packed{offset, string(name)})
		return nil
	})
	slices.SortFunc(order, func(a, b packed) int { return cmp.Compare(a.offset, b.offset) })
	for _, o := range order {
		names.Append([]byte(o.name))
	}
	return err
}
