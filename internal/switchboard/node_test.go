package switchboard

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// elsewhere is a rendezvous that knows of one side at another node.
type elsewhere struct {
	*Memory
	node string
}

func (e *elsewhere) Take(ctx context.Context, token string, from net.Addr) (Found, error) {
	found, err := e.Memory.Take(ctx, token, from)
	if found.Wait == nil && err == nil {
		found.Node = e.node
	}
	return found, err
}

func (e *elsewhere) Meet(key Key, side Side) (other, own *Wait) {
	other, own = e.Memory.Meet(key, side)
	if own != nil && key.Letter == "b" && e.node != "" {
		own.Elsewhere <- e.node
	}
	return other, own
}

// startNodes starts two nodes: the side that a client of the second asks for waits at the first.
func startNodes(t *testing.T, change func(node int, o *Options)) (first, second *board) {
	t.Helper()
	key, _, err := HostKey(filepath.Join(t.TempDir(), "host_key"))
	if err != nil {
		t.Fatal(err)
	}
	var nodes [2]*board
	for i := range nodes {
		nodes[i] = startBoard(t, func(o *Options) {
			o.HostKey, o.ClusterKey = key, bytes.Repeat([]byte{7}, 32)
			if change != nil {
				change(i, o)
			}
			o.Memory = NewMemory(o.TokenDigits, o.Lookups, rand.Reader)
			if i == 1 {
				o.Rendezvous = &elsewhere{o.Memory, nodes[0].addr}
			}
		})
	}
	return nodes[0], nodes[1]
}

// A link across two nodes is like one at a single node: bytes and ends of file go both ways, and both sides get status 0.
func TestAcrossNodes(t *testing.T) {
	t.Parallel()
	first, second := startNodes(t, nil)
	a, token := first.wait(t)
	a.write("early ")
	c := second.join(t, token)
	large := strings.Repeat("0123456789abcdef", 64<<10)
	var pouring sync.WaitGroup
	pouring.Go(func() {
		a.write(large)
		a.ch.CloseWrite()
	})
	c.read("early " + large)
	pouring.Wait()
	answered(a, c)
	for _, b := range []*board{first, second} {
		eventually(t, "the link has ended", func() bool { return strings.Count(b.log.String(), "how=well") == 1 })
	}
	if n := len(first.counters.counts) + len(second.counters.counts); n != 0 {
		t.Errorf("counted: %v, %v", first.counters.counts, second.counters.counts)
	}
	second.meet(t, meetingName, "b").refused("keeps disappearing")

	_, again := first.wait(t)
	second.join(t, again).conn.Close()
	second.run(t, again).refused("nobody is waiting under this token")
}

// When b has waited at its node for longer than a at another, a is the one that is told: whoever waits hears nothing.
func TestAcrossNodesMeeting(t *testing.T) {
	t.Parallel()
	first, second := startNodes(t, nil)
	a := first.meet(t, meetingName, "a")
	eventually(t, "a waits", func() bool { return first.waiting.number() == 1 })
	b := second.meet(t, meetingName, "b")
	if line := b.line(); line != "switched" {
		t.Errorf("b was told %q", line)
	}
	a.ch.CloseWrite()
	answered(a, b)
	if line := a.line(); line != "" {
		t.Errorf("a was told %q", line)
	}

	// The node says that b has waited for as long as it can say.
	a = first.meet(t, meetingName, "a")
	eventually(t, "a waits", func() bool { return first.waiting.number() == 1 })
	n := dialNode(t, first, "forward 203.0.113.7:77 8796093022207 "+meetingName+" b")
	if line := n.line(); line != waitedLine {
		t.Errorf("the node was told %q", line)
	}
	if line := a.line(); line != "switched" {
		t.Errorf("a was told %q", line)
	}
}

// dialNode connects to a node as another node does, and asks for something.
func dialNode(t *testing.T, b *board, text string) *peer {
	t.Helper()
	p, err := dialAs(t, b, b.nodeUser, ssh.PublicKeys(b.opt.HostKey))
	if err != nil {
		t.Fatal(err)
	}
	return p.session().exec(text)
}

func dialAs(t *testing.T, b *board, user string, auth ...ssh.AuthMethod) (*peer, error) {
	t.Helper()
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	return b.tryDialAs(t, conn, user, auth...)
}

// Whoever has the host key is a node, and nobody else; clients can't use a node's commands, nor nodes a client's.
func TestOnlyNodes(t *testing.T) {
	t.Parallel()
	first, second := startNodes(t, nil)
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	other, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	user := first.nodeUser
	if _, err := dialAs(t, first, user); err == nil {
		t.Error("let in as a node without a key")
	}
	if _, err := dialAs(t, first, user, ssh.PublicKeys(other)); err == nil {
		t.Error("let in as a node with another key")
	}
	_, token := first.wait(t)
	p, err := dialAs(t, first, "anybody", ssh.PublicKeys(first.opt.HostKey))
	if err != nil {
		t.Fatal(err)
	}
	p.session().exec("forward 203.0.113.7:77 0 " + token).refused("unknown command")
	for _, text := range []string{
		"new", token, "help", "forward", "forward 203.0.113.7:77 0 new", "forward 203.0.113.7:77 0 help", "forward 203.0.113.7 0 " + token,
		"forward host:77 0 " + token, "forward 203.0.113.7:77 -1 " + token, "forward 203.0.113.7:77 8796093022208 " + token,
		"forward 203.0.113.7:77 0  " + token,
		"forward 203.0.113.7:77 0 " + token + " a", "forward 203.0.113.7:77 0 " + meetingName + " b c", "forward 203.0.113.7:77 0 " + strings.Repeat("0", 300),
	} {
		dialNode(t, first, text).refused("ask for \"new\"")
	}
	// What a node asks for is looked up only where it asks.
	dialNode(t, second, "forward 203.0.113.7:77 0 "+token).refused("nobody is waiting")
	n := dialNode(t, first, "forward [2001:db8::7]:77 0 "+token)
	if line := n.line(); line != switchedLine {
		t.Errorf("the node was told %q", line)
	}
	first.links.mu.Lock()
	defer first.links.mu.Unlock()
	if n := first.links.crowds[crowdsOf(address("[2001:db8::8]:1"))[0]]; n != 1 {
		t.Errorf("%d links are counted for the client of the other node", n)
	}
}

// The client reads why the other node refuses it, or ends its link.
func TestOtherNodeRefuses(t *testing.T) {
	t.Parallel()
	first, second := startNodes(t, func(node int, o *Options) {
		if node == 0 {
			o.IdleTime = 500 * time.Millisecond
		}
	})
	a, token := first.wait(t)
	c := second.join(t, token)
	c.write("x")
	a.read("x")
	a.refused("nothing has moved for 500ms")
	c.refused("nothing has moved for 500ms")
	eventually(t, "both nodes count it", func() bool { return first.refused(idleLink) == 1 && second.refused(otherNode) == 1 })
}

// A side whose partner's node is lost is told so, at either end; and nobody waits for a node that can't be reached.
func TestNodeLost(t *testing.T) {
	t.Parallel()
	first, second := startNodes(t, nil)
	a, token := first.wait(t)
	n := dialNode(t, first, "forward 203.0.113.7:77 0 "+token)
	n.line()
	n.write("x")
	a.read("x")
	n.net.Close()
	a.refused("the other side's switchboard was lost")

	// The other way round: the node where a side waits ends without a word.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	second.opt.Rendezvous.(*elsewhere).node = ln.Addr().String()
	deaf := make(chan net.Conn, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
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
		(<-of).Reply(true, nil)
		go ssh.DiscardRequests(of)
		io.WriteString(ch.Stderr(), "switched\n")
		deaf <- conn
	}()
	c := second.join(t, "00000")
	(<-deaf).Close()
	c.refused("the other side's switchboard was lost")

	ln.Close()
	second.run(t, "00000").refused("can't be reached; try again")
	eventually(t, "both are counted", func() bool { return second.refused(nodeLost) == 2 })
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

// When one node goes down, its clients and those they are linked to are told.
func TestNodeGoesDown(t *testing.T) {
	t.Parallel()
	first, second := startNodes(t, nil)
	a, token := first.wait(t)
	c := second.join(t, token)
	c.write("x")
	a.read("x")
	second.stop()
	a.refused("the switchboard is going down")
	c.refused("the switchboard is going down")
}

// Lines from another node are printable, and not endless.
func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[2Jb\u2028c\n"); got != "a[2Jbc" {
		t.Errorf("%q", got)
	}
	if n := len(printable(strings.Repeat("x", 1<<20))); n != maxLine {
		t.Errorf("%d bytes", n)
	}
}
