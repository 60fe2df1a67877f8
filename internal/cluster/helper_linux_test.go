package cluster

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/crypto/ssh"

	"aig/internal/gittest"
	"aig/internal/switchboard"
)

func TestMain(m *testing.M) {
	status := gittest.Main(m)
	os.RemoveAll(programDir)
	os.Exit(status)
}

// patience bounds the waits of the tests. It says nothing about speed.
const patience = 30 * time.Second

// eventually polls until a condition holds, and fails after patience: another process doesn't tell us what it does.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain waited until %s", what)
		}
	}
}

// freePort returns a port of loopback on which nobody listens.
func freePort(t testing.TB) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// startNATS starts a NATS server, on a free port or on the one that is given.
func startNATS(t testing.TB, o server.Options) *server.Server {
	t.Helper()
	o.Host, o.NoLog, o.NoSigs = "127.0.0.1", true, true
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not start")
	}
	t.Cleanup(func() { stopNATS(s) })
	return s
}

func stopNATS(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

var programDir string

// program builds the switchboard, once for all tests.
var program = sync.OnceValues(func() (bin string, err error) {
	if programDir, err = os.MkdirTemp("", "aig-cluster-"); err != nil {
		return "", err
	}
	bin = filepath.Join(programDir, "aig-switchboard")
	out, err := exec.Command("go", "build", "-o", bin, "aig/cmd/aig-switchboard").CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return bin, nil
})

// board is a switchboard in a process of its own.
type board struct {
	t    testing.TB
	addr string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended

	mu  sync.Mutex
	log strings.Builder
}

func (n *board) logged(text string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Contains(n.log.String(), text)
}

// Write collects the log.
func (n *board) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.Write(p)
}

// hostKey makes a host key.
func hostKey(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

// startNodes starts a node for each of these NATS URLs. Their logs must not mention a data race or a panic, and they must end when
// they are told to.
func startNodes(t testing.TB, options []string, urls ...string) []*board {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	key := hostKey(t)
	var nodes []*board
	for _, url := range urls {
		n := &board{t: t, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t))), done: make(chan struct{})}
		args := []string{"--listen", n.addr, "--advertise", n.addr, "--nats", url, "--host-key", key, "--look-ups", "100000", "--grace", "0s", "-v"}
		n.cmd = exec.Command(bin, append(args, options...)...)
		n.cmd.Stderr = n
		n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		runtime.LockOSThread() // the child dies with the thread that starts it
		t.Cleanup(runtime.UnlockOSThread)
		if err := n.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { n.cmd.Wait(); close(n.done) }()
		t.Cleanup(func() {
			n.cmd.Process.Signal(syscall.SIGTERM)
			select {
			case <-n.done:
			case <-time.After(patience):
				n.cmd.Process.Kill()
				t.Error("a node does not end")
			}
			if n.logged("panic") || n.logged("DATA RACE") || t.Failed() {
				t.Logf("the log of %s:\n%s", n.addr, n.log.String())
			}
		})
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		eventually(t, "a node listens", func() bool { return n.logged("msg=listening") })
	}
	return nodes
}

// known waits until each node has reached NATS.
func known(t testing.TB, nodes []*board) {
	t.Helper()
	for _, n := range nodes {
		eventually(t, "connected to nats", func() bool { return n.logged("connected to nats") })
	}
}

// peer is an SSH client with one session.
type peer struct {
	t      testing.TB
	conn   *ssh.Client
	ch     ssh.Channel
	stderr *bufio.Reader
	status chan int // gets the exit status, or -1 if there was none
}

func (n *board) run(command string) *peer {
	n.t.Helper()
	p, err := n.try(command)
	if err != nil {
		n.t.Fatal(err)
	}
	return p
}

func (n *board) try(command string) (*peer, error) {
	conn, err := net.DialTimeout("tcp", n.addr, patience)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(2 * patience)) // no test hangs
	sc, chans, reqs, err := ssh.NewClientConn(conn, n.addr, &ssh.ClientConfig{User: "anybody", HostKeyCallback: ssh.InsecureIgnoreHostKey()})
	if err != nil {
		conn.Close()
		return nil, err
	}
	p := &peer{t: n.t, conn: ssh.NewClient(sc, chans, reqs), status: make(chan int, 1)}
	n.t.Cleanup(func() { p.conn.Close() })
	ch, of, err := p.conn.OpenChannel("session", nil)
	if err != nil {
		return nil, err
	}
	p.ch, p.stderr = ch, bufio.NewReader(ch.Stderr())
	go func() {
		status := -1
		for r := range of {
			if r.Type == "exit-status" && len(r.Payload) == 4 {
				status = int(binary.BigEndian.Uint32(r.Payload))
			}
			if r.WantReply {
				r.Reply(false, nil)
			}
		}
		p.status <- status
	}()
	_, err = ch.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{command}))
	return p, err
}

// line returns the next line of standard error, and "" at its end.
func (p *peer) line() string {
	line, _ := p.stderr.ReadString('\n')
	return strings.TrimSuffix(line, "\n")
}

// token waits at a node, and returns the token.
func (n *board) token() (*peer, string) {
	n.t.Helper()
	p := n.run("new")
	token := p.line()
	if len(token) < 5 || strings.Contains(token, " ") {
		n.t.Fatalf("the token is %q", token)
	}
	return p, token
}

// join joins whoever waits under a token.
func (n *board) join(token string) *peer {
	n.t.Helper()
	p := n.run(token)
	if line := p.line(); line != "switched" {
		n.t.Fatalf("the joining side was told %q", line)
	}
	return p
}

// refused expects a line that contains a text, and status 1.
func (p *peer) refused(text string) {
	p.t.Helper()
	if line := p.line(); !strings.HasPrefix(line, "switchboard: ") || !strings.Contains(line, text) {
		p.t.Fatalf("the line is %q, want one with %q", line, text)
	}
	p.exit(1)
	p.conn.Close()
}

func (p *peer) exit(want int) {
	p.t.Helper()
	select {
	case got := <-p.status:
		if got != want {
			p.t.Fatalf("exit status %d, want %d", got, want)
		}
	case <-time.After(patience):
		p.t.Fatal("no exit status came")
	}
}

// talk sends something each way over a link, and ends it in good order.
func talk(t testing.TB, a, b *peer) {
	t.Helper()
	if err := tryTalk(a, b); err != nil {
		t.Fatal(err)
	}
	a.exit(0)
	b.exit(0)
}

func tryTalk(a, b *peer) error {
	for _, pair := range [][2]*peer{{a, b}, {b, a}} {
		if _, err := io.WriteString(pair[0].ch, "ping"); err != nil {
			return err
		}
		got := make([]byte, 4)
		if _, err := io.ReadFull(pair[1].ch, got); err != nil || !bytes.Equal(got, []byte("ping")) {
			return errors.Join(err, errors.New("the other side says "+string(got)))
		}
	}
	for _, pair := range [][2]*peer{{a, b}, {b, a}} {
		if err := pair[0].ch.CloseWrite(); err != nil {
			return err
		}
		if rest, err := io.ReadAll(pair[1].ch); err != nil || len(rest) > 0 {
			return errors.Join(err, errors.New("more came than was sent"))
		}
	}
	a.conn.Close()
	b.conn.Close()
	return nil
}

// link links clients of two nodes, and talks.
func link(from, to *board) {
	from.t.Helper()
	a, token := from.token()
	b := to.join(token)
	if err := tryTalk(a, b); err != nil {
		from.t.Fatal(err)
	}
}

// linking links one pair after another across two nodes until stop is called, which returns how many there were. None may fail.
func linking(t testing.TB, from, to *board) (stop func() int) {
	ended, done := make(chan struct{}), make(chan struct{})
	n := 0
	go func() {
		defer close(done)
		for {
			select {
			case <-ended:
				return
			default:
			}
			if err := tryLink(from, to); err != nil {
				t.Errorf("meanwhile, pair %d of %s and %s: %v", n, from.addr, to.addr, err)
				return
			}
			n++
		}
	}()
	return func() int { close(ended); <-done; return n }
}

func tryLink(from, to *board) error {
	a, err := from.try("new")
	if err != nil {
		return err
	}
	b, err := to.try(a.line())
	if err != nil {
		return err
	}
	if line := b.line(); line != "switched" {
		return errors.New(line)
	}
	return tryTalk(a, b)
}

// newCluster joins a cluster in this process.
func newCluster(t testing.TB, url string, memory *switchboard.Memory) *Cluster {
	t.Helper()
	c, err := Join(Options{URLs: url, Advertise: net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t))), Key: make([]byte, 32),
		Memory: memory, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// vanillaClient is OpenSSH's client.
type vanillaClient struct {
	t      testing.TB
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    io.Reader
	stderr *bufio.Reader
}

func vanilla(t testing.TB, n *board, command string) *vanillaClient {
	t.Helper()
	host, port, _ := net.SplitHostPort(n.addr)
	v := &vanillaClient{t: t, cmd: exec.Command("ssh", append([]string{"-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "IdentityAgent=none", "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR",
		"-p", port, host}, strings.Fields(command)...)...)}
	var err error
	if v.in, err = v.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := v.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	v.out, v.stderr = out, bufio.NewReader(stderr)
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.cmd.Process.Kill() })
	return v
}

func (v *vanillaClient) line() string {
	line, _ := v.stderr.ReadString('\n')
	return strings.TrimSuffix(line, "\n")
}

// exchange sends something each way between two vanilla clients, and expects both to end with success.
func exchange(t testing.TB, a, b *vanillaClient) {
	t.Helper()
	for _, pair := range [][2]*vanillaClient{{a, b}, {b, a}} {
		if _, err := io.WriteString(pair[0].in, "ping"); err != nil {
			t.Fatal(err)
		}
		pair[0].in.Close()
		if got, err := io.ReadAll(pair[1].out); err != nil || string(got) != "ping" {
			t.Fatalf("%q came, and %v", got, err)
		}
	}
	for _, v := range []*vanillaClient{a, b} {
		io.Copy(io.Discard, v.stderr)
		if err := v.cmd.Wait(); err != nil {
			t.Errorf("ssh: %v", err)
		}
	}
}

// wire carries TCP connections to an address, until it is cut.
type wire struct {
	addr string
	ln   net.Listener

	mu    sync.Mutex
	whole bool
	conns []net.Conn
	wait  sync.WaitGroup
}

func newWire(t testing.TB, to string) *wire {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{addr: ln.Addr().String(), ln: ln, whole: true}
	w.wait.Go(func() {
		for {
			from, err := ln.Accept()
			if err != nil {
				return
			}
			w.mu.Lock()
			onward, err := net.Dial("tcp", to)
			if err != nil || !w.whole {
				from.Close()
				if onward != nil {
					onward.Close()
				}
				w.mu.Unlock()
				continue
			}
			w.conns = append(w.conns, from, onward)
			w.mu.Unlock()
			w.wait.Go(func() { io.Copy(from, onward); from.Close(); onward.Close() })
			w.wait.Go(func() { io.Copy(onward, from); from.Close(); onward.Close() })
		}
	})
	t.Cleanup(func() { ln.Close(); w.cut(); w.wait.Wait() })
	return w
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.whole = false
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.whole = true
}

// split starts two NATS servers in a cluster, which can be cut off from each other and reconnected.
func split(t testing.TB) (urls [2]string, cut, mend func()) {
	t.Helper()
	var wires [2]*wire // to each one's cluster port, for which the other knows no other address
	var servers [2]*server.Server
	for i := range servers {
		port := freePort(t)
		wires[i] = newWire(t, fmt.Sprintf("127.0.0.1:%d", port))
		servers[i] = startNATS(t, server.Options{
			Cluster: server.ClusterOpts{Name: "aig", Host: "127.0.0.1", Port: port, Advertise: wires[i].addr},
			Routes:  server.RoutesFromStr("nats://" + wires[0].addr),
		})
	}
	one, two := servers[0], servers[1]
	eventually(t, "they are one", func() bool { return one.NumRoutes() > 0 && two.NumRoutes() > 0 })
	cut = func() {
		for _, w := range wires {
			w.cut()
		}
		eventually(t, "they are split", func() bool { return one.NumRoutes() == 0 && two.NumRoutes() == 0 })
	}
	mend = func() {
		for _, w := range wires {
			w.mend()
		}
	}
	return [2]string{one.ClientURL(), two.ClientURL()}, cut, mend
}
