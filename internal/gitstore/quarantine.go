package gitstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
)

// Incoming is one pack on its way into the store. It is indexed in a quarantine: a directory inside the object
// directory that git does not look into. Install moves it into the store, Discard drops it.
//
// A quarantine that a crash leaves behind is swept by git itself: `git prune` removes tmp_* there in time.
type Incoming struct {
	store *Store
	ctx   context.Context
	dir   string
	index *indexer
	stdin io.WriteCloser
	// header is the pack's own, as it passed through.
	header packHeader
	pack   string // path without extension, once indexed
}

// Receive opens a quarantine and starts `git index-pack` in it. The caller writes one pack, then calls Finish; Discard
// must be called in the end in any case.
func (s *Store) Receive(ctx context.Context) (*Incoming, error) {
	dir, err := os.MkdirTemp(s.objectDir, "tmp_objdir-aig-")
	if err != nil {
		return nil, fmt.Errorf("our object directory: %w", err)
	}
	in := &Incoming{store: s, ctx: ctx, dir: dir}
	in.index = s.index(ctx, dir)
	if in.stdin, err = in.index.StdinPipe(); err == nil {
		err = in.index.Start()
	}
	if err != nil {
		in.remove()
		return nil, in.index.explain(err)
	}
	return in, nil
}

// quarantineEnv makes git write to dir and still see the store, and the further object directories (git's tmp-objdir.c
// does the same for a push).
func (s *Store) quarantineEnv(dir string, also ...string) []string {
	alternates := quoteAlternate(s.objectDir)
	for _, other := range also {
		alternates += string(os.PathListSeparator) + quoteAlternate(other)
	}
	for _, kv := range s.git.Env {
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

// Write feeds the pack. Its error means that index-pack has ended; Finish says why.
func (in *Incoming) Write(p []byte) (int, error) {
	in.header.see(p)
	return in.stdin.Write(p)
}

// Finish ends the pack and waits until it is indexed and checked. A *GitError says whether the pack or the machine is
// to blame.
func (in *Incoming) Finish() error {
	in.stdin.Close()
	err := in.index.done(in.index.Wait())
	in.stdin = nil
	if err != nil {
		return err
	}
	if _, ok := in.header.objects(); !ok {
		return &GitError{Command: in.index.name, Said: "what it took for a pack has no header of one"}
	}
	in.pack = filepath.Join(in.dir, "pack", "pack-"+in.index.notes.pack)
	return nil
}

// Objects is how many objects a finished pack was said to hold, by its own header. Where it was thin, Names has more:
// the delta bases that were appended, each of which is in the store already.
func (in *Incoming) Objects() uint32 {
	n, _ := in.header.objects()
	return n
}

// Names goes through the names of the objects of a finished pack, ascending, appended delta bases among them. A name is
// valid until the next one.
func (in *Incoming) Names() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if err := in.eachName(func(name []byte) bool { return yield(name, nil) }); err != nil {
			yield(nil, err)
		}
	}
}

func (in *Incoming) eachName(yield func([]byte) bool) error {
	idx, err := os.Open(in.pack + ".idx")
	if err != nil {
		return err
	}
	defer idx.Close()
	format := in.store.format
	c := in.store.git.command(in.ctx, nil, "show-index", "--object-format="+string(format))
	c.Stdin = idx
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return c.explain(err)
	}
	lines := bufio.NewScanner(out)
	name := make([]byte, format.Size())
	for lines.Scan() {
		fields := strings.Fields(lines.Text()) // offset, name, checksum
		if len(fields) < 2 {
			err = fmt.Errorf("git show-index said %q", lines.Text())
		} else {
			err = format.Parse(name, []byte(fields[1]))
		}
		if err != nil || !yield(name) {
			out.Close()
			c.Wait() // it died of the pipe that was closed on it
			return err
		}
	}
	if err := errors.Join(lines.Err(), c.explain(c.Wait())); err != nil {
		return err
	}
	return nil
}

// Install moves a finished pack into the store, or its objects where they are few and small; nothing that is there is
// ever replaced. A pack is complete from the moment its index appears; of loose objects each is for itself.
//
// Several packs can be on their way at once, but are installed one after the other: a .gitmodules or .gitattributes in
// one of them may be named by a tree in another, and is checked here, too late for Finish. A *GitError that is not
// OfMachine is such a file that git rejects.
//
// What git fetch makes durable is durable when Install returns, by git's own children and under the user's core.fsync:
// packs and their indices are synced by index-pack, and their directory here; loose objects, by git's default, are left
// to the operating system, which after a power failure may have lost them.
func (in *Incoming) Install() error {
	in.store.unchecked.mu.Lock()
	defer in.store.unchecked.mu.Unlock()
	if err := in.checkSpecial(&in.store.unchecked); err != nil {
		return err
	}
	small, err := in.small()
	if err != nil {
		return fmt.Errorf("our store: %w", err)
	}
	if small {
		return in.installLoose()
	}
	return in.installPack()
}

func (in *Incoming) installPack() error {
	packDir := filepath.Join(in.store.objectDir, "pack")
	if err := in.store.makeDir(packDir); err != nil {
		return fmt.Errorf("our store: %w", err)
	}
	// git finds packs by their .idx, so that comes last.
	for _, ext := range []string{".pack", ".rev", ".idx"} {
		err := moveNew(in.pack+ext, filepath.Join(packDir, filepath.Base(in.pack)+ext))
		if ext == ".rev" && errors.Is(err, fs.ErrNotExist) {
			continue // pack.writeReverseIndex=false, or an older git
		}
		if err != nil {
			return fmt.Errorf("our store: %w", err)
		}
	}
	return syncDir(packDir)
}

// makeDir makes a directory inside the object directory, with the permissions of the object directory itself: that is
// what core.sharedRepository has left there.
func (s *Store) makeDir(dir string) error {
	err := os.Mkdir(dir, 0o777)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	of, err := os.Stat(s.objectDir)
	if err != nil {
		return err
	}
	return os.Chmod(dir, of.Mode()&(fs.ModePerm|fs.ModeSetgid))
}

// moveNew moves a file and never replaces one: what is in a store stays as it is. A pack of the same name holds the
// same objects.
func moveNew(from, to string) error {
	err := os.Link(from, to)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// A file system without hard links.
	if _, err := os.Lstat(to); err == nil {
		return nil
	}
	return os.Rename(from, to)
}

// syncDir makes renames durable. Systems that cannot sync a directory (Windows) say so by an error that means nothing.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrInvalid) {
		return fmt.Errorf("our store: %w", err)
	}
	return nil
}

// Discard ends index-pack if it still runs, and removes what is left of the quarantine.
func (in *Incoming) Discard() {
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
