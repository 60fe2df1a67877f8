package switchboard

import (
	"net"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// The client reads why the other node refuses it, or ends its link.
func TestOtherNodeRefuses(t *testing.T) {
	t.Parallel()
	first, second := startNodes(t, func(node int, o *Options) {
		if node == 0 {
			o.IdleTime = 500 * time.Millisecond
		}
	})
	for _, half := range []bool{false, true} { // whether one end of file has been passed on
		a, token := first.wait(t)
		c := second.join(t, token)
		c.write("x")
		a.read("x")
		if half {
			a.ch.CloseWrite()
			c.end()
		}
		a.refused("nothing has moved for 500ms")
		if half {
			c.exit(1) // no line can follow the end of file
			continue
		}
		c.refused("nothing has moved for 500ms")
	}
	eventually(t, "both nodes count it", func() bool { return first.counted(idleLink) == 2 && second.counted(otherNode) == 2 })

	// Before it has said that the two are joined; in words that have to be made printable.
	second.opt.Rendezvous.(*elsewhere).node = fakeNode(t, first, func(ch ssh.Channel, conn net.Conn) {
		ch.SendRequest(endRequest, false, ssh.Marshal(ending{"no \x1b[2Jroom\n"}))
		ch.Close()
	})
	second.run(t, "00000").refused("no [2Jroom")
	// And without a reason.
	second.opt.Rendezvous.(*elsewhere).node = fakeNode(t, first, func(ch ssh.Channel, conn net.Conn) {
		ch.SendRequest(endRequest, false, ssh.Marshal(ending{}))
		ch.Close()
	})
	second.run(t, "00000").refused("try again")
}

// fakeNode listens as a node with the first one's key does, and accepts one channel. It returns its address.
func fakeNode(t *testing.T, first *board, serve func(ch ssh.Channel, conn net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		config := &ssh.ServerConfig{NoClientAuth: true}
		config.AddHostKey(first.opt.HostKey)
		_, channels, requests, err := ssh.NewServerConn(conn, config)
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		ch, of, err := (<-channels).Accept()
		if err != nil {
			return
		}
		serve(ch, conn)
		for range of { // until the other one has gone
		}
	}()
	t.Cleanup(func() { ln.Close(); <-ended })
	return ln.Addr().String()
}

// A side whose partner's node is lost is told so, at either end; and nobody waits for a node that can't be reached.
func TestNodeLost(t *testing.T) {
	t.Parallel()
	first, second := startNodes(t, nil)
	a, token := first.wait(t)
	n := askedFor(t, first, forward{farClient, 0, token, ""})
	n.Write([]byte("x"))
	a.read("x")
	n.meter.Close()
	a.refused("the other side's switchboard was lost")

	// The other way round: the node where a side waits ends without a word.
	deaf := make(chan net.Conn, 1)
	second.opt.Rendezvous.(*elsewhere).node = fakeNode(t, first, func(ch ssh.Channel, conn net.Conn) {
		ch.SendRequest(switchedRequest, false, nil)
		deaf <- conn
	})
	c := second.join(t, "00000")
	(<-deaf).Close()
	c.refused("the other side's switchboard was lost")

	// Or before it has answered.
	second.opt.Rendezvous.(*elsewhere).node = fakeNode(t, first, func(ch ssh.Channel, conn net.Conn) { conn.Close() })
	second.run(t, "00000").refused("try again")

	second.opt.Rendezvous.(*elsewhere).node = "127.0.0.1:1"
	second.run(t, "00000").refused("can't be reached; try again")
	eventually(t, "all are counted", func() bool { return second.counted(nodeLost) == 3 })
}

// A node without the host key is told nothing.
func TestWrongNode(t *testing.T) {
	t.Parallel()
	_, second := startNodes(t, nil)
	stranger := startBoard(t, nil)
	_, token := stranger.wait(t)
	second.opt.Rendezvous.(*elsewhere).node = stranger.addr
	second.run(t, token).refused("can't be reached")
	if stranger.waiting.number() != 1 {
		t.Error("it has been asked")
	}
}
