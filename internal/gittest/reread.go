package gittest

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Reread reads every object of a SHA-1 store with go-git, which shares no code with the git that wrote it, and computes the
// name of each anew. It returns the names, ascending, or an error for the first object that is not what its name says. gitDir
// has the object directory; alternates are not read.
func Reread(gitDir string) ([]string, error) {
	store := filesystem.NewStorage(osfs.New(gitDir), cache.NewObjectLRUDefault())
	defer store.Close()
	all, err := store.HashesWithPrefix(nil)
	if err != nil {
		return nil, fmt.Errorf("go-git can't list %s: %w", gitDir, err)
	}
	var names []string
	for _, name := range all {
		object, err := store.EncodedObject(plumbing.AnyObject, name)
		if err != nil {
			return nil, fmt.Errorf("go-git can't read %s in %s: %w", name, gitDir, err)
		}
		content, err := object.Reader()
		if err != nil {
			return nil, fmt.Errorf("go-git can't read %s in %s: %w", name, gitDir, err)
		}
		h := sha1.New()
		fmt.Fprintf(h, "%s %d\x00", object.Type(), object.Size())
		_, err = io.Copy(h, content)
		content.Close()
		if err != nil {
			return nil, fmt.Errorf("go-git can't read %s in %s: %w", name, gitDir, err)
		}
		if sum := hex.EncodeToString(h.Sum(nil)); sum != name.String() {
			return nil, fmt.Errorf("%s in %s has the content of %s", name, gitDir, sum)
		}
		names = append(names, name.String())
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// MustBeSound checks a store with two readers: git fsck --strict finds nothing wrong and, if names are SHA-1, go-git reads
// exactly what git lists.
func (r *Repo) MustBeSound() {
	r.t.Helper()
	r.Git("fsck", "--strict")
	if r.Git("rev-parse", "--show-object-format") != "sha1" {
		return
	}
	names, err := Reread(r.Git("rev-parse", "--path-format=absolute", "--git-common-dir"))
	if err != nil {
		r.t.Error(err)
	} else if listed := r.Objects(); strings.Join(names, "\n") != listed {
		r.t.Errorf("git lists %d objects, and go-git reads %d", len(strings.Fields(listed)), len(names))
	}
}
