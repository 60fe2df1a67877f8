// Package links reads the types of objects, and the types that they claim for the objects that they name.
package links

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"aig/internal/git"
	"aig/internal/oid"
)

// Kind is the type of an object; a bit each, so that several claims about one object can be combined.
type Kind uint8

// The types of objects (gitglossary, "object type").
const (
	Commit Kind = 1 << iota
	Tree
	Blob
	Tag
)

// ParseKind returns the type that s names, or 0 if it names none, as with "missing".
func ParseKind(s string) Kind {
	switch s {
	case "commit":
		return Commit
	case "tree":
		return Tree
	case "blob":
		return Blob
	case "tag":
		return Tag
	}
	return 0
}

func (k Kind) String() string {
	var names []string
	for i, name := range []string{"commit", "tree", "blob", "tag"} {
		if k&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " and a ")
}

// git dies of some damaged objects, and flushes what it has buffered until then. The next run begins after that object.

// Kinds returns the type of each of the objects, 0 for one that can't be read. env goes on top of git's environment.
func Kinds(ctx context.Context, repo *git.Repo, env []string, names oid.Names) ([]Kind, error) {
	kinds := make([]Kind, 0, names.Len())
	for len(kinds) < names.Len() {
		c := repo.Command(ctx, env, "cat-file", "--buffer", "--batch-check=%(objecttype)")
		c.Stdin = git.NameLines(names, len(kinds))
		err := c.Lines(func(line []byte) error {
			kinds = append(kinds, ParseKind(string(line))) // 0 if the line says that the object is missing
			return nil
		})
		switch {
		case err == nil && len(kinds) < names.Len():
			return nil, fmt.Errorf("git cat-file gave the types of %d of %d objects", len(kinds), names.Len())
		case err != nil && (ctx.Err() != nil || git.Stopped(err) || git.OfMachine(err)):
			return nil, err
		case err != nil:
			kinds = append(kinds, 0)
		}
	}
	return kinds, nil
}

// Read calls visit with each link of the given commits, trees and tags: from is the position of the object, kind the type
// that it claims for the target. A submodule's commit is no link, and an object that can't be read has none. The target is
// valid until visit returns. Objects are read as a stream, whatever their size. A link that several trees share may be
// visited only once.
//
// It returns how many of the objects git could not read.
func Read(ctx context.Context, repo *git.Repo, env []string, names oid.Names, visit func(from int, target []byte, kind Kind) error) (unread int, err error) {
	l := reader{format: repo.Format, visit: visit, told: make([]link, 1<<toldBits), trees: make(map[string][]byte)}
	for l.from < names.Len() {
		if err := l.read(repo.Command(ctx, env, "cat-file", "--buffer", "--batch=%(objecttype) %(objectsize)"), names); err != nil {
			return l.unread, err
		}
	}
	return l.unread, nil
}

// reader reads the output of `git cat-file --batch`.
type reader struct {
	from   int // the position of the next object
	unread int
	format oid.Format
	visit  func(from int, target []byte, kind Kind) error
	told   []link            // see tell
	trees  map[string][]byte // the last trees, by their first mode and path
}

// read runs git once.
func (l *reader) read(c *git.Child, names oid.Names) error {
	c.Stdin = git.NameLines(names, l.from)
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	answers := bufio.NewReaderSize(out, 1<<17)
	object := bufio.NewReaderSize(nil, 1<<16)
	for ; l.from < names.Len() && err == nil; l.from++ {
		err = l.answer(answers, object)
	}
	out.Close() // if we stop early, git dies of it
	waited := c.Wait()
	if err == io.ErrUnexpectedEOF && waited != nil && !git.Stopped(waited) && !git.OfMachine(waited) {
		l.unread++
		return nil
	}
	if err == nil || err == io.ErrUnexpectedEOF {
		return waited
	}
	return err
}

func (l *reader) answer(in, object *bufio.Reader) error {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return io.ErrUnexpectedEOF
	}
	header := string(line[:len(line)-1])
	if strings.HasSuffix(header, " missing") {
		l.unread++
		return nil
	}
	kind, digits, _ := strings.Cut(header, " ")
	size, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || size < 0 {
		return fmt.Errorf("git cat-file answered %q", header)
	}
	rest := &io.LimitedReader{R: in, N: size}
	switch kind := ParseKind(kind); {
	case kind == Tree && size <= maxTree:
		tree, cut := in.Peek(int(size))
		if cut != nil {
			return io.ErrUnexpectedEOF
		}
		err = l.tree(tree)
	case kind == Tree:
		object.Reset(rest)
		err = l.largeTree(object)
	case kind == Commit || kind == Tag:
		object.Reset(rest)
		err = l.header(object)
	}
	if err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, in, rest.N+1); err != nil { // a line end follows
		return io.ErrUnexpectedEOF
	}
	return nil
}

// header reads the headers of a commit or a tag that are links; they come first (git-mktag(1), git-commit-tree(1)).
func (l *reader) header(r *bufio.Reader) error {
	target, tagged := make([]byte, l.format.Size()), false
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return nil
		}
		key, value, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		var kind Kind
		switch string(key) {
		case "object":
			tagged = l.format.Parse(target, value) == nil
			continue
		case "type":
			if kind = ParseKind(string(value)); !tagged {
				return nil
			}
		case "tree":
			kind = Tree
		case "parent":
			kind = Commit
		}
		if kind == 0 || !tagged && l.format.Parse(target, value) != nil {
			return nil
		}
		if err := l.visit(l.from, target, kind); err != nil || tagged {
			return err
		}
	}
}
