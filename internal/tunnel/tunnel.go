package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/identity"
	"aig/internal/sshguard"
)

// channelType is the type of the one channel. A private name belongs to a domain (RFC 4250, section 4.6.1), and nobody can
// own one under .invalid (RFC 2606).
const channelType = "sync@aig.invalid"

// Options says who we are and whom we trust.
type Options struct {
	Signer  ssh.Signer                   // our key, as package identity has it: host key or user key, by our role
	Trusted func(key ssh.PublicKey) bool // returns whether a key is the peer's
	Timing  Timing                       // as for Elect
}

// check returns why a key that the peer has proven to have is not good enough.
func (o Options) check(key ssh.PublicKey) error {
	fingerprint := ssh.FingerprintSHA256(key)
	if !o.Trusted(key) {
		return &UntrustedError{fingerprint}
	}
	if err := identity.CheckKey(key); err != nil {
		return fmt.Errorf("the peer's key %s %w", fingerprint, err)
	}
	return nil
}

// supported returns the algorithms that x/crypto/ssh holds secure; its own default has weaker ones. Finite-field key exchanges
// are left out: nobody needs them, and [sshguard.FirstKeys] knows only exchanges of one round trip.
func supported() ssh.Algorithms {
	a := ssh.SupportedAlgorithms()
	a.KeyExchanges = slices.DeleteFunc(a.KeyExchanges, func(name string) bool { return strings.HasPrefix(name, "diffie-hellman-") })
	return a
}

func config(a ssh.Algorithms) ssh.Config {
	return ssh.Config{KeyExchanges: a.KeyExchanges, Ciphers: a.Ciphers, MACs: a.MACs}
}

// Conn is the authenticated pipe: its Write and CloseWrite are the one channel's.
type Conn struct {
	ssh.Channel
	conn     ssh.Conn
	services sync.WaitGroup // goroutines that answer the peer until the connection is over
	over     chan struct{}  // closed when the connection is over and why is set
	why      error
}

func newConn(conn ssh.Conn, requests <-chan *ssh.Request) *Conn {
	c := &Conn{conn: conn, over: make(chan struct{})}
	c.services.Go(func() {
		ssh.DiscardRequests(requests)
		sshguard.Drain(sshguard.Queue(conn)) // or Wait might never return
	})
	c.services.Go(func() {
		c.why = conn.Wait()
		close(c.over)
	})
	return c
}

// Read reads from the channel. At the peer's end of it, the error is io.EOF; at an end that the peer has not made, it is
// another, such as *AlteredError.
//
// An error beside bytes is dropped: it only says that the peer has gone and can't be told that they were read. What it said
// before is still to be read, and the next Read says why it has gone.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Channel.Read(p)
	switch {
	case n > 0:
		return n, nil
	case err == io.EOF:
		select {
		case <-c.over:
			if broken := broken(c.why); broken != nil {
				err = broken
			}
		case <-time.After(lastPacket):
		}
	}
	return n, err
}

// lastPacket is how long after the end of the channel the connection may end by the same packet.
const lastPacket = 200 * time.Millisecond

// SessionID returns the exchange hash of the first key exchange (RFC 4253, section 7.2): the same on both sides, never the
// same twice, and nobody's to choose.
func (c *Conn) SessionID() []byte { return c.conn.SessionID() }

// Close ends the connection at once and closes the pipe below; what was not read is lost. It may be called again.
func (c *Conn) Close() error {
	err := c.conn.Close()
	c.services.Wait()
	return err
}

// Open authenticates the peer over a pipe on which Elect gave us role, and opens the channel. The pipe belongs to the
// Conn afterwards; after an error it is closed.
func Open(ctx context.Context, pipe io.ReadWriteCloser, role Role, o Options) (*Conn, error) {
	defer context.AfterFunc(ctx, func() { pipe.Close() })()
	limit := time.AfterFunc(o.Timing.Timeout, func() { pipe.Close() })
	open := dial
	if role == Server {
		open = serve
	}
	conn, err := open(netConn{pipe, &sshguard.FirstKeys{Client: role == Client}}, o)
	switch inTime := limit.Stop(); {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case !inTime:
		err = fmt.Errorf("the SSH handshake with the peer was not over after %s: the link or the other side is stuck",
			o.Timing.Timeout)
	}
	if err != nil {
		pipe.Close()
		if conn != nil {
			conn.Close()
		}
		return nil, err
	}
	return conn, nil
}

func dial(under netConn, o Options) (*Conn, error) {
	var ours, refused error
	algorithms := supported()
	conn, chans, reqs, err := ssh.NewClientConn(under, "peer", &ssh.ClientConfig{
		Config:            config(algorithms),
		HostKeyAlgorithms: algorithms.HostKeys,
		User:              "aig",
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(o.Signer)},
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if ours = o.check(key); ours == nil {
				// From here on, SSH's refusals are of our key.
				refused = &RefusedError{ssh.FingerprintSHA256(o.Signer.PublicKey())}
			}
			return ours
		},
		ClientVersion: "SSH-2.0-aig",
	})
	if err != nil {
		return nil, handshakeError(err, o, ours, refused)
	}
	c := newConn(conn, reqs)
	c.services.Go(func() { rejectAll(chans) })
	channel, channelReqs, err := conn.OpenChannel(channelType, nil)
	if err != nil {
		c.Close()
		if !errors.As(err, new(*ssh.OpenChannelError)) {
			err = cause(c.why) // x/crypto only says that there was no answer
		}
		return nil, fmt.Errorf("opening the channel: %w", ofPeer(err))
	}
	c.attend(channel, channelReqs)
	c.Channel = channel
	return c, nil
}

func serve(under netConn, o Options) (*Conn, error) {
	var ours error
	algorithms := supported()
	config := &ssh.ServerConfig{
		Config:                  config(algorithms),
		PublicKeyAuthAlgorithms: algorithms.PublicKeyAuths,
		// One identity a side: a second attempt would be a guess.
		MaxAuthTries: 1,
		// Only who has proven to have a key hears whether we trust it: the answers to anybody else are all alike.
		PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil },
		VerifiedPublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey, _ *ssh.Permissions, _ string) (*ssh.Permissions, error) {
			ours = o.check(key)
			return nil, ours
		},
		ServerVersion:       "SSH-2.0-aig",
		PreAuthConnCallback: func(ssh.ServerPreAuthConn) { under.first.LookedAt() },
	}
	config.AddHostKey(o.Signer)
	conn, chans, reqs, err := ssh.NewServerConn(under, config)
	if err != nil {
		return nil, handshakeError(err, o, ours, nil)
	}
	c := newConn(conn, reqs)
	if c.Channel, err = c.accept(chans); err != nil {
		c.Close()
		return nil, fmt.Errorf("waiting for the peer to open the channel: %w", ofPeer(err))
	}
	c.services.Go(func() { rejectAll(chans) })
	return c, nil
}

// accept takes the first channel, which must be of our type.
func (c *Conn) accept(chans <-chan ssh.NewChannel) (ssh.Channel, error) {
	newChannel, ok := <-chans
	if !ok {
		<-c.over
		return nil, cause(c.why)
	}
	if t := newChannel.ChannelType(); t != channelType {
		newChannel.Reject(ssh.UnknownChannelType, "only "+channelType)
		c.services.Go(func() { rejectAll(chans) })
		return nil, fmt.Errorf("it asked for one of type %.80q", t)
	}
	channel, requests, err := newChannel.Accept()
	if err != nil {
		return nil, err
	}
	c.attend(channel, requests)
	return channel, nil
}

// attend answers requests on the channel, and drops its extended data, which would hold the window for ever.
func (c *Conn) attend(channel ssh.Channel, requests <-chan *ssh.Request) {
	c.services.Go(func() { ssh.DiscardRequests(requests) })
	c.services.Go(func() { io.Copy(io.Discard, channel.Stderr()) })
}

// rejectAll refuses every further channel: one without an answer stalls an SSH connection.
func rejectAll(chans <-chan ssh.NewChannel) {
	for newChannel := range chans {
		newChannel.Reject(ssh.Prohibited, "there is one channel")
	}
}

var errKeysTwice = errors.New("it began a second key exchange before it could have seen the outcome of the first")

// netConn lends a pipe the methods that x/crypto/ssh asks of a network connection, and marks the pipe's own failures, to
// tell them from what SSH says.
type netConn struct {
	io.ReadWriteCloser
	first *sshguard.FirstKeys
}

func (c netConn) Read(p []byte) (int, error) { return ofPipe(c.ReadWriteCloser.Read(p)) }

func (c netConn) Write(p []byte) (int, error) {
	if c.first.Refuses(len(p)) {
		c.Close()
		return 0, errKeysTwice
	}
	return ofPipe(c.ReadWriteCloser.Write(p))
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

func (netConn) LocalAddr() net.Addr              { return pipeAddr{} }
func (netConn) RemoteAddr() net.Addr             { return pipeAddr{} }
func (netConn) SetDeadline(time.Time) error      { return nil }
func (netConn) SetReadDeadline(time.Time) error  { return nil }
func (netConn) SetWriteDeadline(time.Time) error { return nil }
