package tunnel

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/ssh"
)

// maxGreeting is the most bytes that are sent as extra data when a channel is opened.
const maxGreeting = 1 << 14

// channel is the channel of a Conn. The side that opens it sends its first bytes along as extra data (RFC 4254, section 5.1), so
// they needn't wait for the confirmation.
type channel struct {
	ssh.Channel               // once it is ready
	kind        string        // its type
	asked       atomic.Bool   // somebody is opening it, and will close ready either way; until this is set, the first Write opens it
	ready       chan struct{} // closed when it is open, or failed
	failed      error
	greeting    []byte // those of the peer's first bytes that are still to be read
}

// fail tells all who wait for the channel that it won't open. It returns the reason.
func (c *channel) fail(err error) error {
	c.failed = err
	close(c.ready)
	return err
}

func (c *channel) Read(p []byte) (int, error) {
	if len(c.greeting) > 0 {
		n := copy(p, c.greeting)
		c.greeting = c.greeting[n:]
		return n, nil
	}
	return c.Channel.Read(p)
}

func (c *channel) isOpen() bool {
	select {
	case <-c.ready:
		return c.failed == nil
	default:
		return false
	}
}

// Close closes the channel, if it is open.
func (c *channel) Close() {
	if c.isOpen() {
		c.Channel.Close()
	}
}

// early reports whether a peer with this identification accepts a channel that the server opens with its first bytes.
func early(version []byte) bool {
	software, _, _ := strings.Cut(string(version), " ")
	return software == identification
}

// open sees to a channel of the given type; Read and Write wait until it is open. The SSH server opens it, for it is the first to
// know that authentication has succeeded. If the peer's program is older, the client opens it, and there is no greeting.
func (c *Conn) open(channelType string) error {
	ch := &channel{kind: channelType, ready: make(chan struct{})}
	c.channel = ch
	if c.opens && c.Server {
		return nil // by the first Write
	}
	ch.asked.Store(true)
	switch {
	case c.opens:
		return c.request(nil)
	case c.Server:
		err := c.accept()
		if err == io.EOF {
			err = ofPeer(c.end(errEnded))
		}
		if err != nil {
			return ch.fail(notOpened(err))
		}
		return nil
	}
	c.services.Go(func() {
		switch err := c.accept(); err {
		case nil:
		case io.EOF:
			ch.fail(c.end(io.EOF))
		default:
			ch.fail(notOpened(err))
		}
	})
	return nil
}

func notOpened(err error) error {
	return fmt.Errorf("waiting for the peer to open the channel: %w", err)
}

// end returns why a connection that is over broke, or clean if it simply ended.
func (c *Conn) end(clean error) error { return cmp.Or(broken(c.why), clean) }

// wait waits until the channel is open.
func (c *Conn) wait() error {
	select {
	case <-c.channel.ready:
	case <-c.over:
		if !c.channel.asked.Load() {
			return c.end(io.EOF)
		}
		// The peer may have said everything before we have accepted the channel: that is still to be read.
		<-c.channel.ready
	}
	return c.channel.failed
}

// Write writes to the channel. The SSH server's first Write opens it, and the client's waits for that.
func (c *Conn) Write(p []byte) (int, error) {
	if c.channel.asked.Swap(true) {
		if err := c.wait(); err != nil {
			return 0, err
		}
		return c.channel.Write(p)
	}
	n := min(len(p), maxGreeting)
	if err := c.request(p[:n]); err != nil {
		return 0, err
	}
	more, err := c.channel.Write(p[n:])
	return n + more, err
}

// CloseWrite tells the peer that no more bytes follow.
func (c *Conn) CloseWrite() error {
	if !c.channel.isOpen() {
		return nil
	}
	return c.channel.CloseWrite()
}

// use makes an open channel ours.
func (c *Conn) use(opened ssh.Channel, requests <-chan *ssh.Request) {
	c.channel.Channel = opened
	close(c.channel.ready)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return
	}
	c.services.Go(func() { ssh.DiscardRequests(requests) })
	c.services.Go(func() { io.Copy(io.Discard, opened.Stderr()) }) // unread, it would fill the window for good
}

// request opens the channel.
func (c *Conn) request(greeting []byte) error {
	opened, requests, err := c.conn.OpenChannel(c.channel.kind, greeting)
	if err != nil && !errors.As(err, new(*ssh.OpenChannelError)) {
		c.conn.Close()
		<-c.over
		err = c.end(errEnded) // x/crypto only says that there was no answer
	}
	if err != nil {
		return c.channel.fail(fmt.Errorf("opening the channel: %w", ofPeer(err)))
	}
	c.use(opened, requests)
	return nil
}

// accept accepts the next channel that the peer opens, which must be of our channel's type. It returns io.EOF if the connection is over.
func (c *Conn) accept() error {
	newChannel, ok := <-c.opened
	if !ok {
		<-c.over
		return io.EOF
	}
	most := 0
	if !c.Server {
		most = maxGreeting
	}
	if t := newChannel.ChannelType(); t != c.channel.kind || len(newChannel.ExtraData()) > most {
		newChannel.Reject(ssh.UnknownChannelType, fmt.Sprintf("only %s with at most %d bytes of extra data", c.channel.kind, most))
		return fmt.Errorf("it asked for one of type %.80q with %d bytes of extra data", t, len(newChannel.ExtraData()))
	}
	c.channel.greeting = newChannel.ExtraData()
	opened, requests, err := newChannel.Accept()
	if err != nil {
		return ofPeer(err)
	}
	c.use(opened, requests)
	return nil
}
