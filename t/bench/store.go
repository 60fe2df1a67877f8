package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// shape must be incremented when a change to history.go makes other objects from the same seed and size: kept stores are
// named after it.
const shape = 1

// generated returns a store of about that many objects, and makes it first if the directory doesn't keep it.
func generated(ctx context.Context, dir string, seed uint64, objects int) (repo, error) {
	name := fmt.Sprintf("generated-%d-%d-%d.git", shape, seed, objects)
	return kept(ctx, filepath.Join(dir, name), func(r repo) error {
		h := newHistory(seed, objects)
		return r.pour(ctx, h.write, "fast-import", "--quiet")
	})
}

// kept returns the repository at the path, and fills a new one first if there is none.
func kept(ctx context.Context, path string, fill func(repo) error) (repo, error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return repo(path), err
	}
	unfinished := path + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return "", err
	}
	r, err := create(ctx, unfinished)
	if err != nil {
		return "", err
	}
	if err := fill(r); err != nil {
		return "", err
	}
	// As git gc leaves a repository, so that git's own commands are at their best.
	if err := r.git(ctx, nil, nil, "pack-refs", "--all"); err != nil {
		return "", err
	}
	if err := r.git(ctx, nil, nil, "commit-graph", "write", "--reachable"); err != nil {
		return "", err
	}
	return repo(path), os.Rename(unfinished, path)
}

// copyTo makes a separate repository with the same content. Object files are hard links, since git never changes them;
// everything else is copied.
func (r repo) copyTo(path string) (repo, error) {
	err := filepath.WalkDir(string(r), func(from string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(string(r), from)
		if err != nil {
			return err
		}
		to := filepath.Join(path, name)
		switch {
		case entry.IsDir():
			return os.MkdirAll(to, 0o777)
		case strings.HasPrefix(name, "objects"+string(filepath.Separator)):
			return os.Link(from, to)
		}
		data, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o666)
	})
	return repo(path), err
}

// pair is two repositories: Alice's, where the commands run, and Bob's, at the other end of the pipe.
type pair struct{ alice, bob repo }

func (p pair) copyTo(dir string) (pair, error) {
	alice, err := p.alice.copyTo(filepath.Join(dir, "alice.git"))
	if err != nil {
		return pair{}, err
	}
	bob, err := p.bob.copyTo(filepath.Join(dir, "bob.git"))
	return pair{alice, bob}, err
}

// comparison is how two stores compare.
type comparison struct {
	both, alice, bob int    // how many objects both have, only Alice has, only Bob has
	union            digest // what both must hold in the end
}

// digest identifies the set of names that a store holds.
type digest [sha256.Size]byte

// compare holds both lists in memory: this isn't measured.
func (p pair) compare(ctx context.Context) (comparison, error) {
	var alice, bob bytes.Buffer
	if err := p.alice.objects(ctx, &alice); err != nil {
		return comparison{}, err
	}
	if err := p.bob.objects(ctx, &bob); err != nil {
		return comparison{}, err
	}
	var c comparison
	union := sha256.New()
	ours, theirs := alice.Bytes(), bob.Bytes()
	for len(ours) > 0 || len(theirs) > 0 {
		a, b := firstLine(ours), firstLine(theirs)
		order := bytes.Compare(a, b)
		if len(a) == 0 || len(b) == 0 {
			order = -order // a list that is at its end comes last
		}
		if order <= 0 {
			union.Write(a)
			ours = ours[len(a):]
		} else {
			union.Write(b)
		}
		if order >= 0 {
			theirs = theirs[len(b):]
		}
		switch {
		case order < 0:
			c.alice++
		case order > 0:
			c.bob++
		default:
			c.both++
		}
	}
	c.union = sum(union)
	return c, nil
}

func firstLine(b []byte) []byte { return b[:bytes.IndexByte(b, '\n')+1] }

func sum(h hash.Hash) digest { return digest(h.Sum(nil)) }

// verify checks that both stores hold everything that either held before, and nothing else.
func (p pair) verify(ctx context.Context, want comparison) error {
	for _, r := range []repo{p.alice, p.bob} {
		names := sha256.New()
		var count lineCounter
		if err := r.objects(ctx, io.MultiWriter(names, &count)); err != nil {
			return err
		}
		if sum(names) != want.union {
			return fmt.Errorf("%s holds %d objects, not the %d that both held together", r, count, want.both+want.alice+want.bob)
		}
	}
	return nil
}

type lineCounter int

func (c *lineCounter) Write(p []byte) (int, error) {
	*c += lineCounter(bytes.Count(p, []byte{'\n'}))
	return len(p), nil
}
