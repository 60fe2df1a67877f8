package switchboard

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Switchboards with the same host key form a cluster. A node whose client asks for a side that waits at another node connects there
// as an SSH client, authenticates with the host key, and asks for
//
//	forward <address of its client> <milliseconds that it has waited> <token>
//	forward <address of its client> <milliseconds that it has waited> <name> <letter>
//
// The other node looks only among those who wait there, so that no request goes in circles. The first line on standard error is
// "switched" or, if the client waited longer than the side it is joined to, "waited"; any other one says why it was refused. From
// there on each end of the link is a [Side] at its node.
const (
	switchedLine = "switched"
	waitedLine   = "waited"

	// endRequest is the channel request by which a node says how its client's side ended: a string, empty for an end of file.
	endRequest = "end@aig-switchboard"

	// maxForward bounds a node's command, and maxLine a line from it, in bytes.
	maxForward = 256
	maxLine    = 1 << 10

	// waitedBits bounds the milliseconds that a client may have waited: to 278 years, which a [time.Duration] holds.
	waitedBits = 43
)

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

// forwarded is another node's client, in a session with that node.
type forwarded struct {
	addr   net.Addr
	waited time.Duration // before it came here

	once  sync.Once
	ended chan struct{} // closed when the node has said how its side ended
	err   error         // its line, if it had one
}

// parseForwarded reads the payload of a node's "exec" request.
func parseForwarded(payload []byte) (command, error) {
	text, err := execText(payload, maxForward)
	if err != nil {
		return command{}, err
	}
	words := strings.Split(text, " ")
	if len(words) < 4 || len(words) > 5 || words[0] != "forward" {
		return command{}, errExecForm
	}
	addr, err := netip.ParseAddrPort(words[1])
	waited, err2 := strconv.ParseUint(words[2], 10, waitedBits)
	if err != nil || err2 != nil {
		return command{}, errExecForm
	}
	asks := words[3]
	if len(words) == 5 {
		asks = "meet " + words[3] + " " + words[4]
	}
	c, err := parseCommand(asks)
	if err == nil && c.key.Name == "" {
		err = errExecForm
	}
	c.forwarded = &forwarded{
		addr:   net.TCPAddrFromAddrPort(addr),
		waited: time.Duration(waited) * time.Millisecond,
		ended:  make(chan struct{}),
	}
	return c, err
}

// joinForwarded joins another node's client to the side that it asks for, if that waits here.
func (s *session) joinForwarded(c command) error {
	w := s.client.server.opt.Memory.claim(c.key.Other())
	if w == nil {
		return errNobody
	}
	if s.forwarded.waited > time.Since(w.Since) {
		s.Tell(waitedLine)
		return s.carry(s, w.Side)
	}
	return s.carry(w.Side, s)
}

// ended handles an endRequest.
func (s *session) ended(payload []byte) {
	var end struct{ Line string }
	if s.forwarded == nil || ssh.Unmarshal(payload, &end) != nil {
		return
	}
	s.forwarded.once.Do(func() {
		if end.Line != "" {
			s.forwarded.err = &refusal{otherNode, printable(end.Line)}
		}
		close(s.forwarded.ended)
	})
}

// lost returns why the side is lost, if it is. A node says how its side ended before it sends the end of file, and all that it said
// is read before it counts as gone.
func (f *forwarded) lost(gone <-chan struct{}) error {
	select {
	case <-f.ended:
	case <-gone:
		select {
		case <-f.ended:
		default:
			return errNodeLost
		}
	}
	return f.err
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
