package links

import (
	"bufio"
	"encoding/binary"
)

// A tree is a list of entries: a mode, a space, a path, a NUL, a binary name. git's own checks, unless they are off, refuse anything
// else, which git can't follow either.

// toldBits says how many links are remembered: 1 << toldBits. They leave 1.1 of the 58.9 million links of git's own history, since in
// pack order most trees are another version of one shortly before, of the same directory.
const toldBits = 16

// tree reads the entries of a tree, of any size.
func (l *reader) tree(r *bufio.Reader) error {
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
