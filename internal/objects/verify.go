package objects

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"aig/internal/git"
	"aig/internal/links"
	"aig/internal/oid"
)

// Verify reads each of the given objects and calls bad, with the reason, for every one that is missing, can't be read, or whose
// content doesn't match its name. It is slow, and meant for finding the objects that made a pack fail.
func Verify(ctx context.Context, repo *git.Repo, names oid.Names, bad func(i int, reason string)) error {
	for i := 0; i < names.Len(); {
		next, err := verifyFrom(ctx, repo, names, i, bad)
		if err != nil {
			return err
		}
		i = next
	}
	return nil
}

// verifyFrom runs `git cat-file --batch` from object first on. git dies of some corrupt objects; the next run begins after that
// one.
func verifyFrom(ctx context.Context, repo *git.Repo, names oid.Names, first int, bad func(int, string)) (next int, err error) {
	c := repo.Command(ctx, nil, "cat-file", "--batch")
	c.Stdin = git.NameLines(names, first)
	out, err := c.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := c.Start(); err != nil {
		return 0, err
	}
	r := bufio.NewReaderSize(out, 1<<16)
	for next = first; next < names.Len(); next++ {
		reason, readErr := verifyOne(r, names.Format(), names.At(next))
		if readErr != nil {
			out.Close()
			waitErr := c.Wait()
			if ctx.Err() != nil {
				return 0, ctx.Err()
			}
			if git.Stopped(waitErr) { // which says nothing of the object
				return 0, waitErr
			}
			if reason = c.Said(); reason == "" {
				reason = readErr.Error()
			}
			bad(next, reason)
			return next + 1, nil
		}
		if reason != "" {
			bad(next, reason)
		}
	}
	return next, c.Wait()
}

// verifyOne reads one answer of `git cat-file --batch` (git-cat-file(1), "BATCH OUTPUT").
func verifyOne(r *bufio.Reader, format oid.Format, name []byte) (reason string, err error) {
	header, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	if strings.HasSuffix(header, " missing\n") {
		return "missing", nil
	}
	var digits, kind string
	var size int64
	if _, err := fmt.Sscanf(header, "%s %s %d\n", &digits, &kind, &size); err != nil || digits != hex.EncodeToString(name) {
		return "", fmt.Errorf("git cat-file answered %q", header)
	}
	h := format.Hash()
	fmt.Fprintf(h, "%s %d\x00", kind, size)
	if _, err := io.CopyN(h, r, size); err != nil {
		return "", err
	}
	if end, err := r.ReadByte(); err != nil || end != '\n' {
		return "", errors.New("git cat-file's answer is cut short")
	}
	if sum := h.Sum(nil); string(sum) != string(name) {
		return fmt.Sprintf("its content has the name %x", sum), nil
	}
	return "", nil
}

// VerifyLinks calls bad, with a reason, for each of the given positions in list whose object names another one in list under the wrong
// type. If both are in one pack git index-pack may die, and doesn't say of which; if the pack were divided, the peer could take the half
// that is wrong, and refuse the other.
func VerifyLinks(ctx context.Context, repo *git.Repo, list *oid.List, index []uint32, bad func(i uint32, reason string)) error {
	kinds, err := links.Kinds(ctx, repo, nil, list)
	if err != nil {
		return err
	}
	pointing := oid.Selection{List: list}
	for _, i := range index {
		if kinds[i] != 0 && kinds[i] != links.Blob {
			pointing.Index = append(pointing.Index, i)
		}
	}
	wrong := -1 // the last one that was called bad
	_, err = links.Read(ctx, repo, nil, pointing, func(from int, target []byte, kind links.Kind) error {
		at, found := list.Search(target)
		if from != wrong && found && kinds[at] != 0 && kinds[at] != kind {
			wrong = from
			bad(pointing.Index[from], fmt.Sprintf("it calls the %s %x a %s", kinds[at], target, kind))
		}
		return nil
	})
	return err
}
