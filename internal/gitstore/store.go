package gitstore

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"aig/internal/oid"
)

// Store is a repository's object store: its object directory and the alternates of it.
type Store struct {
	git       Git
	objectDir string // absolute
	format    oid.Format
	checks    checks
	// unpackLimit is the number of objects from which on a pack stays one, when it is taken in.
	unpackLimit int64
	budget      budget
	unchecked   unchecked
}

// ErrNotRepository is Open's error outside a repository.
var ErrNotRepository = errors.New("not a git repository (or any of the parent directories)")

// Open finds the repository as git itself does, from the directory and the environment of g.
func Open(ctx context.Context, g Git) (*Store, error) {
	c := g.command(ctx, nil, "rev-parse", "--path-format=absolute", "--git-path", "objects", "--show-object-format")
	out, err := c.Output()
	if err != nil {
		err = c.explain(err)
		var failed *GitError
		if errors.As(err, &failed) && strings.HasPrefix(failed.Said, "not a git repository (or any") {
			return nil, ErrNotRepository
		}
		return nil, err
	}
	// The object directory's own name may hold a line feed; the format's line is the last one.
	text := strings.TrimSuffix(string(out), "\n")
	at := strings.LastIndexByte(text, '\n')
	if at < 0 {
		return nil, fmt.Errorf("git rev-parse said %q where an object directory and a format were asked for", text)
	}
	s := &Store{git: g, objectDir: text[:at], unchecked: unchecked{most: defaultMaxUnchecked, files: make(specialFiles)}}
	if s.format, err = oid.ParseFormat(text[at+1:]); err != nil {
		return nil, fmt.Errorf("our repository: %w", err)
	}
	if s.checks, err = readChecks(ctx, g); err != nil {
		return nil, err
	}
	if s.unpackLimit, err = unpackLimit(ctx, g); err != nil {
		return nil, err
	}
	if s.git.maxMemory, err = readMaxMemory(ctx, g); err != nil {
		return nil, err
	}
	if err := s.budget.read(ctx, g); err != nil {
		return nil, err
	}
	return s, nil
}

// Format is the store's object format.
func (s *Store) Format() oid.Format { return s.format }

// List is the names of all objects that are present, ascending, each once: those in packs, loose ones and those of
// alternates. What a partial clone has promised but not got is not among them. Names of objects that turn out corrupt
// can be. A list that may not be complete is an error (see listing.go).
func (s *Store) List(ctx context.Context) (*oid.List, error) {
	var list *oid.List
	err := s.amidRepacking(ctx, func() (err error) {
		list, err = s.list(ctx)
		return err
	})
	return list, err
}

func (s *Store) list(ctx context.Context) (*oid.List, error) {
	c := s.git.command(ctx, nil, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)", "--buffer")
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, c.explain(err)
	}
	list, parseErr := parseList(out, s.format)
	if parseErr != nil {
		// Let the child end of its closed pipe; its own error, if it has one, says more.
		out.Close()
	}
	if err := c.Wait(); err != nil && (parseErr == nil || c.stderr.last() != "") {
		return nil, c.explain(err)
	}
	if parseErr == nil {
		parseErr = c.complaint()
	}
	return list, parseErr
}

func parseList(r io.Reader, format oid.Format) (*oid.List, error) {
	list := oid.NewList(format)
	lines := bufio.NewReaderSize(r, 1<<16)
	name := make([]byte, format.Size())
	for {
		line, err := lines.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("git cat-file's list of objects: %w", err)
		}
		if err := format.Parse(name, line[:len(line)-1]); err != nil {
			return nil, fmt.Errorf("git cat-file's list of objects: %w", err)
		}
		// Everything after this searches and merges by order.
		if n := list.Len(); n > 0 && bytes.Compare(list.At(n-1), name) >= 0 {
			return nil, fmt.Errorf("git cat-file's list of objects is out of order at %x", name)
		}
		list.Append(name)
	}
}
