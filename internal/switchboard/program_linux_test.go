package switchboard

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is the real switchboard in a process of its own.
type program struct {
	*board // with only what clients need
	cmd    *exec.Cmd
	read   chan struct{} // closed at the end of its log
	rest   strings.Builder
	once   sync.Once
}

// buildProgram builds the switchboard and returns its file.
func buildProgram(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "aig-switchboard")
	if out, err := exec.Command("go", "build", "-o", bin, "aig/cmd/aig-switchboard").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// startProgram starts the switchboard with these options, and lets it open no more than so many files.
func startProgram(t *testing.T, bin string, files int, options ...string) *program {
	t.Helper()
	enoughFiles(t, files)
	file := filepath.Join(t.TempDir(), "key")
	p := &program{board: &board{Server: new(Server)}, read: make(chan struct{})}
	var err error
	if p.opt.HostKey, _, err = HostKey(file); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, files), bin,
		"--listen", "127.0.0.1:0", "--host-key", file}, options...)
	p.cmd = exec.Command("sh", args...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also when a test times out
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	// The child dies with the thread that starts it.
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log := bufio.NewReader(stderr)
	first, err := log.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	p.addr = regexp.MustCompile(`addr=(\S+)`).FindStringSubmatch(first)[1]
	go func() { io.Copy(&p.rest, log); close(p.read) }()
	t.Cleanup(func() { p.finish(t) })
	return p
}

// finish ends the switchboard, expects it to end well and soon, and returns its counters.
func (p *program) finish(t *testing.T) map[reason]int {
	t.Helper()
	p.once.Do(func() {
		p.cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(2*patience, func() { // its grace time, and as much again
			t.Error("it has not ended in time")
			p.cmd.Process.Kill()
		})
		<-p.read
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("it ended with %v:\n%s", err, p.rest.String())
		}
		late.Stop()
	})
	counts := make(map[reason]int)
	for line := range strings.Lines(p.rest.String()) {
		if !strings.Contains(line, "msg=refused") {
			continue
		}
		for _, m := range regexp.MustCompile(` ([a-z_]+)=(\d+)`).FindAllStringSubmatch(line, -1) {
			counts[reason(m[1])], _ = strconv.Atoi(m[2])
		}
	}
	return counts
}

// peak returns the largest size that the process has had, in MiB.
func (p *program) peak(t *testing.T) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(text)
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return float64(kb) / 1024
}

// enoughFiles fails unless this process, and so each of its children, may
// have so many files open. Go raises the soft limit to the hard one by itself.
func enoughFiles(t *testing.T, n int) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur < uint64(n) {
		t.Fatalf("this needs %d open files, and %d are the hard limit here: raise it (ulimit -H -n, as root, or LimitNOFILE=)", n, limit.Max)
	}
}

// from connects from an address of loopback's own network.
func (b *board) from(source net.IP) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: source}}
	return d.Dial("tcp", b.addr)
}

// tolerant stands in for a test where strangers act: what fails for them ends their goroutine, and nothing else.
type tolerant struct{ testing.TB }

func (tolerant) Helper()               {}
func (tolerant) Cleanup(func())        {}
func (tolerant) Fatal(...any)          { runtime.Goexit() }
func (tolerant) Fatalf(string, ...any) { runtime.Goexit() }
func (tolerant) Error(...any)          { runtime.Goexit() }
func (tolerant) Errorf(string, ...any) { runtime.Goexit() }
