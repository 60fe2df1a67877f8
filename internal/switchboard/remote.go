package switchboard

import (
	"cmp"
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/sshguard"
)

// joinAt joins this session to the side that it asked for, which waits at another node. Waited is how long this session has waited.
func (s *session) joinAt(node string, key Key, waited time.Duration) error {
	c := s.client
	n, err := c.server.dial(c.ctx, node)
	var side *far
	var longer bool
	if err == nil {
		defer n.leave()
		side, longer, err = n.ask(c.ctx, forward{s.RemoteAddr().String(), uint64(waited.Milliseconds()), key.Name, key.Letter})
	}
	var rejected *ssh.OpenChannelError
	switch {
	case err == nil && longer:
		return c.carry(s, side)
	case err == nil:
		return c.carry(side, s)
	case errors.As(err, &rejected) && rejected.Reason == nobodyWaits:
		return errNobody // somebody did wait a moment ago
	case errors.As(err, new(*refusal)):
		return err
	}
	c.log.Debug("another node can't be reached", "node", node, "error", printable(err.Error()))
	return &refusal{nodeLost, "the other side's switchboard can't be reached; try again"}
}

// dialed is a connection to another node.
type dialed struct {
	ssh.Conn
	meter *meter
	opt   *Options
	wait  sync.WaitGroup
}

// dial connects to another node.
func (s *Server) dial(ctx context.Context, node string) (*dialed, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.ControlTime)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", node)
	if err != nil {
		return nil, err
	}
	n := &dialed{meter: newMeter(conn, nil), opt: &s.opt}
	n.meter.flooded = func(string) { conn.Close() }
	n.meter.turn(obeying, backlogBudget)
	defer context.AfterFunc(ctx, func() { n.meter.Close() })()
	inner, channels, requests, err := ssh.NewClientConn(n.meter, node, &ssh.ClientConfig{
		Config:          sshguard.Config(),
		User:            s.nodeUser,
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(s.opt.HostKey)},
		HostKeyCallback: ssh.FixedHostKey(s.opt.HostKey.PublicKey()),
		ClientVersion:   serverVersion,
	})
	if err != nil {
		n.meter.Close()
		return nil, err
	}
	n.Conn = inner
	n.wait.Go(func() { ssh.DiscardRequests(requests) })
	n.wait.Go(func() {
		for ch := range channels {
			ch.Reject(ssh.Prohibited, "")
		}
	})
	return n, nil
}

// ask asks the node for a side, and reports whether our client has waited longer.
func (n *dialed) ask(ctx context.Context, of forward) (side *far, longer bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, n.opt.ControlTime)
	defer cancel()
	defer context.AfterFunc(ctx, func() { n.meter.Close() })()
	channel, requests, err := n.OpenChannel(forwardChannel, ssh.Marshal(of))
	if err != nil {
		return nil, false, err
	}
	f := newFar(channel, n.meter, nil, n.opt.ControlTime)
	n.wait.Go(func() { f.hear(requests) })
	answer, ok := <-f.answer
	if !ok {
		return nil, false, cmp.Or(f.err, errNodeLost)
	}
	// The other node sends its clients keepalives more often than that.
	n.wait.Go(func() { n.meter.watch(n.opt.KeepaliveInterval+n.opt.KeepaliveTime, f.gone) })
	return f, answer == waitedRequest, nil
}

// leave closes the connection, and waits until its goroutines have ended.
func (n *dialed) leave() {
	n.meter.Close()
	sshguard.Drain(n.Conn)
	n.Wait()
	n.wait.Wait()
}
