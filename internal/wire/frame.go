// Package wire is the language that two peers speak inside the authenticated channel: frames and messages.
//
// A frame is a pkt-line (gitprotocol-common, "pkt-line Format") whose payload is one byte for the type of the message,
// then its body. There is no flush-pkt and no empty payload. docs/protocol.md has the table.
package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
)

// MaxBody is the longest body of a frame in bytes: what a pkt-line can carry, less the type.
const MaxBody = pktline.MaxPayloadSize - 1

// Type says which message a frame holds.
type Type byte

// The messages, with their bodies. Integers are big-endian.
const (
	TypeHello     Type = 'H' // lines of text, see Hello
	TypeRefs      Type = 'F' // lines, see Ref
	TypeGo        Type = 'G' // uint64: a side that held has decided, and holds that many objects
	TypeLeave     Type = 'Q' // empty: a side that held wants nothing
	TypeSymbols   Type = 'Y' // coded symbols of the sender's set, see package reconcile
	TypeList      Type = 'L' // short names of the sender's set, see package reconcile
	TypeSorted    Type = 'M' // the same, ascending and coded by their differences
	TypeCommon    Type = 'C' // Common: what the sender takes for common
	TypePartial   Type = 'U' // Partial, one or more: what the sender holds of packs that were cut
	TypePackBegin Type = 'N' // PackBegin: a large pack begins or is resumed
	TypePack      Type = 'P' // bytes of the pack under way
	TypePackEnd   Type = 'p' // PackEnd: the pack under way is complete
	TypePackDrop  Type = 'd' // empty: the pack under way is void; its objects come again or are omitted
	TypeStored    Type = 'S' // uint32: the pack of that number is in the store
	TypeRefused   Type = 'R' // Refused: the pack of that number is not
	TypeOmitted   Type = 'O' // binary object names, at least one: announced, but unreadable or refused
	TypeKept      Type = 'K' // short names, at least one: announced, but the sender does not give them
	TypeDone      Type = 'D' // uint64: everything announced has been settled, that many objects stored
	TypeAlive     Type = 'A' // empty: the sender is alive
	TypeAbort     Type = 'X' // text: the sender gives up, and why
	TypeBye       Type = 'B' // empty: the sender's last frame
)

// Frame is one message as sent on the wire.
type Frame struct {
	Type Type
	Body []byte
}

// ErrNotFrame is Reader's error for bytes that are not a frame: the other end is at fault, not the pipe.
var ErrNotFrame = errors.New("the peer sent something that is not a frame")

// headerSize is the size of a pkt-line's length: four hexadecimal digits, which count themselves too.
const headerSize = 4

// Reader reads frames from a byte stream.
type Reader struct {
	in    *bufio.Reader
	frame [headerSize + 1 + MaxBody]byte
}

// NewReader returns a Reader. It reads ahead, so nothing else may read from r afterwards.
func NewReader(r io.Reader) *Reader { return &Reader{in: bufio.NewReaderSize(r, 1<<17)} }

// Next returns the next frame, whose body is valid until the next call. The end of the stream is always an error, since only
// TypeBye ends a conversation: io.ErrUnexpectedEOF, even between two frames.
//
// It doesn't use pktline.Scanner, which takes a payload that begins with "ERR " for an error of git's, and passes its text on
// raw.
func (r *Reader) Next() (Frame, error) {
	header := r.frame[:headerSize]
	if err := r.fill(header); err != nil {
		return Frame{}, err
	}
	length, err := strconv.ParseUint(string(header), 16, 16)
	if err != nil || length <= headerSize || int(length) > len(r.frame) {
		return Frame{}, fmt.Errorf("%w: %q", ErrNotFrame, header)
	}
	payload := r.frame[headerSize:length]
	if err := r.fill(payload); err != nil {
		return Frame{}, err
	}
	return Frame{Type: Type(payload[0]), Body: payload[1:]}, nil
}

func (r *Reader) fill(p []byte) error {
	_, err := io.ReadFull(r.in, p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// Writer writes frames to a byte stream. Several goroutines may use it: frames don't interleave.
type Writer struct {
	turn   chan struct{} // full during a write; whoever has waited longest is next, so bulk can't starve small messages
	buffer *bufio.Writer
	enc    *pktline.Encoder
	frame  []byte
	err    error
}

// NewWriter returns a Writer. Nothing else may write to w.
func NewWriter(w io.Writer) *Writer {
	buffer := bufio.NewWriterSize(w, pktline.OversizePayloadMax+4)
	return &Writer{turn: make(chan struct{}, 1), buffer: buffer, enc: pktline.NewEncoder(buffer)}
}

// Write sends a frame of type t, whose body is the concatenated parts, at most MaxBody bytes in all. After an error every
// further call returns the same error, and after TypeAbort, which is the last frame, io.ErrClosedPipe.
func (w *Writer) Write(t Type, parts ...[]byte) error {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	if w.err != nil {
		return w.err
	}
	w.frame = append(w.frame[:0], byte(t))
	for _, p := range parts {
		w.frame = append(w.frame, p...)
	}
	if w.err = w.enc.Encode(w.frame); w.err == nil {
		w.err = w.buffer.Flush()
	}
	if w.err == nil && t == TypeAbort {
		w.err = io.ErrClosedPipe
		return nil
	}
	return w.err
}
