package switchboard

import (
	"context"
	"crypto/rand"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/sshtest"
)

// reasons returns every reason that refusal.go names.
func reasons(t *testing.T) map[reason]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "refusal.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[reason]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			if of, ok := spec.Type.(*ast.Ident); ok && of.Name == "reason" {
				text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				all[reason(text)] = true
			}
		}
		return true
	})
	return all
}

// away is the rendezvous of a node that can't ask the others.
type away struct{ *Memory }

func (away) Take(context.Context, string, net.Addr) (*Wait, string, error) { return nil, "", ErrAway }

// Every refusal is counted and logged, once and for its own reason, and whoever is refused is told one line, unless it has no
// channel left to hear it on, reads nothing, or has not been accepted yet.
func TestEveryRefusal(t *testing.T) {
	t.Parallel()
	exhausted := func(t *testing.T, change func(*Options)) *board {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l := &failingListener{Listener: ln, errno: syscall.EMFILE}
		l.failures.Store(1)
		return startBoardOn(t, l, change)
	}
	open := func(t *testing.T, p *peer, kind string) {
		t.Helper()
		_, err := p.open(kind)
		var refused *ssh.OpenChannelError
		if !errors.As(err, &refused) || refused.Message == "" || strings.Contains(refused.Message, "\n") {
			t.Errorf("%s: %v", kind, err)
		}
	}
	none := func(*Options) {}
	covered := make(map[reason]bool)
	for _, c := range []struct {
		reason reason
		change func(*Options)
		refuse func(t *testing.T, b *board)
	}{
		{tooManyConnections, func(o *Options) { o.MaxConnections = 1 }, func(t *testing.T, b *board) {
			b.wait(t)
			r := dialRaw(t, b.addr)
			r.versions()
			r.dismissed("too many connections are open")
		}},
		{noHandshake, func(o *Options) { o.HandshakeTime = 50 * time.Millisecond }, func(t *testing.T, b *board) {
			r := dialRaw(t, b.addr)
			r.versions()
			r.dismissed("no handshake in 50ms")
		}},
		{noCommand, func(o *Options) { o.CommandTime = 2 * time.Second }, func(t *testing.T, b *board) {
			b.dial(t).session().refused("no command came in time")
		}},
		{unknownCommand, none, func(t *testing.T, b *board) { b.run(t, "id").refused("unknown command") }},
		{refusedRequest, none, func(t *testing.T, b *board) {
			p := b.dial(t).session()
			p.request("shell", nil)
			p.refused("no shell here")
		}},
		{refusedForward, none, func(t *testing.T, b *board) { open(t, b.dial(t), "direct-tcpip") }},
		{refusedChannel, none, func(t *testing.T, b *board) { open(t, b.dial(t), "x11") }},
		{tooManyWaiting, func(o *Options) { o.MaxWaiting = 1 }, func(t *testing.T, b *board) {
			p, _ := b.wait(t)
			b.wait(t)
			p.refused("too many are waiting")
		}},
		{waitedLong, func(o *Options) { o.WaitTime = 50 * time.Millisecond }, func(t *testing.T, b *board) {
			p, _ := b.wait(t)
			p.refused("nobody came in 50ms")
		}},
		{replacedBy, none, func(t *testing.T, b *board) {
			p := b.meet(t, meetingName, "a")
			eventually(t, "one side waits", func() bool { return b.waiting.number() == 1 })
			b.meet(t, meetingName, "a")
			p.refused("has taken your place")
		}},
		{wrongToken, none, func(t *testing.T, b *board) { b.run(t, "00000").refused("nobody is waiting") }},
		{tooManyLookups, func(o *Options) { o.Lookups = 1 }, func(t *testing.T, b *board) {
			b.opt.Memory.lookups.allow(address("127.0.0.1:1"))
			b.run(t, "00000").refused("too many tokens have been tried from your address")
		}},
		{tooManyLinks, func(o *Options) { o.MaxLinks = 1 }, func(t *testing.T, b *board) {
			a, c := b.link(t)
			b.link(t)
			a.refused("too many links are running")
			c.refused("too many links are running")
		}},
		{idleLink, func(o *Options) { o.IdleTime = 100 * time.Millisecond }, func(t *testing.T, b *board) {
			a, c := b.link(t)
			a.refused("nothing has moved for 100ms")
			c.refused("nothing has moved for 100ms")
		}},
		{silentSide, func(o *Options) { o.SilentTime = 100 * time.Millisecond }, func(t *testing.T, b *board) {
			a, c := b.link(t)
			a.refused("has sent nothing in 100ms")
			c.refused("has sent nothing in 100ms")
		}},
		{clusterAway, func(o *Options) { o.Rendezvous = away{NewMemory(5, 60, rand.Reader)} }, func(t *testing.T, b *board) {
			b.run(t, "00000").refused("can't be asked just now; try again")
		}},
		{nodeLost, func(o *Options) { o.Rendezvous = &elsewhere{NewMemory(5, 60, rand.Reader), "127.0.0.1:1"} }, func(t *testing.T, b *board) {
			b.run(t, "00000").refused("can't be reached; try again")
		}},
		{otherNode, func(o *Options) { o.ClusterKey = make([]byte, 32) }, func(t *testing.T, b *board) {
			a, token := b.wait(t)
			askedFor(t, b, forward{farClient, 0, token, ""}).Finish(1, "so it is")
			a.refused("so it is")
		}},
		{deadPeer, func(o *Options) {
			o.KeepaliveInterval = 50 * time.Millisecond
			o.KeepaliveTime = 50 * time.Millisecond
		}, func(t *testing.T, b *board) {
			b.connected(t).ended() // and answers no keepalive
		}},
		{flooding, none, func(t *testing.T, b *board) {
			p, _ := b.wait(t)
			for range 2 * requestBurst {
				p.ch.SendRequest("env", false, nil)
			}
			p.refused("too many requests")
		}},
		{goingDown, none, func(t *testing.T, b *board) {
			p, _ := b.wait(t)
			b.stop()
			p.refused("going down")
		}},
		{slowReader, func(o *Options) { o.ControlTime = 50 * time.Millisecond }, func(t *testing.T, b *board) {
			r := b.connected(t)
			r.openSession(0, 1<<15)
			r.request("exec", sshtest.Strings("new"))
			r.ended()
		}},
		{outOfDescriptors, nil, func(t *testing.T, b *board) { b.wait(t) }},
	} {
		covered[c.reason] = true
		t.Run(string(c.reason), func(t *testing.T) {
			t.Parallel()
			var b *board
			if c.change == nil {
				b = exhausted(t, c.change)
			} else {
				b = startBoard(t, c.change)
			}
			c.refuse(t, b)
			eventually(t, "it is counted", func() bool { return b.counted(c.reason) > 0 })
			if counts := b.opt.Metrics.refusalCounts(); len(counts) != 1 || b.counted(c.reason) != 1 {
				t.Errorf("the counters are %v", counts)
			}
			line := regexp.MustCompile(`level=DEBUG msg=refused (?:from=127\.0\.0\.1:\d+|error=.*) .*\breason=(\w+)\n`)
			if logged := line.FindAllStringSubmatch(b.log.String(), -1); len(logged) != 1 || logged[0][1] != string(c.reason) {
				t.Errorf("the log is\n%s", b.log)
			}
		})
	}
	page, err := os.ReadFile("../../docs/man/aig-switchboard.8")
	if err != nil {
		t.Fatal(err)
	}
	for r := range reasons(t) {
		if !covered[r] {
			t.Errorf("nothing here is refused for %q", r)
		}
		if !regexp.MustCompile(`(?m)^(\w+, )?` + string(r) + `[,\t]`).Match(page) {
			t.Errorf("the man page does not explain %q", r)
		}
	}
}
