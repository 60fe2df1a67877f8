package objects

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"

	"aig/internal/git"
	"aig/internal/oid"
)

// List is the names of all objects that are present, ascending, each once: those in packs, loose ones and those of
// alternates. What a partial clone has promised but not got is not among them. Names of objects that turn out corrupt
// can be. A list that may not be complete is an error (see listing.go).
func List(ctx context.Context, repo *git.Repo) (*oid.List, error) {
	var names *oid.List
	err := amidRepacking(ctx, repo, func() (err error) {
		names, err = listOnce(ctx, repo)
		return err
	})
	return names, err
}

func listOnce(ctx context.Context, repo *git.Repo) (*oid.List, error) {
	c := repo.Command(ctx, nil, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)", "--buffer")
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	list, parseErr := parseList(out, repo.Format)
	if parseErr != nil {
		// Let the child end of its closed pipe; its own error, if it has one, says more.
		out.Close()
	}
	if err := c.Wait(); err != nil && (parseErr == nil || c.Said() != "") {
		return nil, err
	}
	if parseErr == nil {
		parseErr = c.Complaint()
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
