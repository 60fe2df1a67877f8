package switchboard

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Switchboards with the same host key form a cluster. A node whose client asks for a side that waits at another node connects there
// as an SSH client, authenticates with the host key, and opens a channel of type forwardChannel, with a [forward] as its extra data.
// The other node looks only among those who wait there, so that no request goes in circles, and accepts the channel if it has found
// the side. From there on each node has a [Side] at the other one, a [far].
const (
	forwardChannel = "forward@aig-switchboard"

	// Channel requests. The node that was asked begins with one of the first two, or with the last one if it can't carry the link.
	switchedRequest = "switched@aig-switchboard" // the asking node's client has joined ours
	waitedRequest   = "waited@aig-switchboard"   // ours has joined the asking node's client, which has waited longer
	endRequest      = "end@aig-switchboard"      // how our side has ended: an [ending]

	// nobodyWaits is why a node rejects the channel if it hasn't found the side. It has other reasons if it is going down.
	nobodyWaits = ssh.ConnectionFailed

	// maxForward bounds a node's question, and maxLine a line from it, in bytes.
	maxForward = 256
	maxLine    = 1 << 10
)

// forward asks a node for a side.
type forward struct {
	Client       string // address of the client on whose behalf it is
	Waited       uint64 // for how long that has waited, in milliseconds
	Name, Letter string // the client's own [Key]
}

// ending is how a side has ended: for the reason that the line gives, or else by its end of file.
type ending struct{ Line string }

// nodeUser returns the user name with which one node logs in at another; nobody else has it by chance.
func nodeUser(clusterKey []byte) string {
	name, err := hkdf.Key(sha256.New, clusterKey, nil, "node", 16)
	if err != nil {
		panic(err) // the length is a constant that HKDF allows
	}
	return hex.EncodeToString(name)
}

// admitNodes lets in nodes, by this user name and the host key, and everybody else as before. Only nodes have permissions on their
// connections.
func admitNodes(config *ssh.ServerConfig, user string, hostKey ssh.PublicKey) {
	config.NoClientAuthCallback = func(conn ssh.ConnMetadata) (*ssh.Permissions, error) {
		if conn.User() == user {
			return nil, errors.New("a node has a key")
		}
		return nil, nil
	}
	config.PublicKeyCallback = func(conn ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if conn.User() != user || !bytes.Equal(key.Marshal(), hostKey.Marshal()) {
			return nil, errors.New("no node")
		}
		return new(ssh.Permissions), nil
	}
}

// far is a [Side] at another node.
type far struct {
	metered
	addr  net.Addr      // of the node's client if it has asked us, nil if we have asked
	limit time.Duration // for the node to take what we say

	answer chan string   // gets switchedRequest or waitedRequest; closed before gone
	eof    chan struct{} // closed when the node has said that the side has sent its end of file
	gone   chan struct{} // closed when the channel is closed or the connection has ended
	err    error         // why the side was lost, if it was; read it once gone or answer is closed
}

func newFar(channel ssh.Channel, m *meter, addr net.Addr, limit time.Duration) *far {
	return &far{
		metered: metered{channel, m}, addr: addr, limit: limit,
		answer: make(chan string, 1), eof: make(chan struct{}), gone: make(chan struct{}), err: errNodeLost,
	}
}

// hear notes what the node says, until the channel is closed.
func (f *far) hear(requests <-chan *ssh.Request) {
	defer close(f.gone)
	defer close(f.answer)
	for r := range requests {
		var e ending
		switch {
		case r.Type == switchedRequest || r.Type == waitedRequest:
			select {
			case f.answer <- r.Type:
			default: // it has been said
			}
		case r.Type == endRequest && ssh.Unmarshal(r.Payload, &e) == nil:
			if e.Line != "" {
				f.err = &refusal{otherNode, printable(e.Line)}
			} else if f.err == errNodeLost { // an end of file takes nothing back
				f.err = nil
				close(f.eof)
			}
		}
	}
}

// Lost implements [Side]. A node says how its side has ended before it sends an end of file, and may say otherwise later.
func (f *far) Lost() error {
	select {
	case <-f.eof:
	case <-f.gone:
	}
	select {
	case <-f.gone:
		return f.err
	default:
		return nil
	}
}

// Tell implements [Side]: all that a link tells a side is that it has joined the other one. A node that was asked knows that already,
// and takes no notice.
func (f *far) Tell(string) { f.say(switchedRequest) }

func (f *far) say(request string) {
	defer f.hurry().Stop()
	f.Channel.SendRequest(request, false, nil)
}

// RemoteAddr implements [Side].
func (f *far) RemoteAddr() net.Addr { return f.addr }

// Gone implements [Side].
func (f *far) Gone() <-chan struct{} { return f.gone }

// CloseWrite implements [Side].
func (f *far) CloseWrite() {
	defer f.hurry().Stop()
	f.Channel.SendRequest(endRequest, false, ssh.Marshal(ending{}))
	f.Channel.CloseWrite()
}

// Finish implements [Side].
func (f *far) Finish(_ uint32, line string) {
	defer f.hurry().Stop()
	f.Channel.SendRequest(endRequest, false, ssh.Marshal(ending{line}))
	f.Channel.Close()
	<-f.gone
}

// hurry closes the connection if the node doesn't take in time what follows.
func (f *far) hurry() *time.Timer { return time.AfterFunc(f.limit, func() { f.meter.Close() }) }

// join answers a node that asks for a side: if that waits here, it accepts the channel and carries the link. It reports whether it
// does.
func (c *client) join(ch ssh.NewChannel) bool {
	of, addr, ok := parseForward(ch.ExtraData())
	if !ok {
		ch.Reject(ssh.Prohibited, "malformed")
		return false
	}
	w := c.server.opt.Memory.claim(Key{of.Name, of.Letter}.Other())
	if w == nil {
		ch.Reject(nobodyWaits, "nobody waits here")
		return false
	}
	c.meter.turn(obeying, backlogBudget)
	channel, requests, err := ch.Accept()
	if err != nil {
		c.server.count(errNodeLost, c.log)
		c.wait.Go(func() { w.Side.Finish(1, errNodeLost.Error()) })
		return false
	}
	f := newFar(channel, c.meter, addr, c.server.opt.ControlTime)
	c.side.Store(new(Side(f)))
	c.wait.Go(func() { f.hear(requests) })
	c.wait.Go(func() {
		defer c.close()
		waited, joined := w.Side, Side(f)
		if of.Waited > uint64(time.Since(w.Since).Milliseconds()) {
			f.say(waitedRequest)
			waited, joined = joined, waited
		}
		if err := c.carry(waited, joined); err != nil {
			c.server.count(err, c.log)
		}
	})
	return true
}

// parseForward reads the extra data of a node's channel, and the address of the node's client.
func parseForward(extra []byte) (of forward, addr net.Addr, ok bool) {
	if len(extra) > maxForward || ssh.Unmarshal(extra, &of) != nil {
		return of, nil, false
	}
	client, err := netip.ParseAddrPort(of.Client)
	return of, net.TCPAddrFromAddrPort(client), err == nil
}

// printable returns a line from another node in a form that may go to a client and into the log.
func printable(line string) string {
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, line)
	return line[:min(len(line), maxLine)]
}
