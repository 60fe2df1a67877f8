package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"aig/internal/git"
)

// Incoming is one pack on its way into the store. It is indexed in a quarantine: a directory inside the object
// directory that git does not look into. Install moves it into the store, Discard drops it.
//
// A quarantine that a crash leaves behind is swept by git itself: `git prune` removes tmp_* there in time.
type Incoming struct {
	store  *Store
	ctx    context.Context
	cancel context.CancelFunc // ends all of git's children that work on the pack
	dir    string
	index  *indexer
	stdin  io.WriteCloser
	most   int // objects that it may hold
	// header is the pack's own, as it passed through. It is held back until it is whole and good.
	header  git.PackHeader
	written int64  // bytes of the pack
	bad     error  // what is wrong with the header
	ended   bool   // git has taken no more
	pack    string // path without extension, once indexed
}

// PackError says what is wrong with a pack, apart from what git says.
type PackError struct{ text string }

func (e *PackError) Error() string { return e.text }

// BadObject says that an object must not come into the store, and why. All others of its pack may be good.
type BadObject struct {
	Name   string // full, hexadecimal
	MsgID  string // of git's check that it fails, see git-fsck(1), "FSCK MESSAGES"; "" if it is another that it fails
	Reason string
}

func (e *BadObject) Error() string {
	if e.MsgID != "" {
		return fmt.Sprintf("object %s: %s: %s", e.Name, e.MsgID, e.Reason)
	}
	return fmt.Sprintf("object %s: %s", e.Name, e.Reason)
}

// Advice returns how the user can take the object in nevertheless, where git has a way.
func (e *BadObject) Advice() string {
	if e.MsgID == "" {
		return ""
	}
	return fmt.Sprintf(" (git config fetch.fsck.%s warn takes all objects of this kind, a list of names in fetch.fsck.skipList this one)", e.MsgID)
}

// What comes behind a pack git does not look at, and where it takes note of it depends on the moment.
const behindTheEnd = "there is more behind the end of the pack"

// OfPeer tells whether an error of Finish or Names is about what the peer has sent, and not about this side.
func OfPeer(err error) bool {
	var pack *PackError
	var object *BadObject
	var failed *git.Error
	return errors.As(err, &pack) || errors.As(err, &object) || errors.As(err, &failed) && !failed.OfMachine()
}

// Receive opens a quarantine and starts `git index-pack` in it, for a pack of one to most objects. The caller writes it,
// then calls Finish; Discard must be called in the end in any case.
func (s *Store) Receive(ctx context.Context, most int) (*Incoming, error) {
	dir, err := os.MkdirTemp(s.ObjectDir, "tmp_objdir-aig-")
	if err != nil {
		return nil, fmt.Errorf("our object directory: %w", err)
	}
	in := &Incoming{store: s, dir: dir, most: most}
	in.ctx, in.cancel = context.WithCancel(ctx)
	in.index = s.index(in.ctx, dir, s.checks.option())
	if in.stdin, err = in.index.StdinPipe(); err == nil {
		err = in.index.Start()
	}
	if err != nil {
		in.cancel()
		in.remove()
		return nil, err
	}
	return in, nil
}

// quarantineEnv makes git write to dir and still see the store, and the further object directories (git's tmp-objdir.c
// does the same for a push).
func (s *Store) quarantineEnv(dir string, also ...string) []string {
	alternates := quoteAlternate(s.ObjectDir)
	for _, other := range also {
		alternates += string(os.PathListSeparator) + quoteAlternate(other)
	}
	for _, kv := range s.Env {
		if v, ok := strings.CutPrefix(kv, "GIT_ALTERNATE_OBJECT_DIRECTORIES="); ok && v != "" {
			alternates += string(os.PathListSeparator) + v
		}
	}
	return []string{
		"GIT_OBJECT_DIRECTORY=" + dir,
		"GIT_ALTERNATE_OBJECT_DIRECTORIES=" + alternates,
		// Tells every part of git that references must not be updated now.
		"GIT_QUARANTINE_PATH=" + dir,
	}
}

// quoteAlternate writes a path so that it stays one entry of GIT_ALTERNATE_OBJECT_DIRECTORIES (git(1)).
func quoteAlternate(path string) string {
	if !strings.ContainsRune(path, os.PathListSeparator) && !strings.HasPrefix(path, `"`) && !strings.Contains(path, "\n") {
		return path
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(path) + `"`
}

// Write feeds the pack. What is wrong with the pack, Finish says, and the rest of it is dropped. An error of Write's is
// for all packs: a *git.LimitError.
func (in *Incoming) Write(p []byte) (int, error) {
	if err := in.store.account(len(p)); err != nil {
		return 0, err
	}
	n := len(p)
	in.written += int64(n)
	if !in.header.Whole() {
		p = p[in.header.See(p):]
		if !in.header.Whole() {
			return n, nil
		}
		in.bad = in.checkHeader()
		in.feed(in.header.B[:])
	}
	in.feed(p)
	return n, nil
}

func (in *Incoming) feed(p []byte) {
	if in.bad == nil && !in.ended {
		_, err := in.stdin.Write(p)
		in.ended = err != nil
	}
}

// checkHeader is made before git sees the number of objects: it allocates memory by it.
func (in *Incoming) checkHeader() error {
	n, ok := in.header.Objects()
	switch {
	case !ok:
		return &PackError{fmt.Sprintf("it is no pack that begins with %q", in.header.B)}
	case n == 0 || int64(n) > int64(in.most):
		return &PackError{fmt.Sprintf("the pack's header says that it holds %d objects, where from 1 to %d are due", n, in.most)}
	}
	return nil
}

// Finish ends the pack and waits until it is indexed and checked. OfPeer tells whether the pack is to blame for an error.
func (in *Incoming) Finish() error {
	in.stdin.Close()
	err := in.index.done(in.index.Wait())
	in.stdin = nil
	switch {
	case in.bad != nil:
		return in.bad
	case err != nil:
		return in.why(err)
	case in.ended:
		return &PackError{behindTheEnd}
	}
	in.pack = filepath.Join(in.dir, "pack", "pack-"+in.index.notes.pack)
	return nil
}

// errSwept says that somebody has removed the quarantine while a pack was in it.
var errSwept = errors.New("what was coming in has been removed, as git gc --prune=now and git prune do: " +
	"run the same command again when they are done")

// why is err, or what ended the children that it is of, or what took away their files.
func (in *Incoming) why(err error) error {
	var failed *git.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errSwept), errors.Is(err, fs.ErrNotExist), errors.As(err, &failed) && failed.Says("No such file or directory"):
		return errSwept // nobody else removes anything there
	}
	if _, gone := os.Lstat(in.dir); gone != nil {
		return errSwept
	}
	return err
}

// Objects is how many objects a finished pack was said to hold, by its own header. Where it was thin, Names has more:
// the delta bases that were appended, each of which is in the store already.
func (in *Incoming) Objects() uint32 {
	n, _ := in.header.Objects()
	return n
}

// Discard ends index-pack if it still runs, and removes what is left of the quarantine.
func (in *Incoming) Discard() {
	in.cancel()
	if in.stdin != nil {
		in.stdin.Close()
		in.index.Process.Kill()
		in.index.Wait()
		in.stdin = nil
	}
	in.remove()
}

func (in *Incoming) remove() {
	// What cannot be removed is left for git prune; there is nobody to tell.
	os.RemoveAll(in.dir)
}
