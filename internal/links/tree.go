package links

import (
	"bufio"
	"bytes"
	"encoding/binary"
)

// tree reads the entries of a tree: a mode, a blank, a path, a NUL, a binary name. What isn't such an entry, git's own checks
// refuse, if they are wanted, and git can't follow either.
func (l *reader) tree(r *bufio.Reader) error {
	defer l.trees.end()
	for {
		var m mode
		path, err := r.ReadSlice(0)
		for m.see(path); err == bufio.ErrBufferFull; m.see(path) {
			l.trees.add(path)
			path, err = r.ReadSlice(0)
		}
		l.trees.add(path)
		target, cut := r.Peek(l.format.Size())
		if err != nil || cut != nil || m.bad {
			return nil
		}
		if kind := m.kind(); !l.trees.repeats(target) && kind != 0 {
			if err := l.tell(target, kind); err != nil {
				return err
			}
		}
		r.Discard(len(target))
	}
}

// toldBits says how many links are remembered: enough for the 58.9 million of git's own history to be told as 0.6 million.
const toldBits = 14

// link is a link of a tree.
type link struct {
	target [32]byte
	kind   Kind
}

// tell calls visit, unless the last link that begins with the same bits was the same.
func (l *reader) tell(target []byte, kind Kind) error {
	now := link{kind: kind}
	copy(now.target[:], target)
	slot := &l.told[binary.BigEndian.Uint32(target)>>(32-toldBits)]
	if *slot == now {
		return nil
	}
	*slot = now
	return l.visit(l.from, target, kind)
}

// mode is the mode of an entry as git reads it: of octal digits, however many, only the bits of the file type count.
type mode struct {
	bits       uint16
	ended, bad bool
}

// see takes the beginning of an entry, or what follows it.
func (m *mode) see(entry []byte) {
	for _, c := range entry {
		switch {
		case m.ended:
			return
		case c >= '0' && c <= '7':
			m.bits = m.bits<<3 | uint16(c-'0')
		default:
			m.ended, m.bad = true, c != ' '
		}
	}
}

// kind returns what the entry says that its target is. What is neither a directory nor a file nor a symbolic link is a submodule.
func (m *mode) kind() Kind {
	switch m.bits & 0o170000 {
	case 0o040000:
		return Tree
	case 0o100000, 0o120000:
		return Blob
	}
	return 0
}

const (
	// maxTree bounds, in bytes, what is remembered of a tree.
	maxTree = 1 << 16
	// maxTrees bounds how many trees are remembered.
	maxTrees = 16
)

// trees finds entries that were read before. In the order of a pack most trees are a version of one that came shortly before, of the
// same directory, and all but a few entries are the same. The last tree that begins with the same path is taken for that version.
type trees struct {
	size   int               // of a name
	last   map[string][]byte // whole entries of trees, by the first mode and path
	now    []byte            // the tree that is being read
	whole  int               // how much of now is whole entries
	long   bool              // it is longer than maxTree, and not compared
	key    string            // its first mode and path
	before []byte            // the tree that it is compared with
	rest   []byte            // of that, what comes next
}

// add takes a part of an entry's mode and path.
func (t *trees) add(part []byte) {
	if t.long = t.long || len(t.now)+len(part)+t.size > maxTree; !t.long {
		t.now = append(t.now, part...)
	}
}

// repeats takes the rest of the entry, and reports whether the tree that came before has the same entry.
func (t *trees) repeats(target []byte) bool {
	if t.long {
		return false
	}
	t.now = append(t.now, target...)
	entry := t.now[t.whole:]
	if t.whole == 0 {
		t.key = string(entry[:len(entry)-t.size])
		t.before = t.last[t.key]
		t.rest = t.before
	}
	t.whole = len(t.now)
	// The paths of a tree ascend, almost by their bytes. Where they don't, entries are only told again.
	for len(t.rest) > 0 && !bytes.HasPrefix(t.rest, entry) {
		n := bytes.IndexByte(t.rest, 0) + 1 + t.size
		if bytes.Compare(t.path(t.rest[:n]), t.path(entry)) > 0 {
			return false
		}
		t.rest = t.rest[n:]
	}
	if len(t.rest) == 0 {
		return false
	}
	t.rest = t.rest[len(entry):]
	return true
}

func (t *trees) path(entry []byte) []byte {
	_, path, _ := bytes.Cut(entry[:len(entry)-t.size], []byte(" "))
	return path
}

// end remembers the tree.
func (t *trees) end() {
	free := t.now
	if !t.long && t.whole > 0 {
		if t.before == nil && len(t.last) == maxTrees {
			clear(t.last)
		}
		t.last[t.key] = t.now[:t.whole]
		free = t.before
	}
	*t = trees{size: t.size, last: t.last, now: free[:0]}
}
