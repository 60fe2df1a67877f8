package cluster

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"aig/internal/gittest"
	"aig/internal/switchboard"
)

// Two people with the vanilla ssh client are joined whichever nodes they come to, by a token and by a meeting.
func TestAllCombinations(t *testing.T) {
	url := startNATS(t, server.Options{}).ClientURL()
	nodes := startNodes(t, nil, url, url, url)
	known(t, nodes)
	for i, from := range nodes {
		for j, to := range nodes {
			first := vanilla(t, from, "new")
			second := vanilla(t, to, first.line())
			if line := second.line(); line != "switched" {
				t.Fatalf("%d and %d: the joining side was told %q", i, j, line)
			}
			exchange(t, first, second)
			for _, letters := range []string{"ab", "ba"} {
				name := fmt.Sprintf("%032x", i<<8|j<<4)
				first := vanilla(t, from, "meet "+name+" "+letters[:1])
				second := vanilla(t, to, "meet "+name+" "+letters[1:])
				exchange(t, first, second)
			}
		}
	}
}

// Many pairs that come at once, at all combinations of nodes, are all joined.
func TestManyPairsAtOnce(t *testing.T) {
	pairs := gittest.Rounds(150, 1000)
	url := startNATS(t, server.Options{}).ClientURL()
	nodes := startNodes(t, []string{"--max-connections", "10000", "--max-waiting", "10000", "--max-links", "10000", "--command-time", "5m"}, url, url, url)
	known(t, nodes)
	began := time.Now()
	var all sync.WaitGroup
	failed := make(chan error, pairs)
	for i := range pairs {
		all.Go(func() {
			if err := tryLink(nodes[i%3], nodes[i/3%3]); err != nil {
				failed <- err
			}
		})
	}
	all.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	t.Logf("%d pairs in %v", pairs, time.Since(began))
}

// While NATS is away, sides at the same node find each other, and whoever asks for anybody else is told to try again. When NATS is
// back, so are the nodes, with all who wait there.
func TestNATSAway(t *testing.T) {
	nats := startNATS(t, server.Options{})
	url, port := nats.ClientURL(), nats.Addr().String()
	nodes := startNodes(t, nil, url, url)
	known(t, nodes)
	stop := linking(t, nodes[0], nodes[0])
	before, early := nodes[0].token()
	linked, over := nodes[0].token()
	across := nodes[1].join(over)
	stopNATS(nats)
	eventually(t, "they see it", func() bool {
		return nodes[0].logged("nats is unreachable") && nodes[1].logged("nats is unreachable")
	})
	nodes[1].run(early).refused("the other switchboards can't be asked just now; try again")
	talk(t, linked, across) // bytes don't go that way
	during, late := nodes[0].token()
	a := nodes[0].run("meet " + strings.Repeat("0", 32) + " a")
	b := nodes[1].run("meet " + strings.Repeat("0", 32) + " b")
	var number int
	if _, err := fmt.Sscanf(port[strings.LastIndex(port, ":")+1:], "%d", &number); err != nil {
		t.Fatal(err)
	}
	startNATS(t, server.Options{Port: number})
	talk(t, a, b)
	for i, waiting := range []*peer{before, during} {
		token := []string{early, late}[i]
		var came *peer
		eventually(t, "it is found", func() bool {
			came = nodes[1].run(token)
			return came.line() == "switched"
		})
		talk(t, waiting, came)
	}
	t.Logf("meanwhile %d pairs", stop())
}

// A node that starts without NATS works alone, and joins the others once NATS is there.
func TestNATSLater(t *testing.T) {
	port := freePort(t)
	url := fmt.Sprintf("nats://127.0.0.1:%d", port)
	nodes := startNodes(t, nil, url, url)
	link(nodes[0], nodes[0])
	a, token := nodes[0].token()
	startNATS(t, server.Options{Port: port})
	known(t, nodes)
	talk(t, a, nodes[1].join(token))
}

// When a node is killed, whoever was linked to its clients is told, its tokens are void, and the other nodes go on.
func TestNodeKilled(t *testing.T) {
	url := startNATS(t, server.Options{}).ClientURL()
	nodes := startNodes(t, nil, url, url, url)
	known(t, nodes)
	stop := linking(t, nodes[0], nodes[1])
	waiting, spent := nodes[2].token()
	inbound, token := nodes[0].token()
	from := nodes[2].join(token) // a link that the killed node carries to another one
	outbound, token := nodes[2].token()
	to := nodes[1].join(token) // and one that another node carries to it
	nodes[2].cmd.Process.Signal(syscall.SIGKILL)
	<-nodes[2].done
	inbound.refused("the other side's switchboard was lost")
	to.refused("the other side's switchboard was lost")
	for _, p := range []*peer{waiting, from, outbound} {
		if err := p.conn.Wait(); err == nil {
			t.Error("a client of the killed node goes on")
		}
	}
	nodes[0].run(spent).refused("nobody is waiting")
	for range 10 {
		link(nodes[1], nodes[0])
	}
	t.Logf("meanwhile %d pairs", stop())
}

// A frozen node holds nobody up for long: whoever asks for a side that waits there is told to try again, and whoever was linked to
// one of its clients is told that the node is lost.
func TestNodeFrozen(t *testing.T) {
	url := startNATS(t, server.Options{}).ClientURL()
	nodes := startNodes(t, []string{"--keepalive-interval", "2s", "--keepalive-time", "2s"}, url, url)
	known(t, nodes)
	inbound, token := nodes[0].token()
	nodes[1].join(token)
	outbound, token := nodes[1].token()
	to := nodes[0].join(token)
	if _, err := io.WriteString(to.ch, "x"); err != nil {
		t.Fatal(err)
	}
	io.ReadFull(outbound.ch, make([]byte, 1))
	_, token = nodes[1].token()
	nodes[1].cmd.Process.Signal(syscall.SIGSTOP)
	defer nodes[1].cmd.Process.Signal(syscall.SIGCONT)
	nodes[0].run(token).refused("try again")
	inbound.refused("the other side's switchboard was lost")
	to.refused("the other side's switchboard was lost")
}

// A guesser has one budget, however many nodes he tries.
func TestOneBudget(t *testing.T) {
	url := startNATS(t, server.Options{}).ClientURL()
	nodes := startNodes(t, []string{"--look-ups", "5"}, url, url)
	known(t, nodes)
	for range 5 {
		nodes[0].run("00000").refused("nobody is waiting")
	}
	nodes[0].run("00000").refused("too many tokens have been tried")
	nodes[1].run("00000").refused("too many tokens have been tried")
}

// How long tokens are depends on all who wait, at any node.
func TestTokensOfAllNodes(t *testing.T) {
	url := startNATS(t, server.Options{}).ClientURL()
	nodes := startNodes(t, nil, url, url)
	known(t, nodes)
	if _, token := nodes[0].token(); len(token) != 5 {
		t.Errorf("the first token is %q", token)
	}
	eventually(t, "the other node's is longer", func() bool {
		p, token := nodes[1].token()
		defer p.conn.Close()
		return len(token) == 6
	})
}

// A newer session with the same letter takes the place of one at another node.
func TestReplacedAtAnotherNode(t *testing.T) {
	url := startNATS(t, server.Options{}).ClientURL()
	nodes := startNodes(t, nil, url, url, url)
	known(t, nodes)
	meeting := "meet " + strings.Repeat("1", 32) + " "
	old := nodes[0].run(meeting + "a")
	eventually(t, "it waits", func() bool { return waiting(nodes[0]) })
	newer := nodes[1].run(meeting + "a")
	old.refused("has taken your place")
	newest := nodes[0].run(meeting + "a")
	newer.refused("has taken your place")
	b := nodes[2].run(meeting + "b")
	if line := b.line(); line != "switched" {
		t.Errorf("b was told %q", line)
	}
	talk(t, newest, b)
}

// waiting waits until a node has handled what was asked of it earlier: until it gives out a token.
func waiting(n *board) bool {
	p, _ := n.token()
	p.conn.Close()
	return true
}

// Two sides that come to different nodes at the same moment are joined, even if older sessions of theirs are still about.
func TestMeetAtOnce(t *testing.T) {
	url := startNATS(t, server.Options{}).ClientURL()
	nodes := startNodes(t, nil, url, url, url)
	known(t, nodes)
	for i := range gittest.Rounds(15, 300) {
		meeting := fmt.Sprintf("meet %032x ", i)
		var a, b, stale *peer
		var both sync.WaitGroup
		both.Go(func() { a = nodes[0].run(meeting + "a") })
		both.Go(func() { b = nodes[1].run(meeting + "b") })
		both.Wait()
		talk(t, a, b)

		// Of two sessions of a at once, one is left, and b meets that one.
		both.Go(func() { a = nodes[0].run(meeting + "a") })
		both.Go(func() { stale = nodes[2].run(meeting + "a") })
		both.Wait()
		lines := make(chan *peer, 2)
		for _, p := range []*peer{a, stale} {
			go func() {
				if strings.Contains(p.line(), "has taken your place") {
					lines <- p
				}
			}()
		}
		gone := <-lines
		if gone == a {
			a = stale
		}
		b = nodes[1].run(meeting + "b")
		talk(t, a, b)
	}
}

// After NATS servers have lost and found each other, whoever waits on either side of the split is found, and a meeting with a side
// on each is joined by itself.
func TestSplitAndHealed(t *testing.T) {
	urls, cut, mend := split(t)
	nodes := startNodes(t, nil, urls[0], urls[1])
	known(t, nodes)
	link(nodes[0], nodes[1])
	cut()
	stop := linking(t, nodes[0], nodes[0])
	a := nodes[0].run("meet " + strings.Repeat("2", 32) + " a")
	b := nodes[1].run("meet " + strings.Repeat("2", 32) + " b")
	first, token := nodes[0].token()
	nodes[1].run(token).refused("nobody is waiting")
	mend()
	talk(t, a, b)
	talk(t, first, nodes[1].join(token))
	t.Logf("meanwhile %d pairs", stop())
}

// A meeting that no longer asks by itself is asked for again once the nodes have missed each other's heartbeats.
func TestHealedLater(t *testing.T) {
	urls, cut, mend := split(t)
	var clusters [2]*Cluster
	var waits [2]*switchboard.Wait
	cut()
	for i := range clusters {
		clusters[i] = newCluster(t, urls[i], switchboard.NewMemory(5, 60, rand.Reader))
		defer clusters[i].Close()
		_, waits[i] = clusters[i].Meet(switchboard.Key{Name: "0", Letter: "ab"[i : i+1]}, nil)
		defer clusters[i].Leave(waits[i])
	}
	time.Sleep(youngTime + againTime) // from then on they no longer ask by themselves, which nothing shows
	mend()
	select {
	case node := <-waits[1].Elsewhere:
		if node != clusters[0].address {
			t.Errorf("b is sent to %q", node)
		}
	case <-time.After(patience):
		t.Error("b has not heard of a")
	}
}

// A session announced only after a newer one has replaced it takes nothing from the newer one.
func TestAnnouncedTooLate(t *testing.T) {
	url := startNATS(t, server.Options{}).ClientURL()
	memory := switchboard.NewMemory(5, 60, rand.Reader)
	here, there := newCluster(t, url, memory), newCluster(t, url, switchboard.NewMemory(5, 60, rand.Reader))
	defer here.Close()
	defer there.Close()
	key := switchboard.Key{Name: "0", Letter: "a"}
	_, old := memory.Meet(key, nil)
	_, newer := memory.Meet(key, nil)
	here.hold(newer)
	here.hold(old)
	here.Leave(old)
	defer here.Leave(newer)
	_, b := there.Meet(key.Other(), nil)
	defer there.Leave(b)
	select {
	case <-b.Elsewhere:
	case <-time.After(patience):
		t.Error("the newer one is not found")
	}
}

// Two nodes that draw the same token at once do not both give it out.
func TestSameTokenAtOnce(t *testing.T) {
	url := startNATS(t, server.Options{}).ClientURL()
	for round := range 20 {
		var clusters [2]*Cluster
		for i := range clusters {
			// Each draws the same five digits first, and then its own.
			random := io.MultiReader(strings.NewReader("\x17\xe5\x80\x00\x00\x00\x00\x00"), rand.Reader)
			clusters[i] = newCluster(t, url, switchboard.NewMemory(5, 60, random))
		}
		var waits [2]*switchboard.Wait
		var both sync.WaitGroup
		for i, c := range clusters {
			both.Go(func() {
				var err error
				if waits[i], err = c.New(t.Context(), nil); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		if waits[0].Key == waits[1].Key {
			t.Fatalf("round %d: both have given out %q", round, waits[0].Key.Name)
		}
		for i, c := range clusters {
			_, node, err := clusters[1-i].Take(t.Context(), waits[i].Key.Name, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1})
			if err != nil || node != c.address {
				t.Errorf("found %q, %v", node, err)
			}
		}
		for i, c := range clusters {
			c.Leave(waits[i])
			c.Close()
		}
	}
}

// NATS learns no token, no name and no address of a client or a node; what strangers say there is ignored; and nodes with another
// host key form another cluster.
func TestStrangersAtNATS(t *testing.T) {
	url := startNATS(t, server.Options{}).ClientURL()
	var mu sync.Mutex
	var heard []*nats.Msg
	stranger, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if _, err := stranger.Subscribe(">", func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, m)
	}); err != nil {
		t.Fatal(err)
	}
	nodes := startNodes(t, nil, url, url)
	others := startNodes(t, nil, url)
	known(t, append(nodes, others...))
	a, token := nodes[0].token()
	others[0].run(token).refused("try again in a minute") // the stranger gets every question and answers none
	name := strings.Repeat("abc0", 8)
	b := nodes[0].run("meet " + name + " a")
	nodes[1].run("00000").refused("try again in a minute")
	mu.Lock()
	again := slices.Clone(heard)
	mu.Unlock()
	if len(again) < 5 {
		t.Errorf("only %d messages", len(again))
	}
	for _, m := range again {
		text := m.Subject + m.Reply + string(m.Data)
		for _, secret := range []string{token, name, "127.0.0.1", "token", "meet"} {
			if strings.Contains(text, secret) {
				t.Errorf("NATS is told %q in %q", secret, text)
			}
		}
		// Replayed, on other subjects, truncated and changed.
		for _, subject := range []string{m.Subject, again[0].Subject, again[len(again)-1].Subject} {
			for _, data := range [][]byte{m.Data, nil, m.Data[:len(m.Data)/2], append(slices.Clone(m.Data), 0)} {
				if err := stranger.PublishMsg(&nats.Msg{Subject: subject, Reply: m.Reply, Data: data}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := stranger.Flush(); err != nil {
		t.Fatal(err)
	}
	talk(t, a, nodes[1].join(token))
	talk(t, b, nodes[1].run("meet "+name+" b"))
}

// What can't be an address for other nodes is refused.
func TestCheck(t *testing.T) {
	for address, ok := range map[string]bool{"10.0.0.1:2222": true, "[2001:db8::1]:22": true, "host:2222": true,
		"": false, "host": false, ":2222": false, "host:": false, "host:0": false} {
		if err := (&Options{Advertise: address}).Check(); (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
	}
}
