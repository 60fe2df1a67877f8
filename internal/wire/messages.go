package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"aig/internal/ref"
)

// Version is the newest version of the conversation that this program speaks; see Hello.
const Version = 1

// maxText bounds the text of a Refused or TypeAbort message in bytes. It is shown quoted.
const maxText = 1024

// maxContext bounds a context in bytes.
const maxContext = 128

// Direction says which ways a side lets objects travel.
type Direction string

// The directions, as spelt in Hello.
const (
	Both Direction = "both" // gives and receives
	Pull Direction = "pull" // receives only
	Push Direction = "push" // gives only
)

// Gives reports whether a side of this direction gives objects.
func (d Direction) Gives() bool { return d != Pull }

// Receives reports whether a side of this direction receives objects.
func (d Direction) Receives() bool { return d != Push }

// AnyFormat is the object format of a side that holds: it adopts the peer's.
const AnyFormat = "any"

// Hello is what each side says first: lines `key SP value LF`, in any order. A reader ignores keys that it does not
// know, which is how a later program adds an optional feature. A key of this struct must appear exactly once, or at most
// once if it is optional.
type Hello struct {
	Oldest, Newest int       // "versions": the versions of the conversation that the sender speaks
	Format         string    // "object-format": as git prints it
	Direction      Direction // "direction"
	Objects        uint64    // "objects": how many objects the sender's store holds
	Agent          string    // "agent": the program and its version, for people
	Context        string    // "context": the word that must be the same on both sides, see CheckContext; optional, "" is none
	Refs           int       // "refs": how many references the sender tells after its hello; optional, 0
	Uncommitted    int       // "uncommitted": how many of the sender's files have uncommitted changes; optional, 0
	Hold           bool      // "hold": the peer waits for TypeGo or TypeLeave; optional
	Sorted         bool      // "sorted": the sender knows TypeSorted; optional
	Resume         bool      // "resume": the sender knows TypePartial and TypePackBegin; optional
}

// Append appends the message's body to b.
func (h Hello) Append(b []byte) []byte {
	b = fmt.Appendf(b, "versions %d %d\nobject-format %s\ndirection %s\nobjects %d\nagent %s\n",
		h.Oldest, h.Newest, h.Format, h.Direction, h.Objects, h.Agent)
	if h.Context != "" {
		b = fmt.Appendf(b, "context %s\n", h.Context)
	}
	if h.Refs > 0 {
		b = fmt.Appendf(b, "refs %d\n", h.Refs)
	}
	if h.Uncommitted > 0 {
		b = fmt.Appendf(b, "uncommitted %d\n", h.Uncommitted)
	}
	for _, key := range []string{"hold", "sorted", "resume"} {
		if *h.flag(key) {
			b = append(b, key+" 1\n"...)
		}
	}
	return b
}

// flag returns the field of a key whose only value is 1.
func (h *Hello) flag(key string) *bool {
	return map[string]*bool{"hold": &h.Hold, "sorted": &h.Sorted, "resume": &h.Resume}[key]
}

// ParseHello reads the body of a TypeHello frame. Object format and agent are unchecked foreign text, but without line feeds.
func ParseHello(body []byte) (Hello, error) {
	var h Hello
	seen := make(map[string]bool)
	for len(body) > 0 {
		line, rest, ok := bytes.Cut(body, []byte{'\n'})
		if !ok {
			return Hello{}, errors.New("the peer's hello is cut short")
		}
		body = rest
		key, value, ok := strings.Cut(string(line), " ")
		if !ok || key == "" {
			return Hello{}, fmt.Errorf("the peer's hello has a line without a key and a value: %.80q", line)
		}
		known, err := h.set(key, value)
		if err != nil {
			return Hello{}, fmt.Errorf("the peer's hello: %s %.80q: %w", key, value, err)
		}
		if known && seen[key] {
			return Hello{}, fmt.Errorf("the peer's hello says %s twice", key)
		}
		seen[key] = true
	}
	for _, key := range []string{"versions", "object-format", "direction", "objects", "agent"} {
		if !seen[key] {
			return Hello{}, fmt.Errorf("the peer's hello lacks the key %s", key)
		}
	}
	if h.Hold && (h.Format != AnyFormat || h.Direction != Pull || h.Objects != 0) {
		return Hello{}, errors.New("the peer's hello says hold, but also something that a side that holds must not say")
	}
	return h, nil
}

func (h *Hello) set(key, value string) (known bool, err error) {
	switch key {
	case "versions":
		oldest, newest, _ := strings.Cut(value, " ")
		if h.Oldest, err = parseInt(oldest); err == nil {
			h.Newest, err = parseInt(newest)
		}
		if err == nil && h.Oldest > h.Newest {
			err = errors.New("the oldest is newer than the newest")
		}
	case "object-format":
		h.Format = value
	case "direction":
		h.Direction = Direction(value)
		if h.Direction != Both && h.Direction != Pull && h.Direction != Push {
			err = errors.New("not a direction")
		}
	case "objects":
		h.Objects, err = parseUint(value)
	case "agent":
		h.Agent = value
	case "context":
		h.Context, err = value, CheckContext(value)
	case "refs":
		if h.Refs, err = parseInt(value); err == nil && h.Refs > ref.Max {
			err = errors.New("too many")
		}
	case "uncommitted":
		if h.Uncommitted, err = parseInt(value); err == nil && h.Uncommitted == 0 {
			err = errors.New("zero must be left out")
		}
	case "hold", "sorted", "resume":
		if *h.flag(key) = true; value != "1" {
			err = errors.New("not 1")
		}
	default:
		return false, nil
	}
	return true, err
}

// CheckContext returns an error unless word can be a context: 1 to maxContext bytes of UTF-8 without control characters. Two
// contexts are the same if their bytes are; nothing is folded or normalised.
func CheckContext(word string) error {
	switch {
	case word == "":
		return errors.New("the context is empty")
	case len(word) > maxContext:
		return fmt.Errorf("a context has at most %d bytes, this one %d", maxContext, len(word))
	case !utf8.ValidString(word) || strings.ContainsFunc(word, unicode.IsControl):
		return fmt.Errorf("a context is UTF-8 without control characters, and %q is not", word)
	}
	return nil
}

// parseUint parses a decimal number in its shortest form only, so that the result marshals to what was read.
func parseUint(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, errors.New("not a number")
	}
	return n, nil
}

func parseInt(s string) (int, error) {
	n, err := parseUint(s)
	if err == nil && n > 1<<30 {
		err = errors.New("too large")
	}
	return int(n), err
}

// Common is what a side believes, after the negotiation, that both hold. If the two sides differ, chance or one of them has
// deceived the other.
type Common struct {
	Objects uint64
	Digest  uint64 // reconcile.Key.Seal
}

// Partial is what a side holds of a pack that was cut.
type Partial struct {
	Object uint64 // short name of the object that the pack is named after
	Bytes  uint64 // of the pack's beginning
	Sum    [sha256.Size]byte
}

// PackEnd ends a pack.
type PackEnd struct {
	Number  uint32 // counts the sender's packs from 0; a dropped pack has no number
	Objects uint32 // how many objects it holds
}

// fixed is the set of messages whose bodies have a fixed size.
type fixed interface {
	uint32 | uint64 | Common | Partial | PackEnd
}

// Append appends the body of a message to b.
func Append[T fixed](b []byte, message T) []byte {
	b, _ = binary.Append(b, binary.BigEndian, message) // fails only if the size isn't fixed
	return b
}

// Parse reads the body of a message, which errors call what.
func Parse[T fixed](body []byte, what string) (message T, err error) {
	if len(body) != binary.Size(message) {
		return message, badLength(what, len(body))
	}
	_, err = binary.Decode(body, binary.BigEndian, &message)
	return message, err
}

const partialSize = 8 + 8 + sha256.Size

// MaxPartials is how many partial packs fit into one frame, and so how many a side can tell.
const MaxPartials = MaxBody / partialSize

// ParsePartials reads the body of a TypePartial frame.
func ParsePartials(body []byte) ([]Partial, error) {
	if len(body) == 0 || len(body)%partialSize != 0 {
		return nil, badLength("list of partial packs", len(body))
	}
	all := make([]Partial, len(body)/partialSize)
	_, err := binary.Decode(body, binary.BigEndian, all)
	return all, err
}

// PackBegin begins a pack whose beginning the receiver may keep if the pack is cut.
type PackBegin struct {
	Offset uint64 // how many bytes of the pack are skipped, as the receiver holds them
	Object []byte // binary name of the object that the pack is named after, one of those in it
}

// Append appends the message's body to b.
func (m PackBegin) Append(b []byte) []byte {
	return append(Append(b, m.Offset), m.Object...)
}

// ParsePackBegin reads the body of a TypePackBegin frame, in which names have the given size in bytes.
func ParsePackBegin(body []byte, size int) (PackBegin, error) {
	if len(body) != 8+size {
		return PackBegin{}, badLength("pack begin", len(body))
	}
	return PackBegin{binary.BigEndian.Uint64(body), bytes.Clone(body[8:])}, nil
}

// Refused says that a pack was refused.
type Refused struct {
	Number uint32
	Object []byte // the binary name of the object to blame; the null name if it may be any
	Reason string // at most maxText bytes
}

// Append appends the message's body to b.
func (m Refused) Append(b []byte) []byte {
	return AppendText(append(Append(b, m.Number), m.Object...), m.Reason)
}

// ParseRefused reads the body of a TypeRefused frame, in which names have the given size in bytes.
func ParseRefused(body []byte, size int) (Refused, error) {
	if len(body) < 4+size {
		return Refused{}, badLength("refusal", len(body))
	}
	reason, err := ParseText(body[4+size:])
	return Refused{binary.BigEndian.Uint32(body), bytes.Clone(body[4 : 4+size]), reason}, err
}

// AppendText appends a text of at most maxText bytes.
func AppendText(b []byte, text string) []byte { return append(b, CutText(text, maxText)...) }

// CutText returns the valid UTF-8 within the first most bytes of a text.
func CutText(text string, most int) string {
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

// ParseText reads a text. It checks nothing but the length.
func ParseText(body []byte) (string, error) {
	if len(body) > maxText {
		return "", badLength("text", len(body))
	}
	return string(body), nil
}

// CheckNames checks that the body of a TypeOmitted or TypeKept frame consists of names of the given size in bytes.
func CheckNames(body []byte, size int) error {
	if len(body) == 0 || len(body)%size != 0 {
		return badLength("list of names", len(body))
	}
	return nil
}

func badLength(what string, n int) error {
	return fmt.Errorf("the peer sent a %s of %d bytes", what, n)
}
