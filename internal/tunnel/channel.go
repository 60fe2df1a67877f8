package tunnel

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/ssh"
)

// maxGreeting is the longest message that is sent as the extra data of a channel's opening, in bytes.
const maxGreeting = 1 << 14

// channel is the channel of a Conn. The side that opens it does so with the first message that it has for the peer, which goes as extra
// data (RFC 4254, section 5.1): so it needn't wait for the confirmation.
type channel struct {
	ssh.Channel               // once it is ready
	ready       chan struct{} // closed when it is open, or failed
	failed      error
	asked       atomic.Bool // somebody is opening it, and closes ready whatever comes of it
	pending     string      // the type of what the first Write opens, or ""
	greeting    []byte      // the peer's first message, as far as it is still to be read
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

// early reports whether a peer of this identification takes a channel that the server opens, with its first message.
func early(version []byte) bool {
	software, _, _ := strings.Cut(string(version), " ")
	return software == identification
}

// open makes a channel of the given type ours, soon: who reads or writes waits for it. The SSH server opens it: it is the first to know that the authentication has succeeded. Where
// the peer's program is older, the client does, and there is no greeting.
func (c *Conn) open(channelType string) error {
	ch := &channel{ready: make(chan struct{})}
	c.channel = ch
	switch {
	case c.opens && c.Server:
		ch.pending = channelType
		return nil
	case c.opens:
		return c.request(channelType, nil)
	}
	const what = "waiting for the peer to open the channel: %w"
	if c.Server {
		err := c.accept(ch, channelType)
		if err == io.EOF {
			err = ofPeer(cause(c.why))
		}
		if err != nil {
			err = fmt.Errorf(what, err)
		}
		return err
	}
	ch.asked.Store(true)
	c.services.Go(func() {
		err := c.accept(ch, channelType)
		switch {
		case err == nil:
			return
		case err != io.EOF:
			err = fmt.Errorf(what, err)
		case broken(c.why) != nil:
			err = broken(c.why)
		}
		ch.failed = err
		close(ch.ready)
	})
	return nil
}

// wait waits until the channel is open.
func (c *Conn) wait() error {
	select {
	case <-c.channel.ready:
	case <-c.over:
		if !c.channel.asked.Load() {
			if err := broken(c.why); err != nil {
				return err
			}
			return io.EOF
		}
		// The peer may have said all that it had to say before the channel is ours: that is still to be read.
		<-c.channel.ready
	}
	return c.channel.failed
}

// Write writes to the channel. The SSH server's first Write opens it: both sides can say something at once, and until then the client waits.
func (c *Conn) Write(p []byte) (int, error) {
	pending := c.channel.pending
	if pending == "" {
		if err := c.wait(); err != nil {
			return 0, err
		}
		return c.channel.Write(p)
	}
	c.channel.pending = ""
	if len(p) > maxGreeting {
		if err := c.request(pending, nil); err != nil {
			return 0, err
		}
		return c.channel.Write(p)
	}
	if err := c.request(pending, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// CloseWrite tells the peer that nothing more comes.
func (c *Conn) CloseWrite() error {
	if !c.channel.isOpen() {
		return nil
	}
	return c.channel.CloseWrite()
}

// use makes an open channel ours.
func (c *Conn) use(ch *channel, opened ssh.Channel, requests <-chan *ssh.Request) {
	ch.Channel = opened
	close(ch.ready)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return
	}
	c.services.Go(func() { ssh.DiscardRequests(requests) })
	c.services.Go(func() { io.Copy(io.Discard, opened.Stderr()) }) // which would hold the window for ever
}

// request opens a channel of the given type.
func (c *Conn) request(channelType string, greeting []byte) error {
	c.channel.asked.Store(true)
	opened, requests, err := c.conn.OpenChannel(channelType, greeting)
	if err != nil && !errors.As(err, new(*ssh.OpenChannelError)) {
		c.conn.Close()
		<-c.over
		err = cause(c.why) // x/crypto only says that there was no answer
	}
	if err != nil {
		c.channel.failed = fmt.Errorf("opening the channel: %w", ofPeer(err))
		close(c.channel.ready)
		return c.channel.failed
	}
	c.use(c.channel, opened, requests)
	return nil
}

// accept takes the next channel that the peer opens, which must be of the given type. If the connection is over instead, it returns io.EOF.
func (c *Conn) accept(ch *channel, channelType string) error {
	newChannel, ok := <-c.opened
	if !ok {
		<-c.over
		return io.EOF
	}
	most := 0
	if !c.Server {
		most = maxGreeting
	}
	if t := newChannel.ChannelType(); t != channelType || len(newChannel.ExtraData()) > most {
		newChannel.Reject(ssh.UnknownChannelType, fmt.Sprintf("only %s with at most %d bytes of extra data", channelType, most))
		return fmt.Errorf("it asked for one of type %.80q with %d bytes of extra data", t, len(newChannel.ExtraData()))
	}
	ch.greeting = newChannel.ExtraData()
	opened, requests, err := newChannel.Accept()
	if err != nil {
		return ofPeer(err)
	}
	c.use(ch, opened, requests)
	return nil
}
