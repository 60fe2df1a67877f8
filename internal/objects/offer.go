package objects

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"aig/internal/git"
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
	own := marks{list, oid.NewBitmap(list.Len(), nil), make([]byte, repo.Format.Size())}
	dirs, err := os.ReadDir(repo.ObjectDir)
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		path := filepath.Join(repo.ObjectDir, dir.Name())
		loose := len(dir.Name()) == 2
		if !loose && dir.Name() != "pack" {
			continue
		}
		files, err := os.ReadDir(path)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if loose {
				own.mark([]byte(dir.Name() + file.Name())) // anything else that lies there has no such name
			} else if filepath.Ext(file.Name()) == ".idx" {
				if err := own.markPack(ctx, repo, filepath.Join(path, file.Name())); err != nil {
					return nil, err
				}
			}
		}
	}
	return own.of(among, false), nil
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

func (m marks) markPack(ctx context.Context, repo *git.Repo, idx string) error {
	f, err := os.Open(idx)
	if err != nil {
		return err
	}
	defer f.Close()
	c := repo.Command(ctx, nil, "show-index", "--object-format="+string(repo.Format))
	c.Stdin = f
	return c.Lines(func(line []byte) error { // offset, name, checksum
		_, line, _ = bytes.Cut(line, []byte(" "))
		return m.mark(line[:min(len(line), hex.EncodedLen(len(m.name)))])
	})
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
