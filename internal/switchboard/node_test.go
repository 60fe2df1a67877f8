package switchboard

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"math"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/sshtest"
)

// elsewhere is a rendezvous that knows of one side at another node.
type elsewhere struct {
	*Memory
	node string
}

func (e *elsewhere) Take(ctx context.Context, token string, from net.Addr) (here *Wait, node string, err error) {
	here, _, err = e.Memory.Take(ctx, token, from)
	if here == nil && err == nil {
		node = e.node
	}
	return here, node, err
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
	if here, there := first.opt.Metrics.refusalCounts(), second.opt.Metrics.refusalCounts(); len(here)+len(there) != 0 {
		t.Errorf("counted: %v, %v", here, there)
	}
	second.meet(t, meetingName, "b").refused("keeps disappearing")

	_, again := first.wait(t)
	second.join(t, again).conn.Close()
	second.run(t, again).refused("nobody is waiting under this token")
}

// Whoever waits hears nothing, at whichever node: of the two sides of a meeting, the one that came later is told, and is the one that
// must not stay silent.
func TestAcrossNodesMeeting(t *testing.T) {
	t.Parallel()
	first, second := startNodes(t, func(_ int, o *Options) { o.SilentTime = 2 * time.Second })
	a := first.meet(t, meetingName, "a")
	eventually(t, "a waits", func() bool { return first.waiting.number() == 1 })
	b := second.meet(t, meetingName, "b")
	if line := b.line(); line != "switched" {
		t.Errorf("b was told %q", line)
	}
	b.write("x")
	a.read("x")
	a.ch.CloseWrite()
	answered(a, b)
	if line := a.line(); line != "" {
		t.Errorf("a was told %q", line)
	}

	// b waits first, and hears of a later.
	second.opt.Rendezvous.(*elsewhere).node = ""
	b = second.meet(t, meetingName, "b")
	eventually(t, "b waits", func() bool { return second.waiting.number() == 1 })
	a = first.meet(t, meetingName, "a")
	eventually(t, "a waits", func() bool { return first.waiting.number() == 1 })
	second.opt.Memory.mu.Lock()
	w := second.opt.Memory.waiting[Key{meetingName, "b"}]
	second.opt.Memory.mu.Unlock()
	w.Since = w.Since.Add(-time.Second) // longer by more than a millisecond, which is what nodes count in
	w.Elsewhere <- first.addr
	if line := a.line(); line != "switched" {
		t.Errorf("a was told %q", line)
	}
	a.refused("the side that joined has sent nothing")
	b.refused("the side that joined has sent nothing") // its first line

	// There is no wait that can't be compared.
	a = first.meet(t, meetingName, "a")
	eventually(t, "a waits", func() bool { return first.waiting.number() == 1 })
	if _, longer, err := askNode(t, first, forward{farClient, math.MaxUint64, meetingName, "b"}); err != nil || !longer {
		t.Errorf("the node was told %v, %v", longer, err)
	}
	if line := a.line(); line != "switched" {
		t.Errorf("a was told %q", line)
	}
}

// All that a side has sent reaches the other one, though it has left and the nodes have parted.
func TestAcrossNodesLeftEarly(t *testing.T) {
	t.Parallel()
	first, second := startNodes(t, nil)
	large := strings.Repeat("0123456789abcdef", 3<<16) // more than a window, less than two
	for _, waits := range []bool{true, false} {
		a, token := first.wait(t)
		c := second.join(t, token)
		leaves, stays, node := a, c, first
		if !waits {
			leaves, stays, node = c, a, second
		}
		leaves.write(large)
		leaves.ch.CloseWrite()
		leaves.ch.Close()
		eventually(t, "the link has ended", func() bool { return strings.Contains(node.log.String(), `how="left early"`) })
		stays.read(large)
		stays.end()
		stays.exit(1)
	}
}

// farClient is the address of another node's client.
const farClient = "203.0.113.7:77"

// askNode asks a node for a side, as another node does.
func askNode(t *testing.T, b *board, of forward) (side *far, longer bool, err error) {
	t.Helper()
	n, err := b.Server.dial(t.Context(), b.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.leave)
	return n.ask(t.Context(), of)
}

// askedFor expects a node to find a side.
func askedFor(t *testing.T, b *board, of forward) *far {
	t.Helper()
	side, longer, err := askNode(t, b, of)
	if err != nil || longer {
		t.Fatalf("the node was told %v, %v", longer, err)
	}
	return side
}

func dialAs(t *testing.T, b *board, user string, auth ...ssh.AuthMethod) (*peer, error) {
	t.Helper()
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	return b.tryDialAs(t, conn, user, auth...)
}

// Whoever has the host key is a node, and nobody else; clients can't ask what a node does, nor nodes what a client does.
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
	rejected := func(who *peer, kind string, extra []byte, want ssh.RejectionReason) {
		t.Helper()
		_, _, err := who.conn.OpenChannel(kind, extra)
		var refused *ssh.OpenChannelError
		if !errors.As(err, &refused) || refused.Reason != want {
			t.Errorf("%s %q: %v, want %v", kind, extra, err, want)
		}
	}
	_, token := first.wait(t)
	client, err := dialAs(t, first, "anybody", ssh.PublicKeys(first.opt.HostKey))
	if err != nil {
		t.Fatal(err)
	}
	rejected(client, forwardChannel, ssh.Marshal(forward{farClient, 0, token, ""}), ssh.UnknownChannelType)
	node, err := dialAs(t, first, user, ssh.PublicKeys(first.opt.HostKey))
	if err != nil {
		t.Fatal(err)
	}
	rejected(node, "session", nil, ssh.ResourceShortage)
	good := ssh.Marshal(forward{farClient, 0, token, ""})
	for _, extra := range [][]byte{
		nil, good[:len(good)-1], append(slices.Clone(good), 0), ssh.Marshal(forward{"203.0.113.7", 0, token, ""}), ssh.Marshal(forward{"host:77", 0, token, ""}),
		ssh.Marshal(forward{farClient, 0, token, strings.Repeat("a", maxForward)}),
	} {
		rejected(node, forwardChannel, extra, ssh.Prohibited)
	}
	for _, of := range []forward{{farClient, 0, "", ""}, {farClient, 0, token, "a"}, {farClient, 0, token, "c"}, {farClient, 0, meetingName, "b"}} {
		rejected(node, forwardChannel, ssh.Marshal(of), nobodyWaits)
	}
	// What a node asks for is looked up only where it asks.
	if _, _, err := askNode(t, second, forward{farClient, 0, token, ""}); !errors.As(err, new(*ssh.OpenChannelError)) {
		t.Errorf("asked for a side at a third node: %v", err)
	}
	if _, _, err := node.conn.OpenChannel(forwardChannel, ssh.Marshal(forward{"[2001:db8::7]:77", 0, token, ""})); err != nil {
		t.Error(err)
	}
	rejected(node, forwardChannel, good, ssh.UnknownChannelType) // one for each connection
	eventually(t, "the link is counted for the client of the other node", func() bool {
		first.links.mu.Lock()
		defer first.links.mu.Unlock()
		return first.links.crowds[crowdsOf(address("[2001:db8::8]:1"))[0]] == 1
	})
}

// A node may leave no more unread than a client.
func TestNodeFloods(t *testing.T) {
	t.Parallel()
	first, _ := startNodes(t, nil)
	a := first.connected(t)
	a.openSession(0, 1<<15) // it takes nothing
	a.request("exec", sshtest.Strings("meet "+meetingName+" a"))
	eventually(t, "a waits", func() bool { return first.waiting.number() == 1 })
	n := askedFor(t, first, forward{farClient, 0, meetingName, "b"})
	n.meter.SetDeadline(time.Now().Add(10 * patience)) // there is much to encrypt
	var err error
	for sent := 0; err == nil && sent < 1<<20; sent++ {
		_, err = n.Channel.Write([]byte{0})
	}
	if err == nil {
		t.Fatal("a mebibyte in packets of one byte was taken")
	}
	if err := n.Lost(); err == nil || err.Error() != "too much unread data" {
		t.Errorf("the node was told %v", err)
	}
	if first.counted(flooding) != 1 {
		t.Error("it isn't counted")
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
