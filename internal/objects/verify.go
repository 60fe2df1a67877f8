package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"aig/internal/git"
	"aig/internal/links"
	"aig/internal/oid"
)

// Verify reads each of the given objects and calls bad, with the reason, for every one that is missing, can't be read, or whose
// content doesn't match its name. It is slow, and meant for finding the objects that made a pack fail.
func Verify(ctx context.Context, repo *git.Repo, names oid.Names, bad func(i int, reason string)) error {
	return links.Objects(ctx, repo, nil, nil, names, func(i int, o links.Object) error {
		if failed, died := errors.AsType[*git.Error](o.Err); died && failed.Said != "" {
			bad(i, failed.Said)
		} else if o.Err != nil {
			bad(i, o.Err.Error())
		} else if sum, err := nameOf(o, names.Format()); err != nil {
			return err
		} else if !bytes.Equal(sum, names.At(i)) {
			bad(i, fmt.Sprintf("its content has the name %x", sum))
		}
		return nil
	})
}

// nameOf reads an object, and returns the name that it should have.
func nameOf(o links.Object, format oid.Format) ([]byte, error) {
	h := format.Hash()
	fmt.Fprintf(h, "%s %d\x00", o.Kind, o.Size)
	_, err := io.CopyN(h, o.In, o.Size)
	return h.Sum(nil), err
}

// VerifyLinks calls bad, with a reason, for each of the given positions in list whose object names another one in list under the wrong
// type. If both are in one pack git index-pack may die, and doesn't say of which; if the pack were divided, the peer could take the half
// that is wrong, and refuse the other.
func VerifyLinks(ctx context.Context, repo *git.Repo, list *oid.List, index []uint32, bad func(i uint32, reason string)) error {
	kinds, err := links.Kinds(ctx, repo, list)
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
