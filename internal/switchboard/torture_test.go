//go:build torture && linux

package switchboard

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// program starts the real switchboard, built here, in a process of its own.
func program(t *testing.T, files uint64) (*board, int) {
	t.Helper()
	dir := t.TempDir()
	bin := filepath.Join(dir, "aig-switchboard")
	if out, err := exec.Command("go", "build", "-o", bin, "aig/cmd/aig-switchboard").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b := &board{Server: new(Server)}
	var err error
	file := filepath.Join(dir, "key")
	if b.opt.HostKey, err = HostKey(file); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, files), bin, "--listen", "127.0.0.1:0", "--host-key", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also when a test times out
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log := bufio.NewReader(stderr)
	first, err := log.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	b.addr = regexp.MustCompile(`addr=(\S+)`).FindStringSubmatch(first)[1]
	var rest strings.Builder
	read := make(chan struct{})
	go func() { io.Copy(&rest, log); close(read) }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("it ended with %v:\n%s", err, rest.String())
		}
		for line := range strings.Lines(rest.String()) {
			if strings.Contains(line, "msg=refused") {
				t.Log(strings.TrimSpace(line))
			}
		}
	})
	return b, cmd.Process.Pid
}

// peak returns the largest size that a process has had, in MiB.
func peak(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(text)
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kb >> 10
}

// honest links a pair and copies 100 MB, and returns how long both took.
func honest(t *testing.T, b *board) (linked, copied time.Duration) {
	t.Helper()
	begin := time.Now()
	a, token := b.wait(t)
	c := b.join(t, token)
	linked = time.Since(begin)
	begin = time.Now()
	const size = 100_000_000
	go func() {
		io.CopyN(a.ch, zeros{}, size)
		a.ch.CloseWrite()
	}()
	if n, err := io.Copy(io.Discard, c.ch); n != size || err != nil {
		t.Errorf("%d bytes and %v", n, err)
	}
	copied = time.Since(begin)
	c.ch.CloseWrite()
	a.exit(0)
	c.exit(0)
	a.conn.Close()
	c.conn.Close()
	return linked, copied
}

// Strangers of every kind, all from the address of the honest pairs, while
// these link within five seconds and copy 100 MB, and memory stays bounded.
func TestTortureStrangers(t *testing.T) {
	for _, files := range []uint64{20000, 256} {
		t.Run(fmt.Sprintf("%d files", files), func(t *testing.T) { strangers(t, files) })
	}
}

func strangers(t *testing.T, files uint64) {
	b, pid := program(t, files)
	linked, copied := honest(t, b)
	t.Logf("alone: linked in %v, 100 MB in %v, peak %d MiB", linked, copied, peak(t, pid))

	stop := make(chan struct{})
	var wait sync.WaitGroup
	defer wait.Wait()
	defer sync.OnceFunc(func() { close(stop) })()
	running := func() bool { return !isClosed(stop) }
	var counts [6]atomic.Int64
	// connect keeps n connections open, each replaced when it is cut.
	connect := func(n int, count *atomic.Int64, use func(net.Conn)) {
		for range n {
			wait.Go(func() {
				for running() {
					conn, err := net.Dial("tcp", b.addr)
					if err != nil {
						time.Sleep(10 * time.Millisecond)
						continue
					}
					count.Add(1)
					done := make(chan struct{})
					go func() {
						select {
						case <-stop:
						case <-done:
						}
						conn.Close()
					}()
					use(conn)
					close(done)
					time.Sleep(time.Second) // none of these strangers is in a hurry
				}
			})
		}
	}
	connect(5000, &counts[0], func(conn net.Conn) { io.Copy(io.Discard, conn) })
	connect(500, &counts[1], func(conn net.Conn) {
		for {
			if _, err := conn.Write([]byte("S")); err != nil {
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Second):
			}
		}
	})
	client := func(use func(*peer)) func(net.Conn) {
		return func(conn net.Conn) {
			if p, err := b.tryDial(t, conn); err == nil {
				use(p)
				p.conn.Close()
			}
		}
	}
	exec := func(p *peer, cmd string) {
		if ch, reqs, err := p.conn.OpenChannel("session", nil); err == nil {
			go ch.SendRequest("exec", true, payload4(cmd))
			for range reqs {
			}
		}
	}
	connect(40, &counts[2], client(func(p *peer) { exec(p, fmt.Sprintf("%07x", counts[2].Load())) }))
	connect(4, &counts[3], client(func(p *peer) { exec(p, strings.Repeat("a", 262_000)) }))
	connect(4, &counts[4], client(func(p *peer) {
		for {
			if _, _, err := p.conn.SendRequest("flood", false, nil); err != nil {
				return
			}
		}
	}))
	connect(4, &counts[5], client(func(p *peer) {
		for i := range 1000 {
			kind := []string{"session", "direct-tcpip", "x11", "auth-agent@openssh.com"}[i%4]
			reqs, err := p.open(kind)
			var refused *ssh.OpenChannelError
			if err == nil {
				go ssh.DiscardRequests(reqs)
			} else if !errors.As(err, &refused) {
				return
			}
		}
	}))

	eventually(t, "the crowd is there", func() bool { return counts[0].Load() >= 5000 })
	var slowest time.Duration
	for range 5 {
		linked, copied := honest(t, b)
		slowest = max(slowest, linked)
		t.Logf("in the crowd: linked in %v, 100 MB in %v, peak %d MiB", linked, copied, peak(t, pid))
	}
	if slowest > 5*time.Second {
		t.Errorf("linking took %v", slowest)
	}
	if p := peak(t, pid); p > 1536 {
		t.Errorf("memory peaked at %d MiB", p)
	}
	t.Logf("silent %d, slow %d, guesses %d, long commands %d, request floods %d, channel floods %d",
		counts[0].Load(), counts[1].Load(), counts[2].Load(), counts[3].Load(), counts[4].Load(), counts[5].Load())
}

func payload4(text string) []byte {
	n := len(text)
	return append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, text...)
}

// Links whose readers stall while their partners pour, half of them in packets
// of one byte, and as many waiting sides that pour: memory per side is bounded.
func TestTortureMemory(t *testing.T) {
	b, pid := program(t, 20000)
	start := peak(t, pid)
	var pouring sync.WaitGroup
	pour := func(p *peer, size int) {
		p.net.SetDeadline(time.Now().Add(20 * time.Second))
		pouring.Go(func() {
			buf := make([]byte, size)
			for {
				if _, err := p.ch.Write(buf); err != nil {
					return
				}
			}
		})
	}
	const n = 24
	sides := 0
	for i := range n {
		size := []int{32 << 10, 1}[i%2]
		a, c := b.link(t)
		pour(a, size)
		pour(c, size)
		w, _ := b.wait(t)
		pour(w, size)
		sides += 3
	}
	pouring.Wait()
	per := float64(peak(t, pid)-start) / float64(sides)
	t.Logf("%d sides: peak %d MiB, %.1f MiB a side", sides, peak(t, pid), per)
	if per > 12 {
		t.Errorf("%.1f MiB a side", per)
	}
}
