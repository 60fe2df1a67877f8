// Package tunnel turns a pipe to an unknown other end into an authenticated, encrypted pipe to a known peer.
//
// First the two sides elect, in plaintext and in one round trip, who is the SSH server. Then SSH (RFC 4251 to 4254)
// runs over the pipe, with each side's own key as host key or user key, and carries exactly one channel.
package tunnel

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"aig/internal/watchdog"
)

// Role is a side's part in the SSH connection. Nothing after the handshake depends on it.
type Role int

// The roles. The side with the larger number is the server.
const (
	Client Role = iota + 1
	Server
)

const (
	// magic begins a preface. The line ends, the NUL and the ^Z make a pipe that is not clean for all bytes (a terminal in
	// between, say) show here and not later.
	magic = "aig\x00\r\n\x1a\n"
	// Version is the version of the preface and of what follows it up to the channel.
	Version = 1
	// prefaceSize is magic, version (uint32) and number (uint64), big-endian.
	prefaceSize = len(magic) + 4 + 8
	// quoted is how much of something that is no peer is collected for the error message.
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

// ErrNoPeer is Elect's error when the pipe ended before the peer said anything.
var ErrNoPeer = errors.New("the pipe ended before a peer came")

// ErrWait is Elect's error when no peer came in time.
var ErrWait = errors.New("no peer came")

// Timing bounds the waits of Elect and Open.
type Timing struct {
	Wait    time.Duration // for the peer's first byte; 0 is without end
	Timeout time.Duration // for the rest of the preface, and for each byte of the handshake
}

// Elect exchanges prefaces over the pipe. The caller closes the pipe; Elect does so too where a wait must end, so that
// nothing can be done with it after an error.
func Elect(ctx context.Context, pipe io.ReadWriteCloser, timing Timing) (Role, error) {
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return 0, err
	}
	return elect(ctx, pipe, timing, binary.BigEndian.Uint64(random[:]))
}

func elect(ctx context.Context, pipe io.ReadWriteCloser, timing Timing, number uint64) (Role, error) {
	defer context.AfterFunc(ctx, func() { pipe.Close() })()
	// Both sides speak at once, so the pipe may be one that takes a byte only when the other end reads.
	written := make(chan error, 1)
	go func() {
		_, err := pipe.Write(preface{Version, number}.append(nil))
		written <- err
	}()
	peer, err := readPreface(pipe, timing)
	if err != nil {
		pipe.Close()
		<-written
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return 0, err
	}
	unread := time.AfterFunc(timing.Timeout, func() { pipe.Close() })
	err = <-written
	switch {
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case !unread.Stop():
		return 0, fmt.Errorf("the peer has not taken our preface for %s: the link is stuck in that direction", timing.Timeout)
	case err != nil:
		return 0, fmt.Errorf("sending the preface: %w", err)
	}
	switch {
	case peer.version != Version:
		return 0, fmt.Errorf("the peer speaks version %d of the preface and this program version %d: "+
			"the older of the two must be updated", peer.version, Version)
	case peer.number == number:
		return 0, errors.New("the election is a tie: the transport echoes our own bytes back")
	case peer.number > number:
		return Client, nil
	}
	return Server, nil
}

func readPreface(pipe io.ReadWriteCloser, timing Timing) (preface, error) {
	buf := make([]byte, prefaceSize)
	n, err := readFirst(pipe, buf, timing.Wait)
	if err != nil {
		return preface{}, err
	}
	watched := watchdog.Watch(pipe, timing.Timeout, "the rest of the peer's preface")
	for {
		if known := min(n, len(magic)); string(buf[:known]) != magic[:known] {
			return preface{}, notAPeer(pipe, buf[:n])
		}
		if n == prefaceSize {
			rest := buf[len(magic):]
			return preface{binary.BigEndian.Uint32(rest), binary.BigEndian.Uint64(rest[4:])}, nil
		}
		k, err := watched.Read(buf[n:])
		n += k
		if err != nil && n < prefaceSize {
			if errors.Is(err, io.EOF) {
				return preface{}, fmt.Errorf("the pipe ended within the peer's preface, after %q", buf[:n])
			}
			return preface{}, err
		}
	}
}

// readFirst waits for the peer to come.
func readFirst(pipe io.ReadWriteCloser, buf []byte, wait time.Duration) (int, error) {
	var late atomic.Bool
	if wait > 0 {
		timer := time.AfterFunc(wait, func() {
			late.Store(true)
			pipe.Close()
		})
		defer timer.Stop()
	}
	for {
		n, err := pipe.Read(buf)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
		case late.Load():
			return 0, fmt.Errorf("%w within %s", ErrWait, wait)
		case errors.Is(err, io.EOF):
			return 0, ErrNoPeer
		default:
			return 0, fmt.Errorf("%w: %w", ErrNoPeer, err)
		}
	}
}

// notAPeer says what the pipe leads to instead: what it said up to a line's end, as far as it comes soon.
func notAPeer(pipe io.ReadWriteCloser, said []byte) error {
	watched := watchdog.Watch(pipe, 500*time.Millisecond, "the rest of a line")
	buf := make([]byte, quoted)
	for len(said) < quoted && !bytes.Contains(said, []byte("\n")) {
		n, err := watched.Read(buf[:quoted-len(said)])
		said = append(said, buf[:n]...)
		if err != nil {
			break
		}
	}
	return fmt.Errorf("the transport does not lead to a peer, it said %q: is it the right command, "+
		"and does it leave the bytes alone (no terminal, no banner)", said)
}
