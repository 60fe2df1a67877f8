package tunnel

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/identity"
	"aig/internal/sshguard"
)

// The types of channels. A private name ends in a domain (RFC 4250, section 4.6.1), and nobody can own one under .invalid
// (RFC 2606).
const (
	SyncChannel = "sync@aig.invalid" // the last one of a connection
	PairChannel = "pair@aig.invalid"
)

// Options says who we are and whom we trust.
type Options struct {
	Signer  ssh.Signer                   // our key, from package identity: the host key or the user key, by our role
	Trusted func(key ssh.PublicKey) bool // returns whether a key is the peer's
	Timing  Timing                       // as for Elect
	Channel string                       // the type of the first channel; "" is SyncChannel
}

// AnyKey trusts every key, for [Options.Trusted]. The caller then authenticates the peer by other means, before anything else.
func AnyKey(ssh.PublicKey) bool { return true }

// check decides whether to accept a key that the peer has proven to possess. Nothing else does.
func (c *Conn) check(key ssh.PublicKey) error {
	fingerprint := ssh.FingerprintSHA256(key)
	c.refusal = nil
	switch weak := identity.CheckKey(key); {
	case !c.o.Trusted(key): // it may be anybody's, so it is never offered as the one to trust
		c.refusal = fmt.Errorf("somebody else may have taken the token, or the transport leads elsewhere: the peer's key is %s, "+
			"which is not trusted; compare it with the other side by voice, and start again with a new token", fingerprint)
	case weak != nil:
		c.refusal = fmt.Errorf("the peer's key %s %w", fingerprint, weak)
	case c.PeerKey == nil:
		c.PeerKey = key
	case !bytes.Equal(key.Marshal(), c.PeerKey.Marshal()): // in a later key exchange
		c.refusal = fmt.Errorf("the peer has changed its key to %s", fingerprint)
	}
	return c.refusal
}

// Conn is the authenticated pipe. Its Read, Write and CloseWrite are those of its channel: the first, until Next opens another.
type Conn struct {
	channel         *channel
	OwnKey, PeerKey ssh.PublicKey // PeerKey is set when the peer has proven to possess it
	Server          bool          // whether we are the SSH server

	o        Options
	refusal  error // why the last key that was checked is refused
	conn     ssh.Conn
	opens    bool                // whether we open channels, see open
	opened   chan ssh.NewChannel // by the peer: at most one waits for accept
	services sync.WaitGroup      // goroutines that answer the peer until the connection is over
	mu       sync.Mutex          // guards closing
	closing  bool                // no more is added to services
	over     chan struct{}       // closed when the connection is over and why is set
	why      error
}

// serve answers the peer's requests until the connection is over. One without an answer would stall it.
func (c *Conn) serve(conn ssh.Conn, chans <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
	c.conn = conn
	c.opens = c.Server
	if !c.Server && !early(conn.ServerVersion()) || c.Server && !early(conn.ClientVersion()) {
		c.opens = !c.Server
	}
	c.services.Go(func() {
		ssh.DiscardRequests(requests)
		sshguard.Drain(conn) // or Wait might never return
	})
	c.services.Go(func() {
		c.why = conn.Wait()
		close(c.over)
	})
	c.services.Go(func() { c.queue(chans) })
}

// queue keeps a channel that the peer opens for accept, and refuses those that nobody will wait for.
func (c *Conn) queue(chans <-chan ssh.NewChannel) {
	defer close(c.opened)
	over := c.opens
	for newChannel := range chans {
		if !over {
			select {
			case c.opened <- newChannel:
				over = newChannel.ChannelType() == SyncChannel
				continue
			default:
			}
		}
		newChannel.Reject(ssh.Prohibited, "there is one channel")
	}
}

// Read reads from the channel. The error is io.EOF if the peer has ended it, and another one if something else has.
//
// An error that comes with bytes is dropped: it only says that the peer has gone and can't be told that they were read. What it
// said before is still to be read, and a later Read says why it has gone.
func (c *Conn) Read(p []byte) (int, error) {
	if err := c.wait(); err != nil {
		return 0, err
	}
	n, err := c.channel.Read(p)
	switch {
	case n > 0:
		return n, nil
	case err == io.EOF:
		select {
		case <-c.over:
			err = c.end(io.EOF)
		case <-time.After(lastPacket):
		}
	}
	return n, err
}

// lastPacket is how long after the end of the channel the same failure may end the connection.
const lastPacket = 200 * time.Millisecond

// SessionID returns the exchange hash of the first key exchange (RFC 4253, section 7.2): it is the same on both sides, is never
// repeated, and neither side can choose it.
func (c *Conn) SessionID() []byte { return c.conn.SessionID() }

// Close ends the connection at once and closes the pipe below; what was not read is lost. It may be called again.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	err := c.conn.Close()
	c.services.Wait()
	return err
}

// Open authenticates the peer over the pipe that Elect returned, as the SSH server or client. From then on the Conn owns the pipe; after
// an error the pipe is closed.
func Open(ctx context.Context, pipe io.ReadWriteCloser, server bool, o Options) (*Conn, error) {
	c := &Conn{
		OwnKey: o.Signer.PublicKey(), Server: server, o: o,
		opened: make(chan ssh.NewChannel, 1), over: make(chan struct{}),
	}
	handshake := c.asClient
	if c.Server {
		handshake = c.asServer
	}
	err := c.inTime(ctx, pipe, "the SSH handshake with the peer", func() error {
		conn, chans, requests, err := handshake(netConn{pipe})
		if err != nil {
			return c.handshakeError(err)
		}
		c.serve(conn, chans, requests)
		return c.open(cmp.Or(o.Channel, SyncChannel))
	})
	if err != nil {
		pipe.Close()
		if c.conn != nil {
			c.Close()
		}
		return nil, err
	}
	return c, nil
}

// Next closes the channel and opens the next one, of the given type, on the same connection. Both sides call it when they have
// read what they expect. After an error the connection is useless.
func (c *Conn) Next(ctx context.Context, channelType string) error {
	c.channel.Close()
	return c.inTime(ctx, c.conn, "opening the next channel with the peer", func() error { return c.open(channelType) })
}

// inTime runs do, which what names. It closes the pipe that do waits for when ctx ends or the time is over.
func (c *Conn) inTime(ctx context.Context, pipe io.Closer, what string, do func() error) error {
	defer context.AfterFunc(ctx, func() { pipe.Close() })()
	limit := time.AfterFunc(c.o.Timing.Timeout, func() { pipe.Close() })
	err := do()
	switch inTime := limit.Stop(); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !inTime:
		return fmt.Errorf("%s was not over after %s: the link or the other side is stuck", what, c.o.Timing.Timeout)
	}
	return err
}

func (c *Conn) asClient(under netConn) (ssh.Conn, <-chan ssh.NewChannel, <-chan *ssh.Request, error) {
	return ssh.NewClientConn(under, "peer", &ssh.ClientConfig{
		Config:            sshguard.Config(),
		HostKeyAlgorithms: append(ssh.SupportedAlgorithms().HostKeys, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256), // which it lists for user keys only
		User:              "aig",
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(c.o.Signer)},
		HostKeyCallback:   func(_ string, _ net.Addr, key ssh.PublicKey) error { return c.check(key) },
		ClientVersion:     identification,
	})
}

func (c *Conn) asServer(under netConn) (ssh.Conn, <-chan ssh.NewChannel, <-chan *ssh.Request, error) {
	config := &ssh.ServerConfig{
		Config:                  sshguard.Config(),
		PublicKeyAuthAlgorithms: ssh.SupportedAlgorithms().PublicKeyAuths,
		// Each side has one identity: a second attempt would be a guess.
		MaxAuthTries: 1,
		// Only a client that has proven to possess a key learns whether we trust it; all others get the same answers.
		PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil },
		VerifiedPublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey, _ *ssh.Permissions, _ string) (*ssh.Permissions, error) {
			return nil, c.check(key)
		},
		ServerVersion: identification,
	}
	config.AddHostKey(c.o.Signer)
	conn, chans, requests, err := ssh.NewServerConn(under, config)
	return conn, chans, requests, err
}

// netConn gives a pipe the methods of a network connection that x/crypto/ssh needs, and marks the pipe's own failures, to
// tell them from SSH's.
type netConn struct{ io.ReadWriteCloser }

func (c netConn) Read(p []byte) (int, error)  { return ofPipe(c.ReadWriteCloser.Read(p)) }
func (c netConn) Write(p []byte) (int, error) { return ofPipe(c.ReadWriteCloser.Write(p)) }

func (netConn) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
func (netConn) RemoteAddr() net.Addr             { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
func (netConn) SetDeadline(time.Time) error      { return nil }
func (netConn) SetReadDeadline(time.Time) error  { return nil }
func (netConn) SetWriteDeadline(time.Time) error { return nil }
