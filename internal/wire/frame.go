// Package wire is the language that two peers speak inside the authenticated channel: frames and messages.
//
// A frame is a pkt-line (gitprotocol-common, "pkt-line Format") whose payload begins with one byte that says what the
// message is; the rest is its body. There is no flush-pkt and no empty payload. docs/protocol.md has the table.
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

// The messages. What follows the type is in the comment; integers are big-endian.
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
	TypePackBegin Type = 'N' // PackBegin: a large pack begins, perhaps in its middle
	TypePack      Type = 'P' // bytes of the pack under way
	TypePackEnd   Type = 'p' // PackEnd: the pack under way is whole
	TypePackDrop  Type = 'd' // empty: the pack under way is void, and its objects come again
	TypeStored    Type = 'S' // uint32: the pack of that number is in the store
	TypeRefused   Type = 'R' // Refused: the pack of that number is not
	TypeOmitted   Type = 'O' // binary object names, at least one: announced, but the sender cannot read them
	TypeKept      Type = 'K' // short names, at least one: announced, but the sender does not give them
	TypeDone      Type = 'D' // uint64: everything announced has been stored, that many objects
	TypeAlive     Type = 'A' // empty: the sender is there
	TypeAbort     Type = 'X' // text: the sender gives up, and why
	TypeBye       Type = 'B' // empty: the sender's last frame
)

// Frame is one message as it stands on the wire.
type Frame struct {
	Type Type
	Body []byte
}

// ErrNotFrame is Reader's error for bytes that are no frame: what is wrong is the other end, not the pipe.
var ErrNotFrame = errors.New("the peer sent what is not a frame")

// headerSize is the four hexadecimal digits of a pkt-line, which count themselves too.
const headerSize = 4

// Reader takes frames from a byte stream.
type Reader struct {
	in    *bufio.Reader
	frame [headerSize + 1 + MaxBody]byte
}

// NewReader makes a Reader. It reads ahead; nothing else may read from r afterwards.
func NewReader(r io.Reader) *Reader { return &Reader{in: bufio.NewReaderSize(r, 1<<17)} }

// Next is the next frame, whose body is valid until the following call. An end of the stream is always an error, since
// only TypeBye ends a conversation: io.ErrUnexpectedEOF, wherever it came.
//
// This is no pktline.Scanner, since that one takes payloads that begin with "ERR " for an error of git's, and hands on
// their text raw.
func (r *Reader) Next() (Frame, error) {
	header := r.frame[:headerSize]
	if err := r.fill(header); err != nil {
		return Frame{}, err
	}
	length, err := strconv.ParseUint(string(header), 16, 16)
	if err != nil || length <= headerSize || int(length) > len(r.frame) {
		return Frame{}, fmt.Errorf("%w, but %q", ErrNotFrame, header)
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

// Writer puts frames on a byte stream. It may be used by several goroutines: a frame is written whole.
type Writer struct {
	turn   chan struct{} // is full while somebody writes; whoever has waited longest is next, also beside bulk
	buffer *bufio.Writer
	enc    *pktline.Encoder
	frame  []byte
	err    error
}

// NewWriter makes a Writer, the only one of w.
func NewWriter(w io.Writer) *Writer {
	buffer := bufio.NewWriterSize(w, pktline.OversizePayloadMax+4)
	return &Writer{turn: make(chan struct{}, 1), buffer: buffer, enc: pktline.NewEncoder(buffer)}
}

// Write sends a frame of type t, whose body is the parts one after another, at most MaxBody bytes in all. After an
// error every further call returns the same error, and after TypeAbort, which is the last frame, io.ErrClosedPipe.
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
