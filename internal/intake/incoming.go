package intake

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"aig/internal/git"
	"aig/internal/links"
	"aig/internal/oid"
)

// Incoming is one pack on its way into the store. It is indexed in a quarantine: a directory inside the object directory that git
// doesn't look into. Install moves it into the store, Discard drops it. git prune sweeps a quarantine that a crash leaves behind.
type Incoming struct {
	store  *Store
	ctx    context.Context
	cancel context.CancelFunc // kills every git child that works on the pack
	dir    string
	index  *indexer
	stdin  io.WriteCloser
	most   int // objects that it may hold
	// header is the pack's first headerSize bytes. git doesn't get it before it is complete and valid.
	header  []byte
	bad     error    // what is wrong with the header
	pack    string   // path without extension, once indexed
	partial *os.File // nil, or the file that keeps the pack if the link breaks
	room    int64    // how many more bytes that may keep

	// Once listed:
	names *oid.List    // in the order of the pack
	kinds []links.Kind // theirs
	size  int64        // of the objects, unpacked, if they are few
}

// PackError says what is wrong with a pack: the peer's fault, not this side's.
type PackError struct {
	Object string // full, hexadecimal: the one to blame, the rest of the pack may be good; "" if it may be any
	MsgID  string // of the git check that the object fails, see git-fsck(1), "FSCK MESSAGES"; "" if it fails one of ours
	Text   string
}

func (e *PackError) Error() string {
	switch {
	case e.Object == "":
		return e.Text
	case e.MsgID == "":
		return fmt.Sprintf("object %s: %s", e.Object, e.Text)
	}
	return fmt.Sprintf("object %s: %s: %s", e.Object, e.MsgID, e.Text)
}

// Advice says how the user can let the object in all the same, or returns "" if git has no way.
func (e *PackError) Advice() string {
	if e.MsgID == "" {
		return ""
	}
	return fmt.Sprintf(" (to accept it: git config fetch.fsck.%s warn for all of this kind, or list its name in fetch.fsck.skipList)", e.MsgID)
}

// git ignores data after the end of a pack, and so it gets nowhere. We refuse the pack if git has read any of it, which depends on timing.
const behindTheEnd = "there is data after the end of the pack"

// Receive opens a quarantine and starts git index-pack in it, for a pack whose objects may number up to most. The caller writes the
// pack, calls Finish and, if all is well, Install. It must call Discard in any case.
//
// alone says that the pack has no delta against an object of the store, since the peer has none of them: git is then not shown the store.
// Otherwise it looks up each object in every pack there, which takes a third of its time for the last pack of a first copy. The look-up
// would also detect collisions, but the caller takes no name that the store already has.
func (s *Store) Receive(ctx context.Context, most int, alone bool) (*Incoming, error) {
	dir, err := os.MkdirTemp(s.ObjectDir, "tmp_objdir-aig-")
	if err != nil {
		return nil, fmt.Errorf("our object directory: %w", err)
	}
	in := &Incoming{store: s, dir: dir, most: most}
	in.ctx, in.cancel = context.WithCancel(ctx)
	env := s.quarantineEnv(dir)
	if alone {
		env = in.alone()
	}
	in.index = s.index(in.ctx, env)
	if in.stdin, err = in.index.StdinPipe(); err == nil {
		err = in.index.Start()
	}
	if err != nil {
		in.cancel()
		os.RemoveAll(dir)
		return nil, err
	}
	return in, nil
}

// quarantineEnv returns the environment in which git writes to dir and still sees the store, and any other object directories, as in
// git's tmp-objdir.c for a push.
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
		// git updates no reference while this is set.
		"GIT_QUARANTINE_PATH=" + dir,
	}
}

// alone returns the environment in which git sees the quarantine and nothing else. A finished pack contains all of its delta bases.
func (in *Incoming) alone() []string {
	return []string{"GIT_OBJECT_DIRECTORY=" + in.dir, "GIT_ALTERNATE_OBJECT_DIRECTORIES="}
}

// quoteAlternate writes a path so that it stays one entry of GIT_ALTERNATE_OBJECT_DIRECTORIES (git(1)).
func quoteAlternate(path string) string {
	if !strings.ContainsRune(path, os.PathListSeparator) && !strings.HasPrefix(path, `"`) && !strings.Contains(path, "\n") {
		return path
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(path) + `"`
}

// Write feeds the pack to git. Its only error is a *git.LimitError, which concerns all packs. Once this one turns out bad, the rest of
// it is dropped, and Finish or Names returns the error.
func (in *Incoming) Write(p []byte) (int, error) {
	if in.partial != nil {
		in.keep(p)
	}
	if err := in.store.account(len(p)); err != nil {
		return 0, err
	}
	n := len(p)
	if lacking := headerSize - len(in.header); lacking > 0 {
		in.header = append(in.header, p[:min(lacking, n)]...)
		if n < lacking {
			return n, nil
		}
		p = p[lacking:]
		in.bad = in.checkHeader()
		in.feed(in.header)
	}
	in.feed(p)
	return n, nil
}

func (in *Incoming) feed(p []byte) {
	if in.bad == nil {
		in.stdin.Write(p) // if git has stopped reading, Finish or Names says why
	}
}

// headerSize is that of a pack's header: "PACK", the version, the number of objects (gitformat-pack(5)).
const headerSize = 12

// checkHeader runs before git sees the number of objects, for which it allocates memory.
func (in *Incoming) checkHeader() error {
	if string(in.header[:8]) != "PACK\x00\x00\x00\x02" { // the only version that git writes
		return &PackError{Text: fmt.Sprintf("it is not a pack of version 2: it begins with %q", in.header)}
	}
	if n := in.Objects(); n == 0 || int64(n) > int64(in.most) {
		return &PackError{Text: fmt.Sprintf("the pack's header announces %d objects, but 1 to %d are expected", n, in.most)}
	}
	return nil
}

// Finish ends the pack and waits until git has indexed and checked it. If the pack is to blame, the error is a *PackError.
func (in *Incoming) Finish() error {
	in.stdin.Close()
	err := in.index.done(in.index.Wait())
	in.stdin = nil
	switch {
	case in.bad != nil:
		return in.bad
	case err != nil:
		return in.why(err)
	}
	in.pack = filepath.Join(in.dir, "pack", "pack-"+in.index.pack)
	return nil
}

// errSwept says that somebody has removed the quarantine while a pack was in it.
var errSwept = errors.New("the incoming pack was removed, as by git gc --prune=now or git prune: " +
	"run the same command again when that is done")

// why turns what git said of a pack into a *PackError, unless the machine is at fault, and any error into errSwept if that is the cause.
func (in *Incoming) why(err error) error {
	if err == nil {
		return nil
	}
	failed, ofGit := errors.AsType[*git.Error](err)
	_, gone := os.Lstat(in.dir)
	if gone != nil || errors.Is(err, errSwept) || errors.Is(err, fs.ErrNotExist) || ofGit && failed.Says("No such file or directory") {
		return errSwept // nobody else removes anything there
	}
	if ofGit && !failed.OfMachine() && !errors.As(err, new(*PackError)) {
		return &PackError{Text: err.Error()}
	}
	return err
}

// Objects returns the number of objects in the pack's header. If the pack was thin, Names has more: the delta bases that git has
// appended, all of which are in the store already.
func (in *Incoming) Objects() uint32 {
	if len(in.header) < headerSize {
		return 0
	}
	return binary.BigEndian.Uint32(in.header[8:])
}

// Names returns the names of a finished pack's objects in the order of the pack, those of appended delta bases among them, and their
// types. An object that is in the pack twice is there once. If the pack is to blame for an error, it is a *PackError.
func (in *Incoming) Names() (*oid.List, []links.Kind, error) {
	if in.names == nil {
		if err := in.list(); err != nil {
			return nil, nil, in.why(err)
		}
	}
	return in.names, in.kinds, nil
}

// list asks git for what Names returns.
func (in *Incoming) list() error {
	format := "%(objectname) %(deltabase)"
	if in.few() {
		format = "%(objectname) %(objecttype) %(objectsize)" // which takes following each delta chain, and inflating a part of each delta
	}
	names, bases, name := oid.NewList(in.store.Format), oid.NewList(in.store.Format), make([]byte, in.store.Format.Size())
	var kinds []links.Kind
	var total int64
	c := in.store.Command(in.ctx, in.alone(), "cat-file", "--batch-all-objects", "--unordered", "--buffer", "--batch-check="+format)
	err := c.Lines(func(line []byte) error {
		digits, rest, _ := bytes.Cut(line, []byte(" "))
		if err := in.store.Format.Parse(name, digits); err != nil {
			return err
		}
		names.Append(name)
		if !in.few() {
			if in.store.Format.Parse(name, rest) != nil { // "missing": git index-pack accepts more than git reads afterwards
				clear(name)
			}
			bases.Append(name)
			return nil
		}
		word, size, _ := bytes.Cut(rest, []byte(" "))
		kinds = append(kinds, links.ParseKind(string(word)))
		n, _ := strconv.ParseInt(string(size), 10, 56) // a huge one is cut, and too large all the same
		total += n
		return nil
	})
	if err == nil && !in.few() {
		kinds, err = links.ChainKinds(in.ctx, in.store.Repo, in.alone(), names, links.Positions(names, bases))
	}
	if unread := slices.Index(kinds, 0); unread >= 0 {
		err = &PackError{Text: fmt.Sprintf("git can't read object %x in the pack", names.At(unread))}
	}
	// Where the pack has been removed, git finds nothing, and says nothing.
	if _, gone := os.Lstat(in.pack + ".idx"); gone != nil || err != nil {
		return cmp.Or(gone, err)
	}
	in.names, in.kinds, in.size = names, kinds, total
	return nil
}

// Links is [links.Read] for objects of a finished pack. An object that git can't read is the pack's fault.
func (in *Incoming) Links(names oid.Names, visit func(from int, target []byte, kind links.Kind) error) error {
	unread, err := links.Read(in.ctx, in.store.Repo, in.alone(), names, visit)
	if err == nil && unread > 0 {
		err = &PackError{Text: fmt.Sprintf("git can't read %d of its objects", unread)}
	}
	return in.why(err)
}

// Discard ends index-pack if it still runs, and removes what is left of the quarantine.
func (in *Incoming) Discard() {
	in.cancel()
	if in.stdin != nil {
		in.stdin.Close()
		in.index.Wait()
		in.stdin = nil
	}
	if in.partial != nil {
		in.partial.Close()
		in.store.Partials() // together they may now exceed aig.maxPartial
	}
	os.RemoveAll(in.dir) // what can't be removed is left to git prune
}
