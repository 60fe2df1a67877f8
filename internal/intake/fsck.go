package intake

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"aig/internal/git"
	"aig/internal/oid"
)

// git index-pack checks a .gitmodules or .gitattributes file when it meets a tree that names it. If the file is in another pack than
// the tree, or missing, as with a partial peer, git has nothing to check. The tree must not be refused for that, nor may the file slip
// through: a missing file is remembered, and checked when it arrives.

// defaultMaxUnchecked bounds the files that are remembered: versions that trees name but nobody has sent.
const defaultMaxUnchecked = 1 << 16

// unchecked holds the special files that trees in the store name and that have not arrived, for as long as the store is open.
type unchecked struct {
	most  int        // the limit of their number
	mu    sync.Mutex // also held from a pack's check until it is in the store
	files specialFiles
}

// specialFile is a blob, and the path that a tree gives it.
type specialFile struct{ blob, path string } // its binary name; .gitmodules or .gitattributes

type specialFiles map[specialFile]bool

const (
	modules    = ".gitmodules"
	attributes = ".gitattributes"
)

// indexer is a git index-pack, and what matters of its output. Each of its two streams is read by its own goroutine.
type indexer struct {
	*git.Child
	store *Store
	out   git.LineWriter

	mu      sync.Mutex // guards what follows, until the child has ended
	pack    string     // the pack's hash, in hexadecimal digits
	missing specialFiles
	bad     *PackError // of the first object that fails a check
	ended   bool       // all checks were made, and some failed
	other   bool       // something else is wrong
	behind  bool       // data follows the end of the pack
}

// index returns a git index-pack, not yet started, that writes to and reads the object directories that env names.
func (s *Store) index(ctx context.Context, env []string) *indexer {
	// --fix-thin completes a thin pack by appending the delta bases, which the store has.
	args := []string{"index-pack", "--stdin", "--fix-thin"}
	if s.check != "" {
		args = append(args, s.check)
	}
	x := &indexer{Child: s.Command(ctx, env, args...), store: s, missing: make(specialFiles)}
	x.out.Line, x.OnError = x.noteOutput, x.noteError
	x.Stdout = &x.out
	return x
}

// noteOutput takes a line of standard output: first "pack<TAB><hash>", then the names of missing .gitmodules files. In between, git
// echoes whatever it happens to have read past the end of the pack.
func (x *indexer) noteOutput(line []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	hash, first := bytes.CutPrefix(line, []byte("pack\t"))
	switch {
	case first && x.pack == "":
		x.pack = string(hash)
	case !x.add(line, modules):
		x.behind = true
	}
}

// noteError takes a line of standard error. A missing .gitattributes makes git fail at the very end, after the pack has been indexed
// and has passed every other check. Only what is known to be harmless is forgiven.
func (x *indexer) noteError(line []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	rest, isError := bytes.CutPrefix(line, []byte("error: object "))
	name, why, _ := bytes.Cut(rest, []byte(": "))
	switch {
	case isError && bytes.HasPrefix(why, []byte("gitattributesMissing: ")):
		x.other = !x.add(name, attributes) || x.other
	case isError && x.bad == nil && x.store.Format.IsName(string(name)):
		id, reason, _ := strings.Cut(string(why), ": ")
		x.bad, x.other = &PackError{string(name), id, reason}, true
	case string(line) == "fatal: "+git.FsckEnded:
		x.ended = true
	case !bytes.HasPrefix(line, []byte("warning: ")):
		x.other = true
	}
}

// add notes a missing file; it returns false if name is no object name. The caller holds mu.
func (x *indexer) add(name []byte, path string) bool {
	binary := make([]byte, x.store.Format.Size())
	if x.store.Format.Parse(binary, name) != nil {
		return false
	}
	if len(x.missing) <= x.store.unchecked.most { // one more says that there are too many
		x.missing[specialFile{string(binary), path}] = true
	}
	return true
}

// done turns the error that git ended with into ours. Missing special files are no failure.
func (x *indexer) done(err error) error {
	x.out.Close()
	if err != nil && (x.other || !x.ended) {
		failed := new(git.Error)
		if !errors.As(err, &failed) || !failed.Rejected() {
			return err
		}
		if x.bad != nil {
			err = x.bad
		}
		if x.store.Warning != "" {
			err = fmt.Errorf("%w (%s)", err, x.store.Warning)
		}
		return err
	}
	if !x.store.Format.IsName(x.pack) { // it becomes part of a path
		return fmt.Errorf("git index-pack printed %q instead of the name of a pack", x.pack)
	}
	switch {
	case x.behind:
		return &PackError{Text: behindTheEnd}
	case len(x.missing) > x.store.unchecked.most:
		return &PackError{Text: tooManyMissing}
	}
	return nil
}

const tooManyMissing = "the peer's trees name too many .gitmodules and .gitattributes files that it has not sent"

// checkSpecial checks the special files in the pack that trees in the store name, and those that the pack's trees name and that have
// entered the store since the pack was indexed. It remembers those that are still missing. The caller holds the mutex.
//
// git checks a file when it meets a tree that names it, so it is given a tree for each.
func (in *Incoming) checkSpecial() error {
	u := &in.store.unchecked
	files := in.index.missing
	if len(u.files) > 0 {
		names, _, err := in.Names()
		if err != nil {
			return err
		}
		for i := range names.Len() {
			for _, path := range []string{modules, attributes} {
				if file := (specialFile{string(names.At(i)), path}); u.files[file] {
					files[file] = true
				}
			}
		}
	}
	if len(files) == 0 {
		return nil
	}
	missing, err := in.checkFiles(files)
	if err != nil {
		return err
	}
	left := maps.Clone(u.files) // what a refused pack brings and names is not remembered
	maps.DeleteFunc(left, func(file specialFile, _ bool) bool { return files[file] })
	maps.Copy(left, missing)
	if len(left) > u.most {
		return &PackError{Text: tooManyMissing}
	}
	u.files = left
	return nil
}

// checkFiles checks the files under the paths that trees give them, and returns those that are missing.
func (in *Incoming) checkFiles(files specialFiles) (missing specialFiles, err error) {
	dir := filepath.Join(in.dir, "special")
	if err := os.Mkdir(dir, 0o777); err != nil {
		return nil, err
	}
	x := in.store.index(in.ctx, in.store.quarantineEnv(dir, in.dir))
	x.Stdin = bytes.NewReader(treePack(in.store.Format, files))
	if err := x.done(x.Run()); err != nil {
		return nil, err
	}
	return x.missing, nil
}

// treePack returns a pack (gitformat-pack(5)) with one tree for each of the files.
func treePack(format oid.Format, files specialFiles) []byte {
	var pack bytes.Buffer
	z := zlib.NewWriter(&pack) // shared: a writer takes a megabyte, and the peer decides how many files there are
	pack.WriteString("PACK\x00\x00\x00\x02\x00\x00\x00\x00")
	for file := range files {
		tree := "100644 " + file.path + "\x00" + file.blob
		// The type, 2, and the size: four bits here, the rest in the next byte.
		pack.Write([]byte{0x80 | 2<<4 | byte(len(tree)&15), byte(len(tree) >> 4)})
		z.Reset(&pack)
		io.WriteString(z, tree)
		z.Close()
	}
	binary.BigEndian.PutUint32(pack.Bytes()[8:], uint32(len(files)))
	h := format.Hash()
	h.Write(pack.Bytes())
	return h.Sum(pack.Bytes())
}
