package switchboard

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/time/rate"

	"aig/internal/sshguard"
)

const (
	// Bounds of a client's requests, channels and key exchanges: OpenSSH sends a handful of requests before its command and, if
	// told to, a keepalive every few seconds.
	requestBurst = 256
	requestRate  = 4 // a second
)

// client is one SSH connection.
type client struct {
	server  *Server
	meter   *meter
	place   *member                 // in the server's connections
	ctx     context.Context         // ends when no command is accepted any more; its cause is what to tell
	leave   context.CancelCauseFunc // of ctx
	linkCtx context.Context         // ends when links must end
	log     *slog.Logger            // names the client's address: for the debug level only

	ssh      *ssh.ServerConn
	done     chan struct{} // closed when the SSH connection has ended
	wait     sync.WaitGroup
	side     atomic.Pointer[Side]  // its first and only channel: a session, or a node's side; written by serve alone
	guarded  ssh.ServerPreAuthConn // see sshguard; nil before authentication
	spoilt   error                 // why the session's command is refused: a port forward was requested; for serve alone
	node     bool                  // it is a node of our cluster; for serve alone
	flood    sync.Once
	requests *rate.Limiter
}

// serve does the handshake and then services the connection until it ends. All goroutines of the connection have ended when
// it returns.
func (c *client) serve() {
	opt := &c.server.opt
	late := time.AfterFunc(opt.HandshakeTime, func() {
		c.leave(&refusal{noHandshake, "no handshake in " + opt.HandshakeTime.String()})
	})
	dismissal := context.AfterFunc(c.ctx, func() { c.meter.dismiss(context.Cause(c.ctx).Error()) })
	began := time.Now()
	conn, channels, requests, err := ssh.NewServerConn(c.meter, c.config())
	late.Stop()
	if stopped := dismissal(); !stopped && err == nil {
		err = context.Cause(c.ctx)
	}
	if err != nil {
		c.drain()
		if _, ok := c.server.count(context.Cause(c.ctx), c.log); !ok {
			c.server.refused(noHandshake, c.log)
		}
		if conn != nil {
			conn.Wait()
		}
		return
	}
	opt.Metrics.handshake.Observe(time.Since(began).Seconds())
	c.ssh = conn
	if c.node = conn.Permissions != nil; c.node {
		c.place.settle() // a node is never evicted for its clients: they are counted where they came in
	}
	c.meter.turn(opening, openingBudget)
	overdue := time.AfterFunc(opt.CommandTime, func() {
		c.server.refused(noCommand, c.log)
		c.close()
	})
	defer overdue.Stop()
	c.wait.Go(c.keepAlive)
	c.wait.Go(c.watch)

	stopping := c.ctx.Done()
	for channels != nil || requests != nil {
		select {
		case <-stopping:
			stopping = nil
			if c.side.Load() == nil {
				c.close()
			}
		case r, ok := <-requests:
			if !ok {
				requests = nil
				continue
			}
			c.request(r)
		case ch, ok := <-channels:
			if !ok {
				channels = nil
				continue
			}
			// OpenSSH requests its forwards before it opens the session: such requests are in the queue by now and come first.
			for len(requests) > 0 {
				c.request(<-requests)
			}
			if c.open(ch) {
				overdue.Stop()
			}
		}
	}
	close(c.done)
	c.drain()
	c.ssh.Wait()
	c.wait.Wait()
}

// drain closes the connection and makes x/crypto discard what it has read, once SSH has ended or failed.
func (c *client) drain() {
	c.close()
	sshguard.Drain(c.guarded)
}

// request answers a global request (RFC 4254, section 4). None is granted; "keepalive@openssh.com" needs only an answer.
func (c *client) request(r *ssh.Request) {
	switch r.Type {
	case "tcpip-forward", "streamlocal-forward@openssh.com":
		c.server.refused(refusedForward, c.log)
		c.spoilt = &refusal{refusedForward, "no port forwarding here; try ssh -o ClearAllForwardings=yes"}
	}
	if c.allow() && r.WantReply {
		r.Reply(false, nil)
	}
}

// open answers a request to open a channel: it accepts a client's first session, and a node's first request for a side. It reports
// whether it did.
func (c *client) open(ch ssh.NewChannel) bool {
	if !c.allow() {
		return false
	}
	first := c.side.Load() == nil && c.ctx.Err() == nil
	switch {
	case ch.ChannelType() == forwardChannel && c.node && first:
		return c.join(ch)
	case ch.ChannelType() == "session" && !c.node && first:
		channel, requests, err := ch.Accept()
		if err != nil {
			return false
		}
		s := &session{
			metered: metered{channel, c.meter}, client: c, spoilt: c.spoilt,
			start: make(chan start, 1), gone: make(chan struct{}),
		}
		c.side.Store(new(Side(s)))
		c.wait.Go(func() { s.serveRequests(requests) })
		c.wait.Go(func() { io.Copy(io.Discard, channel.Stderr()) }) // or it would fill the window
		c.wait.Go(s.run)
		return true
	case ch.ChannelType() == "session":
		c.server.refused(refusedChannel, c.log)
		ch.Reject(ssh.ResourceShortage, "one session per connection")
	case ch.ChannelType() == "direct-tcpip" || ch.ChannelType() == "direct-streamlocal@openssh.com":
		c.server.refused(refusedForward, c.log)
		ch.Reject(ssh.Prohibited, "no port forwarding here")
	default:
		c.server.refused(refusedChannel, c.log)
		ch.Reject(ssh.UnknownChannelType, "sessions only")
	}
	return false
}

// allow counts a request, a channel or a key exchange, and cuts the client off if there are too many of them.
func (c *client) allow() bool {
	if c.requests.Allow() {
		return true
	}
	c.cut("too many requests")
	return false
}

// cut ends a client that floods: nothing more is read from it, and its channel, if there is one, is told a line and ended. It does
// not wait. It must not be called once SSH has ended.
func (c *client) cut(line string) {
	c.flood.Do(func() {
		c.server.refused(flooding, c.log.With("line", line))
		c.meter.turn(stopped, 0)
		if side := c.side.Load(); side != nil {
			c.wait.Go(func() { (*side).Finish(1, line) })
			return
		}
		c.close()
	})
}

// config returns the SSH configuration for this client. SSH lets a client ask for new keys as often as it likes, so each key
// exchange is counted, by its signature.
func (c *client) config() *ssh.ServerConfig {
	config := &ssh.ServerConfig{
		Config:        sshguard.Config(),
		NoClientAuth:  true,
		ServerVersion: serverVersion,
		PreAuthConnCallback: func(conn ssh.ServerPreAuthConn) {
			c.guarded = conn
			c.meter.turn(authenticating, handshakeBudget)
		},
	}
	if c.server.nodeUser != "" {
		admitNodes(config, c.server.nodeUser, c.server.opt.HostKey.PublicKey())
	}
	config.AddHostKey(&countedKey{c.server.opt.HostKey, c.allow})
	return config
}

// countedKey is a host key that signs only while allow returns true.
type countedKey struct {
	ssh.MultiAlgorithmSigner
	allow func() bool
}

// Sign implements [ssh.Signer].
func (k *countedKey) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return k.SignWithAlgorithm(rand, data, k.Algorithms()[0])
}

// SignWithAlgorithm implements [ssh.AlgorithmSigner].
func (k *countedKey) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	if !k.allow() {
		return nil, errors.New("too many key exchanges")
	}
	return k.MultiAlgorithmSigner.SignWithAlgorithm(rand, data, algorithm)
}

// keepAlive sends a keepalive request from time to time, once the client has answered the last one.
func (c *client) keepAlive() {
	tick := time.NewTicker(c.server.opt.KeepaliveInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-c.done:
			return
		}
		c.meter.expect(64)
		c.ssh.SendRequest("keepalive@openssh.com", true, nil)
	}
}

// watch closes a connection on which nothing comes. Any byte is a sign of life: the answer to a keepalive, which every client
// gives, may be queued behind much data on a slow line.
func (c *client) watch() {
	opt := &c.server.opt
	if c.meter.watch(opt.KeepaliveInterval+opt.KeepaliveTime, c.done) {
		c.server.refused(deadPeer, c.log)
	}
}

// close closes the connection. Everything that waits on it returns.
func (c *client) close() { c.meter.Close() }
