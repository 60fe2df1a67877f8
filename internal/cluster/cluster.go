// Package cluster makes several switchboards act as one: each node announces, through NATS, who waits there.
//
// A node subscribes to a subject for each side that waits at it. So asking who waits under a token, and where, takes one request,
// which NATS answers at once if nobody has subscribed, and a node's announcements vanish with its connection. Bytes of links never
// go through NATS: they go from node to node by SSH.
//
// The files: cluster (the connection, and the rendezvous for tokens), meeting (two sides that wait at different nodes), seal (what
// NATS must not read).
package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"aig/internal/switchboard"
)

const (
	// askTime is how long the other nodes may take to answer.
	askTime = 2 * time.Second

	// beatTime is the time between two heartbeats of a node, and silentBeats how many of them may be missed before it counts as
	// gone.
	beatTime    = 2 * time.Second
	silentBeats = 4

	// reconnectTime is the time between two attempts to reach NATS.
	reconnectTime = time.Second

	// maxQueue is how many messages may wait here to be handled. Beyond it the NATS client drops them.
	maxQueue = 1 << 14
)

// Options set up a [Cluster].
type Options struct {
	URLs      string // of NATS servers, separated by commas
	Advertise string // host and port at which the other nodes reach this one
	Key       []byte // as [switchboard.HostKey] returns it
	Memory    *switchboard.Memory
	Logger    *slog.Logger // never sees a token or a name
}

// Check returns what is wrong with Advertise, if anything.
func (o *Options) Check() error {
	host, port, err := net.SplitHostPort(o.Advertise)
	if err == nil && (host == "" || port == "" || port == "0") {
		err = errors.New("it needs a host and a port")
	}
	if err != nil {
		return fmt.Errorf("the address %q for the other nodes: %w", o.Advertise, err)
	}
	return nil
}

// Cluster is a [switchboard.Rendezvous] across several nodes. While NATS can't be reached, it finds only who waits at this node.
type Cluster struct {
	memory   *switchboard.Memory
	address  string
	log      *slog.Logger
	seal     *seal
	nats     *nats.Conn
	id       string // of this process
	inbox    string // prefix of the subjects for answers about meetings
	beats    string // the subject of heartbeats
	lookups  string // the subject of look-ups
	messages chan *nats.Msg
	done     chan struct{}
	wait     sync.WaitGroup

	mu    sync.Mutex
	held  map[string]*held // who waits here, by subject
	nodes map[string]node  // the others, by id
}

// held is a side that waits here and has been announced.
type held struct {
	wait    *switchboard.Wait
	subject string
	subs    *nats.Subscription
	turn    turn // in a meeting
	over    bool // replaced by a newer session at another node
}

// node is another node, as of its last heartbeat.
type node struct {
	beat   uint64 // its number
	tokens int
	heard  time.Time
}

// message is what nodes say to each other.
type message struct {
	Address string `json:",omitempty"` // where its sender is reached
	Letter  string `json:",omitempty"` // in a meeting: of the side that asks
	Turn    uint64 `json:",omitempty"` // the same
	ID      string `json:",omitempty"` // of the turn, or in a heartbeat of the node
	Beat    uint64 `json:",omitempty"`
	Tokens  int    `json:",omitempty"`
	Client  string `json:",omitempty"` // who looked a token up
}

// Join connects to NATS. If NATS can't be reached, it keeps trying in the background. The options must pass [Options.Check].
func Join(o Options) (*Cluster, error) {
	c := &Cluster{
		memory: o.Memory, address: o.Advertise, log: o.Logger, id: rand.Text(),
		messages: make(chan *nats.Msg, maxQueue), done: make(chan struct{}),
		held: make(map[string]*held), nodes: make(map[string]node),
	}
	var err error
	if c.seal, err = newSeal(o.Key); err != nil {
		return nil, err
	}
	const unreachable = "nats is unreachable: only sides waiting here can be found"
	reached := func(nc *nats.Conn) { c.log.Info("connected to nats", "server", nc.ConnectedUrlRedacted()) }
	c.nats, err = nats.Connect(o.URLs,
		nats.Name("aig-switchboard"),
		nats.NoEcho(), // or a node would hear its own questions
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(reconnectTime), nats.ReconnectJitter(reconnectTime/4, reconnectTime/4),
		nats.ReconnectBufSize(-1), // a question asked while NATS is away is of no use later
		nats.PingInterval(5*time.Second), nats.MaxPingsOutstanding(2), nats.FlusherTimeout(askTime),
		nats.ConnectHandler(reached), nats.ReconnectHandler(reached),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				c.log.Warn(unreachable, "error", err.Error())
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.log.Debug("nats", "error", err.Error()) }),
	)
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	if !c.nats.IsConnected() {
		c.log.Warn(unreachable)
	}
	c.inbox, c.beats, c.lookups = c.nats.NewInbox()+".", c.seal.subject("nodes"), c.seal.subject("look-ups")
	for _, subject := range []string{c.inbox + "*", c.beats, c.lookups} {
		if _, err := c.nats.ChanSubscribe(subject, c.messages); err != nil {
			c.nats.Close()
			return nil, fmt.Errorf("subscribing at NATS: %w", err)
		}
	}
	c.wait.Go(c.run)
	return c, nil
}

// Close leaves the cluster. No side may wait there any more.
func (c *Cluster) Close() {
	close(c.done)
	c.wait.Wait()
	c.nats.Close()
}

// Connected reports whether NATS is reached.
func (c *Cluster) Connected() bool { return c.nats.IsConnected() }

// Nodes returns how many other nodes there are.
func (c *Cluster) Nodes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.nodes)
}

// New implements [switchboard.Rendezvous]. A token that another node has given out is not given out again.
func (c *Cluster) New(ctx context.Context, side switchboard.Side) (*switchboard.Wait, error) {
	for range 100 {
		w, err := c.memory.New(ctx, side)
		if err != nil {
			return nil, err
		}
		// Announce first and ask second: of two nodes that draw the same token at once, at least one hears of the other.
		h := c.hold(w)
		if address, _ := c.ask(ctx, h.subject); address == "" || !c.Leave(w) {
			return w, nil // free, or already joined by somebody who guessed it
		}
	}
	return nil, errors.New("no free token in a hundred draws")
}

// Take implements [switchboard.Rendezvous].
func (c *Cluster) Take(ctx context.Context, token string, from net.Addr) (here *switchboard.Wait, node string, err error) {
	here, _, err = c.memory.Take(ctx, token, from)
	if err != nil {
		return nil, "", err
	}
	c.publish(c.lookups, "", message{Client: from.String()})
	if here == nil {
		node, err = c.ask(ctx, c.seal.subject("token "+token))
	}
	return here, node, err
}

// Leave implements [switchboard.Rendezvous].
func (c *Cluster) Leave(w *switchboard.Wait) bool {
	subject := c.seal.of(w.Key)
	c.mu.Lock()
	h := c.held[subject]
	if h != nil && h.wait == w {
		delete(c.held, subject)
	} else {
		h = nil // a newer session at this node has taken its place and ended its subscription
	}
	c.mu.Unlock()
	if h != nil {
		h.subs.Unsubscribe()
	}
	return c.memory.Leave(w)
}

// hold announces a side that waits here.
func (c *Cluster) hold(w *switchboard.Wait) *held {
	h := &held{wait: w, subject: c.seal.of(w.Key), turn: turn{1, rand.Text()}}
	// This fails only once the connection is closed for good. While NATS is away, the client subscribes once it is back.
	h.subs, _ = c.nats.ChanSubscribe(h.subject, c.messages)
	c.mu.Lock()
	old := c.held[h.subject]
	select {
	case <-w.Ended: // already, and a newer session may have been announced before this one
		old = h
	default:
		if old != nil {
			h.turn.number = old.turn.number + 1
		}
		c.held[h.subject] = h
	}
	c.mu.Unlock()
	if old != nil {
		old.subs.Unsubscribe()
	}
	return h
}

// ask returns the address of the node that has announced a subject, or an empty string if none has.
func (c *Cluster) ask(ctx context.Context, subject string) (string, error) {
	if !c.Connected() {
		return "", switchboard.ErrAway
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	answer, err := c.nats.RequestWithContext(ctx, subject, c.seal.close(subject, message{}))
	if errors.Is(err, nats.ErrNoResponders) {
		return "", nil
	}
	if err != nil {
		c.log.Debug("asking the other nodes", "error", err.Error())
		return "", switchboard.ErrAway
	}
	m, ok := c.seal.open(answer.Subject, answer.Data)
	if !ok {
		c.log.Warn("ignored an answer from a stranger")
		return "", switchboard.ErrAway
	}
	return m.Address, nil
}

// publish sends a message, if NATS can be reached. Reply is the subject for answers, or empty.
func (c *Cluster) publish(subject, reply string, m message) {
	msg := &nats.Msg{Subject: subject, Reply: reply, Data: c.seal.close(subject, m)}
	if err := c.nats.PublishMsg(msg); err != nil && !errors.Is(err, nats.ErrReconnectBufExceeded) {
		c.log.Debug("telling the other nodes", "error", err.Error())
	}
}

// run handles what the other nodes say, and sends heartbeats, until Close.
func (c *Cluster) run() {
	beat, again := time.NewTicker(beatTime), time.NewTicker(againTime)
	defer beat.Stop()
	defer again.Stop()
	for number := uint64(1); ; {
		select {
		case <-c.done:
			return
		case msg := <-c.messages:
			c.hear(msg)
		case <-again.C:
			c.askAgain(youngTime)
		case <-beat.C:
			c.publish(c.beats, "", message{ID: c.id, Beat: number, Tokens: c.count()})
			number++
		}
	}
}

// hear handles a message.
func (c *Cluster) hear(msg *nats.Msg) {
	m, ok := c.seal.open(msg.Subject, msg.Data)
	if !ok {
		return // NATS' own, which says that nobody has subscribed, or a stranger's
	}
	asker, answer := strings.CutPrefix(msg.Subject, c.inbox)
	switch {
	case answer:
		c.answered(asker, m)
	case msg.Subject == c.beats:
		if c.heardOf(m) {
			c.askAgain(math.MaxInt64)
		}
	case msg.Subject == c.lookups:
		if addr, err := netip.ParseAddrPort(m.Client); err == nil {
			c.memory.Charge(net.TCPAddrFromAddrPort(addr))
		}
	case msg.Reply != "": // without a subject for the answer it is no node's question, but a replay
		c.asked(msg.Subject, m, msg.Reply)
	}
}

// asked answers another node's question about who waits here under a subject.
func (c *Cluster) asked(subject string, m message, reply string) {
	c.mu.Lock()
	h := c.held[subject]
	c.mu.Unlock()
	switch {
	case h == nil: // it has just left
	case h.wait.Key.Letter != "":
		c.met(h, m, reply)
	default:
		c.publish(reply, "", message{Address: c.address})
	}
}

// heardOf notes a heartbeat, and reports whether any were missed: what was asked meanwhile has to be asked again.
func (c *Cluster) heardOf(m message) (missed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	missed = m.Beat != c.nodes[m.ID].beat+1
	c.nodes[m.ID] = node{m.Beat, max(m.Tokens, 0), time.Now()}
	return missed
}

// count forgets nodes that have gone, tells the memory how many tokens wait at the others, and returns how many wait here.
func (c *Cluster) count() int {
	c.mu.Lock()
	maps.DeleteFunc(c.nodes, func(_ string, n node) bool { return time.Since(n.heard) > silentBeats*beatTime })
	others := 0
	for _, n := range c.nodes {
		others += n.tokens
	}
	c.mu.Unlock()
	return c.memory.Tokens(others)
}
