package switchboard

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// patience bounds the waits of the tests, and any connection without a deadline of its own. It says nothing about speed.
const patience = 30 * time.Second

// board is a running switchboard.
type board struct {
	*Server
	addr string
	log  *logBuffer
	stop context.CancelFunc // as SIGTERM does
	done chan struct{}      // closed when Serve has returned
}

// counted returns how often something was refused for this reason.
func (b *board) counted(r reason) (n uint64) {
	for _, c := range b.opt.Metrics.refusalCounts() {
		if c.Key == string(r) {
			n = c.Value.Uint64()
		}
	}
	return n
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// startBoard starts a switchboard on loopback. When the test is over, it is
// stopped, and has to end.
func startBoard(tb testing.TB, change func(*Options)) *board {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return startBoardOn(tb, ln, change)
}

func startBoardOn(tb testing.TB, ln net.Listener, change func(*Options)) *board {
	tb.Helper()
	var err error
	b := &board{addr: ln.Addr().String(), log: new(logBuffer), done: make(chan struct{})}
	opt := DefaultOptions()
	opt.Grace = 0
	opt.Lookups = 1 << 20 // tests link much more often than people do
	opt.Logger = slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if opt.HostKey, _, err = HostKey(filepath.Join(tb.TempDir(), "host_key")); err != nil {
		tb.Fatal(err)
	}
	if change != nil {
		change(&opt)
	}
	if err := opt.Check(); err != nil {
		tb.Fatal(err)
	}
	b.Server = New(opt)
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	go func() {
		defer close(b.done)
		if err := b.Serve(ctx, ln); err != nil {
			tb.Errorf("Serve: %v", err)
		}
	}()
	tb.Cleanup(func() {
		cancel()
		select {
		case <-b.done:
		case <-time.After(patience):
			tb.Errorf("Serve has not returned:\n%s", stacks())
		}
	})
	return b
}

// stacks returns the stacks of the goroutines that a switchboard, or SSH on
// either side, has started.
func stacks() string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var ours []string
	for g := range strings.SplitSeq(string(buf), "\n\n") {
		if regexp.MustCompile(`created by (golang\.org/x/crypto/ssh|aig/internal/switchboard)\.`).MatchString(g) &&
			!strings.Contains(g, "(*mux).openChannel(") && // see open
			!strings.Contains(g, "testing.tRunner") && !strings.Contains(g, "testing.(*") {
			ours = append(ours, g)
		}
	}
	return strings.Join(ours, "\n\n")
}

// eventually polls until a condition holds, and fails after patience.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Errorf("in vain waited until %s", what)
			return
		}
	}
}

// peer is an SSH client with one session.
type peer struct {
	tb     testing.TB
	net    net.Conn
	conn   ssh.Conn
	ch     ssh.Channel
	stderr *bufio.Reader
	status chan int // gets the exit status, or -1 if there was none, once the channel is closed
}

// dial makes an SSH connection to the switchboard.
func (b *board) dial(tb testing.TB) *peer {
	tb.Helper()
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		tb.Fatal(err)
	}
	return b.dialOn(tb, conn)
}

func (b *board) dialOn(tb testing.TB, conn net.Conn) *peer {
	tb.Helper()
	p, err := b.tryDial(tb, conn)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func (b *board) tryDial(tb testing.TB, conn net.Conn) (*peer, error) {
	return b.tryDialAs(tb, conn, "anybody")
}

func (b *board) tryDialAs(tb testing.TB, conn net.Conn, user string, auth ...ssh.AuthMethod) (*peer, error) {
	conn.SetDeadline(time.Now().Add(patience)) // no test hangs
	sc, chans, reqs, err := ssh.NewClientConn(conn, b.addr, &ssh.ClientConfig{
		User:            user,
		Auth:            auth,
		HostKeyCallback: ssh.FixedHostKey(b.opt.HostKey.PublicKey()),
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	go ssh.DiscardRequests(reqs)
	go func() {
		for ch := range chans {
			ch.Reject(ssh.Prohibited, "")
		}
	}()
	tb.Cleanup(func() { sc.Close() })
	return &peer{tb: tb, net: conn, conn: sc}, nil
}

// session opens the session channel.
func (p *peer) session() *peer {
	p.tb.Helper()
	ch, reqs, err := p.conn.OpenChannel("session", nil)
	if err != nil {
		p.tb.Fatalf("opening a session: %v", err)
	}
	p.ch = ch
	p.stderr = bufio.NewReader(ch.Stderr())
	p.status = make(chan int, 1)
	go func() {
		status := -1
		for r := range reqs {
			if r.Type == "exit-status" && len(r.Payload) == 4 {
				status = int(binary.BigEndian.Uint32(r.Payload))
			}
			if r.WantReply {
				r.Reply(false, nil)
			}
		}
		p.status <- status
	}()
	return p
}

// request sends a channel request and returns the answer.
func (p *peer) request(kind string, payload []byte) bool {
	p.tb.Helper()
	ok, err := p.ch.SendRequest(kind, true, payload)
	if err != nil {
		p.tb.Fatalf("%s: %v", kind, err)
	}
	return ok
}

func (p *peer) exec(cmd string) *peer {
	p.tb.Helper()
	if !p.request("exec", ssh.Marshal(struct{ Command string }{cmd})) {
		p.tb.Fatalf("exec was answered with a failure")
	}
	return p
}

// run connects and asks for a command.
func (b *board) run(tb testing.TB, cmd string) *peer {
	tb.Helper()
	return b.dial(tb).session().exec(cmd)
}

// wait connects and waits for another side, under the token returned.
func (b *board) wait(tb testing.TB) (*peer, string) {
	tb.Helper()
	p := b.run(tb, "new")
	token := p.line()
	if !regexp.MustCompile(`^[0-9a-f]{5,}$`).MatchString(token) {
		tb.Fatalf("the token is %q", token)
	}
	return p, token
}

// link returns two joined peers: the one that waited and the one that came.
func (b *board) link(tb testing.TB) (*peer, *peer) {
	tb.Helper()
	a, token := b.wait(tb)
	return a, b.join(tb, token)
}

func (b *board) join(tb testing.TB, token string) *peer {
	tb.Helper()
	p := b.run(tb, token)
	if line := p.line(); line != "switched" {
		tb.Fatalf("the joining side was told %q", line)
	}
	return p
}

// line returns the next line of standard error, and "" at its end.
func (p *peer) line() string {
	p.tb.Helper()
	line, err := p.stderr.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		p.tb.Fatalf("reading standard error: %v", err)
	}
	return strings.TrimSuffix(line, "\n")
}

// write sends bytes.
func (p *peer) write(data string) {
	p.tb.Helper()
	if _, err := io.WriteString(p.ch, data); err != nil {
		p.tb.Fatalf("writing: %v", err)
	}
}

// read expects exactly these bytes next.
func (p *peer) read(want string) {
	p.tb.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(p.ch, got); err != nil || string(got) != want {
		p.tb.Fatalf("read %.100q and %v, want %.100q", got[:n], err, want)
	}
}

// end expects the end of file next.
func (p *peer) end() {
	p.tb.Helper()
	if n, err := p.ch.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		p.tb.Fatalf("read %d bytes and %v, want the end of file", n, err)
	}
}

// exit expects the session to end with this status.
func (p *peer) exit(want int) {
	p.tb.Helper()
	select {
	case got := <-p.status:
		if got != want {
			p.tb.Fatalf("exit status %d, want %d", got, want)
		}
	case <-time.After(patience):
		p.tb.Fatalf("no exit status came")
	}
}

// answered sees a link to its end, after a has said its end of file: c answers,
// says its own, and both leave with success.
func answered(a, c *peer) {
	c.tb.Helper()
	c.end()
	c.write("pong")
	c.ch.CloseWrite()
	a.read("pong")
	a.end()
	a.exit(0)
	c.exit(0)
}

// refused expects one line that contains a text, then the end with status 1, and then leaves.
func (p *peer) refused(text string) {
	p.tb.Helper()
	line := p.line()
	if !strings.HasPrefix(line, "switchboard: ") || !strings.Contains(line, text) {
		p.tb.Fatalf("the line is %q, want one with %q", line, text)
	}
	if line := p.line(); line != "" {
		p.tb.Fatalf("a second line: %q", line)
	}
	p.end()
	p.exit(1)
	p.conn.Close()
}

// open tries to open a channel. It gives up when the connection ends, as x/crypto's client may then wait for the answer for ever.
func (p *peer) open(kind string) (<-chan *ssh.Request, error) {
	type answer struct {
		reqs <-chan *ssh.Request
		err  error
	}
	answers, ended := make(chan answer, 1), make(chan struct{})
	go func() {
		_, reqs, err := p.conn.OpenChannel(kind, nil)
		answers <- answer{reqs, err}
	}()
	go func() { p.conn.Wait(); close(ended) }()
	select {
	case a := <-answers:
		return a.reqs, a.err
	case <-ended:
		return nil, net.ErrClosed
	}
}

// closed expects the connection to be closed by the other side.
func (p *peer) closed() {
	p.tb.Helper()
	ended := make(chan struct{})
	go func() { p.conn.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(patience):
		p.tb.Fatalf("the connection has not been closed")
	}
}

// isClosed reports whether a channel is closed.
func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
