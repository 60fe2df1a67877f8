package tunnel

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"aig/internal/ref"
)

// handshakeError returns the most helpful reason: ours (we refuse the peer's key), then the pipe's, then the peer's (it
// refused our key).
func (c *Conn) handshakeError(err error) error {
	var unasked *ssh.ServerAuthError // with no attempt but "none": the pipe ended before there was one
	attempt := func(err error) bool { return !errors.Is(err, ssh.ErrNoAuth) }
	switch {
	case c.refusal != nil:
		return c.refusal
	case ended(err) || errors.As(err, &unasked) && !slices.ContainsFunc(unasked.Errors, attempt):
		return endedError("the pipe ended during the SSH handshake: the link broke, or the peer gave up " +
			"(does it trust our key? AIG_TRUST=" + ssh.FingerprintSHA256(c.OwnKey) + ")")
	case !c.Server && c.PeerKey != nil && says(err, "ssh: unable to authenticate", "ssh: disconnect"):
		return fmt.Errorf("the peer does not trust our key: its side must start with AIG_TRUST=%s", ssh.FingerprintSHA256(c.OwnKey))
	}
	return failed("SSH handshake with the peer", err)
}

// endedError is an io.ErrUnexpectedEOF in our words.
type endedError string

func (e endedError) Error() string { return string(e) }
func (endedError) Unwrap() error   { return io.ErrUnexpectedEOF }

const maxSSHError = 300 // bytes of an error's text

// ofPeer makes an error of x/crypto/ssh, which may quote a packetful of the peer's words, short and printable.
func ofPeer(err error) error {
	text := err.Error()
	if len(text) > maxSSHError {
		return errors.New(ref.Show(text[:maxSSHError]) + "…")
	}
	return errors.New(ref.Show(text))
}

// ended returns whether an SSH connection ended or failed with its pipe, and not because of what came through it.
func ended(err error) bool {
	return err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, new(pipeFailure))
}

// failed wraps SSH's error about what failed. A packet that fails its integrity check, or can't be one at all, was not sent
// by the peer.
func failed(what string, err error) error {
	if says(err, "message authentication failed", "MAC failure", "packet too large", "packet too small", "packet length") {
		return fmt.Errorf("bytes were lost or altered between the two sides (%w): the transport alters data, "+
			"or somebody is tampering with it", ofPeer(err))
	}
	return fmt.Errorf("%s: %w", what, ofPeer(err))
}

// says returns whether an error's text contains one of texts: x/crypto/ssh gives no other way to tell some errors apart.
func says(err error, texts ...string) bool {
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(err.Error(), text) })
}

// broken returns why a connection is over, or nil if it simply ended.
func broken(why error) error {
	if ended(why) {
		return nil
	}
	return failed("the SSH connection with the peer failed", why)
}

// errEnded says that a connection simply ended where it must not end.
var errEnded = errors.New("the connection ended")

type pipeFailure struct{ error }

func (f pipeFailure) Unwrap() error { return f.error }

// ofPipe marks a failure of the pipe. It leaves io.EOF alone, which x/crypto/ssh compares with.
func ofPipe(n int, err error) (int, error) {
	if err != nil && err != io.EOF {
		err = pipeFailure{err}
	}
	return n, err
}
