package links

import (
	"bufio"
	"bytes"
	"encoding/binary"
)

// A tree is a list of entries: a mode, a space, a path, a NUL, a binary name. git's own checks, unless they are off, refuse anything
// else, which git can't follow either.

const (
	// maxTree is the size up to which a tree is read at once, in bytes.
	maxTree = 1 << 16
	// maxTrees bounds how many of those are remembered.
	maxTrees = 16
	// toldBits says how many links are remembered: 1 << toldBits. All this leaves 0.8 of the 58.9 million links of git's own history.
	toldBits = 14
)

// tree reads the entries of a tree, and skips those that it shares with the last tree that began with the same mode and path: in pack
// order most trees are another version of one shortly before, of the same directory, and all but a few entries are the same.
func (l *reader) tree(tree []byte) error {
	var key string
	var before, rest []byte // the entries of that tree, and those yet to be compared
	done := 0
	for entry := l.entry(tree); entry != nil; entry = l.entry(tree[done:]) {
		if done == 0 {
			key = string(entry[:len(entry)-l.format.Size()])
			before = l.trees[key]
			rest = before
		}
		shared := bytes.HasPrefix(rest, entry)
		// The paths of a tree ascend, almost in byte order. Where they don't, the only effect is that entries are told again.
		for !shared && len(rest) > 0 {
			other := l.entry(rest)
			if bytes.Compare(l.path(other), l.path(entry)) > 0 {
				break
			}
			rest = rest[len(other):]
			shared = bytes.HasPrefix(rest, entry)
		}
		if shared {
			rest = rest[len(entry):]
		} else {
			var m mode
			if m.see(entry); m.bad {
				break
			}
			if err := l.tell(entry[len(entry)-l.format.Size():], m.kind()); err != nil {
				return err
			}
		}
		done += len(entry)
	}
	if done > 0 {
		if before == nil && len(l.trees) == maxTrees {
			clear(l.trees)
		}
		l.trees[key] = append(before[:0], tree[:done]...)
	}
	return nil
}

// entry returns the first entry of a tree, nil if there is none.
func (l *reader) entry(tree []byte) []byte {
	end := bytes.IndexByte(tree, 0) + 1
	if end == 0 || end+l.format.Size() > len(tree) {
		return nil
	}
	return tree[:end+l.format.Size()]
}

func (l *reader) path(entry []byte) []byte {
	_, path, _ := bytes.Cut(entry[:len(entry)-l.format.Size()], []byte(" "))
	return path
}

// largeTree reads the entries of a tree of any size, as a stream.
func (l *reader) largeTree(r *bufio.Reader) error {
	for {
		var m mode
		path, err := r.ReadSlice(0)
		for m.see(path); err == bufio.ErrBufferFull; m.see(path) {
			path, err = r.ReadSlice(0)
		}
		target, cut := r.Peek(l.format.Size())
		if err != nil || cut != nil || m.bad {
			return nil
		}
		if err := l.tell(target, m.kind()); err != nil {
			return err
		}
		r.Discard(len(target))
	}
}

// link is a link of a tree.
type link struct {
	target [32]byte
	kind   Kind
}

// tell calls visit if it is a link, unless it is the same as the last one whose target began with the same toldBits bits.
func (l *reader) tell(target []byte, kind Kind) error {
	now := link{kind: kind}
	copy(now.target[:], target)
	slot := &l.told[binary.BigEndian.Uint32(target)>>(32-toldBits)]
	if kind == 0 || *slot == now {
		return nil
	}
	*slot = now
	return l.visit(l.from, target, kind)
}

// mode is the mode of an entry as git reads it: any number of octal digits, of which only the bits of the file type count.
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

// kind returns the type that the entry claims for its target; 0 for a submodule, which is whatever is no directory, file or symbolic link.
func (m *mode) kind() Kind {
	switch m.bits & 0o170000 {
	case 0o040000:
		return Tree
	case 0o100000, 0o120000:
		return Blob
	}
	return 0
}
