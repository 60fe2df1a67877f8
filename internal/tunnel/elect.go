// Package tunnel turns a pipe to an unknown other end into an authenticated, encrypted pipe to a known peer.
//
// First the two sides elect the SSH server, in plaintext and in one round trip. Then SSH (RFC 4251 to 4254) runs over the
// pipe, with each side's key as its host key or user key, and carries one channel at a time.
package tunnel

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

const (
	// magic begins a preface. The line ends, the NUL and the ^Z expose a pipe that alters bytes, as a terminal does, here and
	// not later.
	magic = "aig\x00\r\n\x1a\n"
	// Version is the version of the preface and of everything up to the channel.
	Version = 1
	// prefaceSize is the size in bytes of magic, version (uint32) and number (uint64), big-endian.
	prefaceSize = len(magic) + 4 + 8
	// identification begins SSH (RFC 4253, section 4.2). Its number says which side opens channels, see [Conn.open].
	identification = "SSH-2.0-aig_2"
	// quoted is the most bytes that an error message quotes of something that is no peer.
	quoted = 64
)

type preface struct {
	version uint32
	number  uint64
}

func (p preface) append(b []byte) []byte {
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint32(b, p.version)
	return binary.BigEndian.AppendUint64(b, p.number)
}

// ErrNoPeer is Elect's error if the pipe ended before the peer said anything.
var ErrNoPeer = errors.New("the pipe ended before a peer came")

// ErrWait is Elect's error if no peer came in time.
var ErrWait = errors.New("no peer came")

// Timing bounds the waits of Elect and Open.
type Timing struct {
	Wait    time.Duration // for the peer's first byte; 0 means no limit
	Timeout time.Duration // from then to the end of the election, and again for all of Open
}

// begun is a pipe on which we have sent SSH's identification already.
type begun struct{ io.ReadWriteCloser }

func (b begun) Write(p []byte) (int, error) {
	if string(p) == identification+"\r\n" { // later there are only SSH packets, which can't begin like this
		return len(p), nil
	}
	return b.ReadWriteCloser.Write(p)
}

// Elect exchanges prefaces over the pipe. It returns whether we are the SSH server, which is the side with the larger number, and the
// pipe for Open, on which SSH has begun: a side sends the same identification in either role, without waiting for the other's preface.
// After an error the pipe is useless, and the caller closes it.
func Elect(ctx context.Context, pipe io.ReadWriteCloser, timing Timing) (begins io.ReadWriteCloser, server bool, err error) {
	var random [8]byte
	rand.Read(random[:]) // never fails
	server, err = elect(ctx, pipe, timing, binary.BigEndian.Uint64(random[:]))
	return begun{pipe}, server, err
}

func elect(ctx context.Context, pipe io.ReadWriteCloser, timing Timing, number uint64) (server bool, err error) {
	const forever = time.Duration(math.MaxInt64)
	defer context.AfterFunc(ctx, func() { pipe.Close() })()
	began := false
	limit := time.AfterFunc(cmp.Or(timing.Wait, forever), func() { pipe.Close() })
	// Both sides write before they read, as in SSH too: the pipe must hold these 35 bytes. If it takes none, the other end may
	// still have said why.
	_, sendErr := pipe.Write(append(preface{Version, number}.append(nil), identification+"\r\n"...))
	peer, err := readPreface(pipe, func() {
		if began = true; limit.Stop() {
			limit.Reset(timing.Timeout)
		}
	})
	if err == nil && sendErr != nil {
		err = fmt.Errorf("sending the preface: %w", sendErr)
	}
	switch inTime := limit.Stop(); {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case !inTime && !began:
		return false, fmt.Errorf("%w within %s", ErrWait, timing.Wait)
	case !inTime:
		return false, fmt.Errorf("the election was not over %s after the peer's first byte: the link or the other side is stuck",
			timing.Timeout)
	case err == io.EOF:
		return false, ErrNoPeer
	case !began:
		return false, fmt.Errorf("%w: %w", ErrNoPeer, err)
	case err != nil:
		return false, err
	case peer.version != Version:
		return false, fmt.Errorf("the peer speaks version %d of the preface and this program version %d: "+
			"the older of the two must be updated", peer.version, Version)
	case peer.number == number:
		return false, errors.New("the election is a tie: the transport echoes our own bytes back")
	}
	return number > peer.number, nil
}

// readPreface reads a preface, and calls began at its first byte. It stops at the first wrong byte. The error is io.EOF if nothing came.
func readPreface(pipe io.ReadWriteCloser, began func()) (preface, error) {
	buf := make([]byte, prefaceSize)
	for n := 0; n < prefaceSize; {
		k, err := pipe.Read(buf[n:])
		if n == 0 && k > 0 {
			began()
		}
		n += k
		if known := min(n, len(magic)); string(buf[:known]) != magic[:known] {
			return preface{}, notAPeer(pipe, buf[:n])
		}
		switch {
		case err == nil || n == prefaceSize:
		case n == 0:
			return preface{}, err
		default:
			return preface{}, fmt.Errorf("the pipe ended within the peer's preface, after %q: %w", buf[:n], err)
		}
	}
	rest := buf[len(magic):]
	return preface{binary.BigEndian.Uint32(rest), binary.BigEndian.Uint64(rest[4:])}, nil
}

// notAPeer returns an error that quotes what the pipe leads to instead: its first line, or what comes of it soon.
func notAPeer(pipe io.ReadWriteCloser, said []byte) error {
	defer time.AfterFunc(500*time.Millisecond, func() { pipe.Close() }).Stop()
	buf := make([]byte, quoted)
	for len(said) < quoted && !bytes.Contains(said, []byte("\n")) {
		n, err := pipe.Read(buf[:quoted-len(said)])
		said = append(said, buf[:n]...)
		if err != nil {
			break
		}
	}
	said, _, _ = bytes.Cut(said, []byte(magic)) // our own preface, if the transport also echoes
	return fmt.Errorf("the transport does not lead to a peer, it said %q: is it the right command, "+
		"and does it leave the bytes alone (no terminal, no banner)", said)
}
