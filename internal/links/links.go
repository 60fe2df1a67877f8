// Package links reads the types of objects, and the types that they claim for the objects that they name.
package links

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
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

// kindNames are git's names of the types, in the order of their bits.
var kindNames = []string{"commit", "tree", "blob", "tag"}

// ParseKind returns the type that s names, or 0 if it names none, as with "missing".
func ParseKind(s string) Kind {
	if i := slices.Index(kindNames, s); i >= 0 {
		return 1 << i
	}
	return 0
}

func (k Kind) String() string {
	var names []string
	for i, name := range kindNames {
		if k&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " and a ")
}

// Object is what git says of an object.
type Object struct {
	Kind Kind
	Size int64
	In   io.Reader // its content, which may be read in part, until visit returns
	Err  error     // why git can't read it: a *git.Error if git died of it; nothing else is then known
}

// Objects calls visit with each of the objects, in order. Objects are read as a stream, whatever their size. If git dies within the
// content of one, that ends early, visit may return io.EOF, and is called again with the error.
//
// flags are git cat-file's. With --buffer it is faster, but if a signal ends it, it may have died of a later object.
func Objects(ctx context.Context, repo *git.Repo, env, flags []string, names oid.Names, visit func(i int, o Object) error) error {
	args := append([]string{"cat-file", "--batch=%(objecttype) %(objectsize)"}, flags...)
	for i := 0; i < names.Len(); {
		c := repo.Command(ctx, env, args...)
		c.Stdin = git.NameLines(names, i)
		out, err := c.StdoutPipe()
		if err != nil {
			return err
		}
		if err := c.Start(); err != nil {
			return err
		}
		in := bufio.NewReaderSize(out, 1<<17)
		for ; i < names.Len() && err == nil; i++ {
			err = answer(in, func(o Object) error { return visit(i, o) })
		}
		out.Close() // if we stop early, git dies of it
		waited := c.Wait()
		switch cut := errors.Is(err, io.EOF); {
		case cut && waited != nil && !git.Stopped(waited):
			err = visit(i-1, Object{Err: waited})
		case cut || err == nil:
			err = waited
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// answer reads one answer of `git cat-file --batch` (git-cat-file(1), "BATCH OUTPUT"). If it ends early, the error is io.EOF.
func answer(in *bufio.Reader, visit func(o Object) error) error {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return err
	}
	header := string(line[:len(line)-1])
	if strings.HasSuffix(header, " missing") {
		return visit(Object{Err: errors.New("missing")})
	}
	kind, digits, _ := strings.Cut(header, " ")
	size, err := strconv.ParseInt(digits, 10, 63)
	if err != nil || size < 0 {
		return fmt.Errorf("git cat-file answered %q", header)
	}
	content := &io.LimitedReader{R: in, N: size}
	if err := visit(Object{Kind: ParseKind(kind), Size: size, In: content}); err != nil {
		return err
	}
	_, err = io.CopyN(io.Discard, in, content.N+1) // a line end follows
	return err
}

// Read calls visit with each link of the given commits, trees and tags: from is the position of the object, kind the type
// that it claims for the target. A submodule's commit is no link, and an object that can't be read has none. The target is
// valid until visit returns. A link that several trees share may be visited only once.
//
// It returns how many of the objects git could not read.
func Read(ctx context.Context, repo *git.Repo, env []string, names oid.Names, visit func(from int, target []byte, kind Kind) error) (unread int, err error) {
	l := reader{format: repo.Format, visit: visit, told: make([]link, 1<<toldBits), buffer: bufio.NewReaderSize(nil, 1<<16)}
	err = Objects(ctx, repo, env, []string{"--buffer"}, names, l.object)
	return l.unread, err
}

// reader reads links.
type reader struct {
	from   int // the position of the object
	format oid.Format
	visit  func(from int, target []byte, kind Kind) error
	told   []link // see tell
	buffer *bufio.Reader
	unread int // objects that git could not read
}

func (l *reader) object(from int, o Object) error {
	l.from = from
	l.buffer.Reset(o.In)
	switch {
	case git.OfMachine(o.Err): // which says nothing of the object
		return o.Err
	case o.Err != nil:
		l.unread++
	case o.Kind == Tree:
		return l.tree(l.buffer)
	case o.Kind == Commit, o.Kind == Tag:
		return l.header(l.buffer)
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
