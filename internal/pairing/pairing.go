// Package pairing introduces two sides that share a short code to each other for good: each proves by CPace that it knows the
// code, over an SSH connection that accepts any key until then. What remains is the peer's key and a shared secret, by which the
// two meet again. docs/protocol.md has the messages, docs/security.md what the code protects against.
package pairing

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"aig/internal/cpace"
	"aig/internal/wire"
)

// Side is the part that a side plays, as the two people have agreed.
type Side string

// The sides. Which of them is the SSH server, and so CPace's initiator, is left to chance.
const (
	Invite Side = "invite"
	Accept Side = "accept"
)

// The messages, in wire's frames. Each side begins with its share.
const (
	typeShare wire.Type = 'K' // a share's 32 bytes, and its data: "aig pairing 1 <side> <role>"
	typeTag   wire.Type = 'T' // the tag that confirms the key; the initiator's answers the responder's
	typeKept  wire.Type = 'N' // the pair is kept: a byte, 1 if a sync may follow at once; then the side's own name
)

// version is part of what the key is bound to.
const version = "1"

// maxName bounds a side's own name in bytes.
const maxName = 100

// Options configures one side.
type Options struct {
	Side      Side
	Secret    string // of the code
	Initiator bool   // the SSH server
	// From the SSH connection: its session identifier, and both public key blobs.
	SessionID       []byte
	OwnKey, PeerKey []byte

	Name string // our own name, cut to maxName bytes; it is only shown
	Sync bool   // a sync may follow on the same connection

	// Keep saves the pair, and Undo removes it again.
	Keep func(Secret) error
	Undo func() error
}

// Peer is what the other side has said of itself.
type Peer struct {
	Name string // untrusted
	Sync bool   // a sync follows
}

// errCode is Run's error if the two sides have different codes, or aren't at the two ends of the same SSH connection.
var errCode = errors.New("the two codes differ: one was mistyped, or somebody in between tried to guess the code; " +
	"it is spent, so invite again to get a new one")

// Run pairs over a channel. If it returns no error, both sides have kept the pair. After an error we have not; the peer may
// have, if the error says so.
func Run(channel io.ReadWriter, o Options) (Peer, error) {
	c := conversation{in: wire.NewReader(channel), out: wire.NewWriter(channel)}
	key, err := c.prove(o)
	if err != nil {
		if errors.Is(err, errCode) {
			c.out.Write(wire.TypeAbort, []byte("wrong code")) // for a responder that waits; it may have gone
		}
		return Peer{}, err
	}
	if err := o.Keep(newSecret(key.ISK[:], o.Side)); err != nil {
		c.out.Write(wire.TypeAbort, []byte("it can't keep the pair"))
		return Peer{}, err
	}
	peer, err := c.settle(o)
	if err != nil {
		if undoErr := o.Undo(); undoErr != nil {
			err = fmt.Errorf("%w; %w", err, undoErr)
		}
		return Peer{}, err
	}
	return peer, nil
}

type conversation struct {
	in  *wire.Reader
	out *wire.Writer
}

// prove runs CPace with explicit confirmation: the initiator sends its tag only to a responder that has sent the right one, so
// that an attacker gets one guess a run, whichever side it plays.
func (c conversation) prove(o Options) (*cpace.Key, error) {
	x, err := cpace.Start(o.input(), o.Initiator, data(o.Side, o.Initiator))
	if err != nil {
		return nil, err
	}
	if err := c.out.Write(typeShare, x.Own.Point[:], x.Own.Data); err != nil {
		return nil, err
	}
	share, err := c.readShare(o)
	if err != nil {
		return nil, err
	}
	key, err := x.Finish(share)
	if err != nil {
		return nil, fmt.Errorf("the peer's share: %w", err)
	}
	if !o.Initiator {
		if err := c.out.Write(typeTag, key.Tag[:]); err != nil {
			return nil, err
		}
	}
	tag, err := c.read(typeTag)
	if err != nil {
		return nil, err
	}
	if !key.Confirms(tag) {
		return nil, errCode
	}
	if o.Initiator {
		err = c.out.Write(typeTag, key.Tag[:])
	}
	return key, err
}

// input binds the key to this connection and to both public keys: a man in the middle has two connections and two pairs of keys.
func (o Options) input() cpace.Input {
	initiator, responder := o.OwnKey, o.PeerKey
	if !o.Initiator {
		initiator, responder = responder, initiator
	}
	var ci []byte
	for _, part := range [][]byte{[]byte("aig pairing " + version), initiator, responder} {
		ci = binary.BigEndian.AppendUint32(ci, uint32(len(part)))
		ci = append(ci, part...)
	}
	return cpace.Input{Password: []byte(o.Secret), ChannelID: ci, SessionID: o.SessionID}
}

// data is the data of a side's share. The two sides' differ in both words.
func data(side Side, initiator bool) []byte {
	role := "responder"
	if initiator {
		role = "initiator"
	}
	return []byte("aig pairing " + version + " " + string(side) + " " + role)
}

func (c conversation) readShare(own Options) (cpace.Share, error) {
	body, err := c.read(typeShare)
	if err != nil {
		return cpace.Share{}, err
	}
	if len(body) < cpace.ShareSize {
		return cpace.Share{}, fmt.Errorf("the peer's share has %d bytes", len(body))
	}
	other := Invite
	if own.Side == Invite {
		other = Accept
	}
	expected := data(other, !own.Initiator)
	switch said := string(body[cpace.ShareSize:]); said {
	case string(expected):
		return cpace.Share{Point: [cpace.ShareSize]byte(body), Data: expected}, nil
	case string(data(own.Side, !own.Initiator)):
		return cpace.Share{}, fmt.Errorf("both sides %s: one of you has to %s", own.Side, other)
	case string(data(other, own.Initiator)):
		return cpace.Share{}, errors.New("somebody is in between: the other side is on a different SSH connection")
	default:
		return cpace.Share{}, fmt.Errorf("the peer pairs in a different way, %.60q: the older of the two programs must be updated", said)
	}
}

// settle tells the peer that we have kept the pair, and waits to be told the same.
func (c conversation) settle(o Options) (Peer, error) {
	var sync byte
	if o.Sync {
		sync = 1
	}
	kept := c.out.Write(typeKept, []byte{sync}, []byte(wire.CutText(o.Name, maxName)))
	body, err := c.read(typeKept)
	switch {
	case errors.As(err, new(*abortError)):
		return Peer{}, err
	case err == nil && (len(body) < 1 || body[0] > 1 || len(body) > 1+maxName || !utf8.Valid(body[1:])):
		err = errors.New("the peer's last message makes no sense")
	case err == nil && kept == nil:
		return Peer{Name: string(body[1:]), Sync: o.Sync && body[0] == 1}, nil
	}
	return Peer{}, fmt.Errorf("%w; nothing is kept here, but the peer may have kept the pair, and then needs --replace", cmp.Or(err, kept))
}

// abortError says that the peer gave up.
type abortError struct{ Why string }

func (e *abortError) Error() string { return fmt.Sprintf("the peer gave up: %.200q", e.Why) }

func (c conversation) read(want wire.Type) ([]byte, error) {
	f, err := c.in.Next()
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("the peer left before the pairing was complete")
	case err != nil:
		return nil, err
	case f.Type == wire.TypeAbort && string(f.Body) == "wrong code":
		return nil, errCode
	case f.Type == wire.TypeAbort:
		return nil, &abortError{string(f.Body)}
	case f.Type != want:
		return nil, fmt.Errorf("the peer sent a message of type %q where %q was due", f.Type, want)
	}
	return f.Body, nil
}
