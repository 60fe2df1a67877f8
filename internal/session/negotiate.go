package session

import (
	"bytes"
	"context"
	"fmt"

	"aig/internal/wire"
)

// This negotiation is the plain one: each side sends the names of all its objects in ascending order, and merges the
// other's list, as it comes, with its own. Its result is common, give and want; nothing after it knows how they were found.

func (s *session) sendNames(context.Context) error {
	size := s.local.Format().Size()
	perFrame := wire.NamesPerFrame(size)
	frame := make([]byte, 0, perFrame*size)
	for i := 0; i < s.local.Len(); {
		frame = frame[:0]
		for range min(perFrame, s.local.Len()-i) {
			frame = append(frame, s.local.At(i)...)
			i++
		}
		if err := s.write(wire.TypeNames, frame); err != nil {
			return err
		}
	}
	return s.write(wire.TypeNamesEnd, wire.AppendCount(nil, uint64(s.local.Len())))
}

func (s *session) readNames(context.Context) error {
	m := merge{s: s, want: newWanted(s.shortKey())}
	for {
		f, err := s.next("the peer's list of objects")
		if err != nil {
			return err
		}
		switch f.Type {
		case wire.TypeNames:
			if err := m.names(f.Body); err != nil {
				return err
			}
		case wire.TypeNamesEnd:
			if err := m.end(f.Body); err != nil {
				return err
			}
			s.common = uint64(s.local.Len() - len(m.give))
			if s.weGive() {
				s.give = m.give
			}
			s.want = m.want
			return s.want.seal()
		default:
			return unexpected(f, "its list of objects")
		}
	}
}

// merge is a merge of our ascending list with the peer's, as far as that has come.
type merge struct {
	s    *session
	next int    // position in our list
	last []byte // the peer's last name
	n    uint64 // how many it has sent
	give []uint32
	want *wanted
}

func (m *merge) names(body []byte) error {
	local := m.s.local
	size := local.Format().Size()
	body, err := wire.ParseNames(body, size)
	if err != nil {
		return err
	}
	for ; len(body) > 0; body = body[size:] {
		name := body[:size]
		if m.last != nil && bytes.Compare(m.last, name) >= 0 {
			return fmt.Errorf("the peer's list of objects is out of order at %x", name)
		}
		m.last = append(m.last[:0], name...)
		if m.n++; m.n > m.s.peer.Objects {
			return fmt.Errorf("the peer lists more objects than the %d it said it holds", m.s.peer.Objects)
		}
		order := m.skipTo(name)
		if order == 0 {
			m.next++ // both sides hold it
		} else if m.s.theyGive() {
			m.want.add(name)
		}
	}
	return nil
}

// skipTo passes over those of our names that are smaller than name: the peer lacks them.
func (m *merge) skipTo(name []byte) (order int) {
	local := m.s.local
	for ; m.next < local.Len(); m.next++ {
		if order = bytes.Compare(local.At(m.next), name); order >= 0 {
			return order
		}
		m.give = append(m.give, uint32(m.next))
	}
	return 1
}

func (m *merge) end(body []byte) error {
	count, err := wire.ParseCount(body)
	if err != nil {
		return err
	}
	if count != m.n || count != m.s.peer.Objects {
		return fmt.Errorf("the peer said that it holds %d objects, listed %d, and counted %d", m.s.peer.Objects, m.n, count)
	}
	for ; m.next < m.s.local.Len(); m.next++ {
		m.give = append(m.give, uint32(m.next))
	}
	return nil
}
