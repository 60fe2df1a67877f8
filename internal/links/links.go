// Package links reads what objects are, and what they say of the objects that they name.
package links

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"aig/internal/git"
	"aig/internal/oid"
)

// Kind is the type of an object; a bit each, so that several claims of one object can be held together.
type Kind uint8

// The types of objects (gitglossary, "object type").
const (
	Commit Kind = 1 << iota
	Tree
	Blob
	Tag
)

// ParseKind returns the type of that name, 0 for what is no type, such as "missing".
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

// Kinds returns the type of each of the objects, 0 for one that can't be read. env goes on top of git's environment.
func Kinds(ctx context.Context, repo *git.Repo, env []string, names oid.Names) ([]Kind, error) {
	kinds := make([]Kind, 0, names.Len())
	for len(kinds) < names.Len() {
		c := repo.Command(ctx, env, "cat-file", "--batch-check=%(objecttype)")
		c.Stdin = git.NameLines(names, len(kinds))
		err := c.Lines(func(line []byte) error {
			kinds = append(kinds, ParseKind(string(line))) // or it says that the object is missing
			return nil
		})
		switch {
		case err == nil && len(kinds) < names.Len():
			return nil, fmt.Errorf("git cat-file told the types of %d objects of %d", len(kinds), names.Len())
		case err != nil && (ctx.Err() != nil || git.Stopped(err) || git.OfMachine(err)):
			return nil, err
		case err != nil: // it dies of some damaged objects
			kinds = append(kinds, 0)
		}
	}
	return kinds, nil
}

// Read calls visit with each link of the given commits, trees and tags: from is the position of the object, kind what it
// says that the target is. What a submodule is at is no link, and an object that can't be read has none. The target is valid
// until visit returns. Objects are read as a stream, whatever their size.
func Read(ctx context.Context, repo *git.Repo, env []string, names oid.Names, visit func(from int, target []byte, kind Kind) error) error {
	l := reader{target: make([]byte, repo.Format.Size()), format: repo.Format, visit: visit}
	for l.from < names.Len() {
		if err := l.read(repo.Command(ctx, env, "cat-file", "--batch=%(objecttype) %(objectsize)"), names); err != nil {
			return err
		}
	}
	return nil
}

// reader reads what `git cat-file --batch` says.
type reader struct {
	from   int // the object that comes next
	target []byte
	format oid.Format
	visit  func(from int, target []byte, kind Kind) error
}

// read is one run of git, which dies of some damaged objects: the next one begins behind that.
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
	out.Close() // if we have enough, git ends of it
	waited := c.Wait()
	if err == io.ErrUnexpectedEOF && waited != nil && !git.Stopped(waited) && !git.OfMachine(waited) {
		return nil
	}
	if err == nil || err == io.ErrUnexpectedEOF {
		return waited
	}
	return err
}

func (l *reader) answer(in, object *bufio.Reader) error {
	header, err := in.ReadString('\n')
	if err != nil {
		return io.ErrUnexpectedEOF
	}
	if strings.HasSuffix(header, " missing\n") {
		return nil
	}
	var kind string
	var size int64
	if _, err := fmt.Sscanf(header, "%s %d\n", &kind, &size); err != nil {
		return fmt.Errorf("git cat-file answered %q", header)
	}
	rest := &io.LimitedReader{R: in, N: size}
	object.Reset(rest)
	switch ParseKind(kind) {
	case Tree:
		err = l.tree(object)
	case Commit, Tag:
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

// tree reads the entries of a tree: a mode, a blank, a path, a NUL, a binary name. What isn't such an entry, git's own checks
// refuse, if they are wanted, and git can't follow either.
func (l *reader) tree(r *bufio.Reader) error {
	for {
		kind, err := modeKind(r)
		if err != nil {
			return nil
		}
		for err = bufio.ErrBufferFull; err == bufio.ErrBufferFull; {
			_, err = r.ReadSlice(0)
		}
		if err != nil {
			return nil
		}
		if _, err := io.ReadFull(r, l.target); err != nil {
			return nil
		}
		if kind != 0 {
			if err := l.visit(l.from, l.target, kind); err != nil {
				return err
			}
		}
	}
}

// modeKind reads a mode as git does: of octal digits, however many, only the bits of the file type count. What is neither a
// directory nor a file nor a symbolic link is a submodule.
func modeKind(r *bufio.Reader) (Kind, error) {
	var mode uint16
	for {
		switch c, err := r.ReadByte(); {
		case err != nil:
			return 0, err
		case c >= '0' && c <= '7':
			mode = mode<<3 | uint16(c-'0')
			continue
		case c != ' ':
			return 0, fmt.Errorf("%q in a mode", c)
		}
		switch mode & 0o170000 {
		case 0o040000:
			return Tree, nil
		case 0o100000, 0o120000:
			return Blob, nil
		}
		return 0, nil
	}
}

// header reads the headers of a commit or a tag that are links; they come first (git-mktag(1), git-commit-tree(1)).
func (l *reader) header(r *bufio.Reader) error {
	tagged := false
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return nil
		}
		key, value, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		var kind Kind
		switch string(key) {
		case "object":
			tagged = l.format.Parse(l.target, value) == nil
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
		if kind == 0 || !tagged && l.format.Parse(l.target, value) != nil {
			return nil
		}
		if err := l.visit(l.from, l.target, kind); err != nil || tagged {
			return err
		}
	}
}
