package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// house is everything that is measured: three switchboards, a NATS server, and an sshd.
type house struct {
	dir    string
	nodes  []*exec.Cmd
	addrs  []string
	nats   *exec.Cmd
	sshd   *exec.Cmd
	sshdAt string // its address
	signer ssh.Signer
	ssh    []string // OpenSSH's client, with its options
	cipher string   // that it asks for
	number atomic.Int64
}

func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

func newHouse(ctx context.Context, bin string) (_ *house, err error) {
	h := new(house)
	if h.dir, err = os.MkdirTemp("", "aig-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	key := filepath.Join(h.dir, "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("ssh-keygen: %w: %s", err, out)
	}
	text, err := os.ReadFile(key)
	if err != nil {
		return nil, err
	}
	if h.signer, err = ssh.ParsePrivateKey(text); err != nil {
		return nil, err
	}
	h.nats = exec.CommandContext(ctx, filepath.Join(bin, "aig-test-nats"))
	if _, err = h.nats.StdinPipe(); err != nil {
		return nil, err
	}
	url, err := firstLine(h.nats, (*exec.Cmd).StdoutPipe, "nats:")
	if err != nil {
		return nil, err
	}
	for range 3 {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		addr := "127.0.0.1:" + strconv.Itoa(port)
		node := exec.CommandContext(ctx, filepath.Join(bin, "aig-switchboard"), "--listen", addr, "--advertise", addr, "--nats", url, "--host-key", key,
			"--max-connections", "1000000", "--max-waiting", "1000000", "--max-links", "1000000", "--look-ups", "1000000", "--grace", "0s")
		if _, err := firstLine(node, (*exec.Cmd).StderrPipe, "listening"); err != nil {
			return nil, err
		}
		h.nodes, h.addrs = append(h.nodes, node), append(h.addrs, addr)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	h.sshdAt = "127.0.0.1:" + strconv.Itoa(port)
	config := fmt.Sprintf("ListenAddress 127.0.0.1\nPort %d\nHostKey %s\nAuthorizedKeysFile %s.pub\nUsePAM no\nStrictModes no\nPidFile none\nLogLevel QUIET\n"+
		"MaxStartups 1000\nMaxSessions 1000\nPermitRootLogin prohibit-password\n", port, key, key)
	file := filepath.Join(h.dir, "sshd_config")
	if err := errors.Join(os.WriteFile(file, []byte(config), 0o600), os.MkdirAll("/run/sshd", 0o755)); err != nil {
		return nil, err
	}
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		sshd = "/usr/sbin/sshd"
	}
	h.sshd = exec.CommandContext(ctx, sshd, "-D", "-e", "-f", file)
	if err := h.sshd.Start(); err != nil {
		return nil, fmt.Errorf("OpenSSH's server: %w", err)
	}
	for began := time.Now(); ; {
		conn, err := net.Dial("tcp", h.sshdAt)
		if err == nil {
			conn.Close()
			break
		}
		if time.Since(began) > 10*time.Second {
			return nil, fmt.Errorf("OpenSSH's server: %w", err)
		}
	}
	h.ssh = []string{"ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "LogLevel=ERROR", "-o", "IdentityAgent=none", "-i", key}
	return h, nil
}

// firstLine starts a program and returns the first line of its output that contains the text.
func firstLine(cmd *exec.Cmd, pipe func(*exec.Cmd) (io.ReadCloser, error), text string) (string, error) {
	out, err := pipe(cmd)
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), text) {
			go io.Copy(io.Discard, out)
			return lines.Text(), nil
		}
	}
	return "", fmt.Errorf("%s ended too soon", cmd.Path)
}

func (h *house) close() {
	for _, cmd := range append(h.nodes, h.nats, h.sshd) {
		if cmd != nil && cmd.Process != nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	}
	os.RemoveAll(h.dir)
}

func (h *house) about() string {
	version, _ := exec.Command("ssh", "-V").CombinedOutput()
	return fmt.Sprintf("%d cores, %s, %s", runtime.NumCPU(), runtime.Version(), strings.TrimSpace(string(version)))
}

// process is OpenSSH's client for one of two people.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    io.ReadCloser
	stderr *bufio.Reader
}

func (h *house) start(ctx context.Context, addr, option string, command ...string) (*process, error) {
	host, port, _ := net.SplitHostPort(addr)
	cmd := exec.CommandContext(ctx, h.ssh[0], h.ssh[1:]...)
	cmd.Args = append(cmd.Args, "-p", port, "-c", h.cipher)
	if option != "" {
		cmd.Args = append(cmd.Args, option)
	}
	cmd.Args = append(append(cmd.Args, host), command...)
	p := &process{cmd: cmd}
	var err error
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if p.out, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	p.stderr = bufio.NewReader(stderr)
	return p, cmd.Start()
}

// Close ends a process.
func (p *process) Close() error {
	p.cmd.Process.Kill()
	p.cmd.Wait()
	return nil
}

// Read reads what a process says.
func (p *process) Read(b []byte) (int, error) { return p.out.Read(b) }

func (h *house) viaSwitchboard(ctx context.Context, from, to int) (io.WriteCloser, io.ReadCloser, error) {
	waiting, err := h.start(ctx, h.addrs[from], "", "new")
	if err != nil {
		return nil, nil, err
	}
	token, err := waiting.stderr.ReadString('\n')
	if err != nil {
		return nil, nil, err
	}
	joined, err := h.start(ctx, h.addrs[to], "", strings.TrimSpace(token))
	if err != nil {
		return nil, nil, err
	}
	line, err := joined.stderr.ReadString('\n')
	if err == nil && line != "switched\n" {
		err = errors.New("not switched")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("told %q: %w", line, err)
	}
	return waiting.in, joined, said(joined.in, waiting, waiting.in, joined)
}

// socket returns the path of a new socket.
func (h *house) socket() string { return filepath.Join(h.dir, fmt.Sprintf("s%d", h.number.Add(1))) }

func (h *house) viaSocat(ctx context.Context) (io.WriteCloser, io.ReadCloser, error) {
	socket := h.socket()
	waiting, err := h.start(ctx, h.sshdAt, "", "exec socat - UNIX-LISTEN:"+socket)
	if err != nil {
		return nil, nil, err
	}
	joined, err := h.start(ctx, h.sshdAt, "", "exec socat - UNIX-CONNECT:"+socket+",retry=1000,interval=0.01")
	if err != nil {
		return nil, nil, err
	}
	return waiting.in, joined, said(joined.in, waiting, waiting.in, joined)
}

// viaForward has one side listen on its own machine and forward a port of the server to it.
func (h *house) viaForward(ctx context.Context) (io.WriteCloser, io.ReadCloser, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer ln.Close()
	port, err := freePort()
	if err != nil {
		return nil, nil, err
	}
	waiting, err := h.start(ctx, h.sshdAt, fmt.Sprintf("-R127.0.0.1:%d:%s", port, ln.Addr()), "echo ready; cat")
	if err != nil {
		return nil, nil, err
	}
	if _, err := io.ReadFull(waiting.out, make([]byte, 6)); err != nil {
		return nil, nil, err
	}
	joined, err := h.start(ctx, h.sshdAt, fmt.Sprintf("-W127.0.0.1:%d", port))
	if err != nil {
		return nil, nil, err
	}
	conn, err := ln.Accept()
	if err != nil {
		return nil, nil, err
	}
	return conn, joined, nil
}

// side is a client without a process of its own, with one session and its first line.
type side struct {
	conn    *ssh.Client
	session *ssh.Session
	in      io.WriteCloser
	out     io.Reader
	line    string
}

func (h *house) dial(addr string) (*ssh.Client, error) {
	return ssh.Dial("tcp", addr, &ssh.ClientConfig{User: user(), Auth: []ssh.AuthMethod{ssh.PublicKeys(h.signer)},
		HostKeyCallback: ssh.FixedHostKey(h.signer.PublicKey()), Timeout: time.Minute})
}

func user() string {
	if name := os.Getenv("USER"); name != "" {
		return name
	}
	return "root"
}

func (h *house) begin(addr string) (*side, error) {
	conn, err := h.dial(addr)
	if err != nil {
		return nil, err
	}
	s := &side{conn: conn}
	if s.session, err = conn.NewSession(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	s.in, _ = s.session.StdinPipe()
	s.out, _ = s.session.StdoutPipe()
	return s, nil
}

// ask connects to a switchboard, and returns when it has said its first line.
func (h *house) ask(addr, command string) (*side, error) {
	s, err := h.begin(addr)
	if err != nil {
		return nil, err
	}
	stderr, err := s.session.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.session.Start(command); err != nil {
		return nil, err
	}
	line, err := bufio.NewReaderSize(stderr, 64).ReadString('\n')
	s.line = strings.TrimSuffix(line, "\n")
	return s, err
}

func (s *side) close() { s.conn.Close() }

// said sends something each way.
func said(from io.Writer, to io.Reader, back io.Writer, here io.Reader) error {
	for _, pair := range []struct {
		w io.Writer
		r io.Reader
	}{{from, to}, {back, here}} {
		if _, err := pair.w.Write([]byte("ping")); err != nil {
			return err
		}
		got := make([]byte, 4)
		if _, err := io.ReadFull(pair.r, got); err != nil {
			return err
		}
		if string(got) != "ping" {
			return fmt.Errorf("%q came, not ping", got)
		}
	}
	return nil
}

func (h *house) link(from, to string) error {
	a, err := h.ask(from, "new")
	if err != nil {
		return err
	}
	defer a.close()
	b, err := h.ask(to, a.line)
	if err != nil {
		return err
	}
	defer b.close()
	if b.line != "switched" {
		return errors.New(b.line)
	}
	return said(b.in, a.out, a.in, b.out)
}

func (h *house) linkSocat() error {
	socket := h.socket()
	a, err := h.begin(h.sshdAt)
	if err != nil {
		return err
	}
	defer a.close()
	if err := a.session.Start("exec socat - UNIX-LISTEN:" + socket); err != nil {
		return err
	}
	b, err := h.begin(h.sshdAt)
	if err != nil {
		return err
	}
	defer b.close()
	if err := b.session.Start("exec socat - UNIX-CONNECT:" + socket + ",retry=1000,interval=0.01"); err != nil {
		return err
	}
	return said(b.in, a.out, a.in, b.out)
}

func (h *house) linkForward() error {
	a, err := h.dial(h.sshdAt)
	if err != nil {
		return err
	}
	defer a.Close()
	ln, err := a.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b, err := h.dial(h.sshdAt)
	if err != nil {
		return err
	}
	defer b.Close()
	to, err := b.Dial("tcp", ln.Addr().String())
	if err != nil {
		return err
	}
	from, err := ln.Accept()
	if err != nil {
		return err
	}
	return said(to, from, from, to)
}

// cpuOf returns the CPU time that a process has used, without its ended children's (proc_pid_stat(5)).
func cpuOf(cmd *exec.Cmd) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	ticks := 0
	for _, field := range fields[11:13] {
		n, _ := strconv.Atoi(field)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// rss returns the resident memory of a process, in bytes.
func rss(cmd *exec.Cmd) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

func descriptors(cmd *exec.Cmd) int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", cmd.Process.Pid))
	return len(entries)
}
