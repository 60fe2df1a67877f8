package torture

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"aig/internal/ref"
)

// The ways in which two sides can be joined.
const (
	nested  = "nested"  // Bob's side is Alice's transport
	sockets = "sockets" // each has a socket as its standard input and output
	fifos   = "fifos"   // each has a transport of two processes
	relayed = "relayed" // each has an ssh to a real switchboard
)

// syncOptions say how a sync is run.
type syncOptions struct {
	form    string
	timeout time.Duration // --timeout of both sides, and --wait; 0 is a minute
	args    [2][]string   // further arguments
	before  [2]string     // shell commands before each side's git
	vars    [2]string     // variable assignments for it
	shim    [2]string     // shell code that runs in place of each git child of a side, with "$git" for git itself
	env     []string
	board   *board   // for relayed
	tty     *os.File // Alice's controlling terminal, if any; she is its session leader
}

// side is one side of a sync.
type side struct {
	out, err, exit string // files
	cmd            *exec.Cmd
	reaped         chan struct{}
}

// running is a sync under way.
type running struct {
	*processes
	sides [2]*side
	tmp   string // TMPDIR of both sides
	began time.Time
}

var marks atomic.Int64

// start starts both sides on the pair. Their output files go into dir.
func (m *machine) start(t testing.TB, p *pair, dir string, o syncOptions) *running {
	t.Helper()
	mark := fmt.Sprintf("%d.%d", os.Getpid(), marks.Add(1))
	r := &running{processes: newProcesses(mark), tmp: filepath.Join(dir, "tmp"), began: time.Now()}
	if err := os.MkdirAll(r.tmp, 0o777); err != nil {
		t.Fatal(err)
	}
	env := append([]string{"AIG_MARK=" + mark, "TMPDIR=" + r.tmp}, o.env...)
	for who, name := range names {
		r.sides[who] = &side{reaped: make(chan struct{})}
		for what, file := range map[string]*string{
			"out": &r.sides[who].out, "err": &r.sides[who].err, "exit": &r.sides[who].exit,
		} {
			*file = filepath.Join(dir, name+"."+what)
			os.Remove(*file)
		}
	}
	timeout := o.timeout
	if timeout == 0 {
		timeout = time.Minute
	}
	// expression returns the shell command of a side.
	expression := func(who int, transport string) string {
		// Without --wait, a side whose peer is killed before it comes would wait for ever, as it should.
		args := append([]string{"--wait", max(timeout, 10*time.Second).String(), "--timeout", timeout.String(), "--summary"}, o.args[who]...)
		before := o.before[who]
		if before != "" {
			before += "; "
		}
		call := fmt.Sprintf("git -C %s aig-sync", quote(p.dir[who]))
		if o.shim[who] != "" { // not by way of git, which would put its own programs first in PATH
			call = fmt.Sprintf("sh -c %s sh", quote(fmt.Sprintf(`cd %s && PATH=%s:$PATH && exec git-aig-sync "$@"`,
				quote(p.dir[who]), quote(shim(t, dir, who, o.shim[who])))))
		}
		return fmt.Sprintf("%s%s %s %s %s %s", before, o.vars[who], strings.Join(p.via[who], " "), call,
			strings.Join(args, " "), quote(transport))
	}
	nestedBob := func() string {
		b := r.sides[bob]
		var assign strings.Builder
		for _, kv := range m.env(bob) {
			if name, value, _ := strings.Cut(kv, "="); name == "HOME" || name == "TRUST" {
				fmt.Fprintf(&assign, "export %s=%s; ", name, quote(value))
			}
		}
		return fmt.Sprintf("exec 2>%s; %s%s; status=$?; echo $status >%s; exit $status",
			quote(b.err), assign.String(), expression(bob, "-"), quote(b.exit))
	}
	launch := func(who int, transport string, pipe *os.File) {
		s := r.sides[who]
		s.cmd = exec.Command("sh", "-c", expression(who, transport))
		if o.before[who]+o.vars[who] == "" {
			s.cmd.Args[2] = "exec " + s.cmd.Args[2]
		}
		s.cmd.Env = m.env(who, env...)
		s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a job of its own, as at a terminal
		if o.tty != nil && who == alice {
			s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
			s.cmd.ExtraFiles = []*os.File{o.tty}
		}
		files := []*os.File{create(t, s.out), create(t, s.err)}
		s.cmd.Stdout, s.cmd.Stderr = files[0], files[1]
		if pipe != nil {
			s.cmd.Stdin, s.cmd.Stdout = pipe, pipe
		}
		if err := s.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			f.Close()
		}
		r.seen[s.cmd.Process.Pid] = who
		go func() {
			defer close(s.reaped)
			s.cmd.Wait()
		}()
	}
	switch o.form {
	case nested:
		launch(alice, nestedBob(), nil)
	case sockets:
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		for who, fd := range fds {
			f := os.NewFile(uintptr(fd), "socket")
			launch(who, "-", f)
			f.Close()
		}
	case fifos:
		var fifo [2]string
		for who := range fifo {
			fifo[who] = filepath.Join(dir, "to-"+names[who])
			os.Remove(fifo[who])
			if err := unix.Mkfifo(fifo[who], 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for who := range names {
			launch(who, fmt.Sprintf("cat <%s & exec cat >%s", quote(fifo[who]), quote(fifo[1-who])), nil)
		}
	case relayed:
		launch(alice, o.board.ssh+" new", nil)
		launch(bob, o.board.ssh+" "+token(t, r.sides[alice]), nil)
	default:
		t.Fatalf("no form %q", o.form)
	}
	return r
}

// shim makes a directory with a git of our own in it.
func shim(t testing.TB, dir string, who int, script string) string {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(dir, names[who]+".shim")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "git"), []byte("#!/bin/sh\ngit="+ref.Shell(git)+"\n"+script+"\nexec \"$git\" \"$@\"\n"), 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

func create(t testing.TB, file string) *os.File {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// token waits for the token that Alice's side shows.
func token(t testing.TB, s *side) string {
	t.Helper()
	for {
		said, _ := os.ReadFile(s.err)
		for line := range strings.Lines(string(said)) {
			if rest, ok := strings.CutPrefix(line, `transport: "`); ok {
				if digits := strings.TrimSuffix(rest, "\\n\"\n"); len(digits) >= 5 && strings.Trim(digits, "0123456789abcdef") == "" {
					return digits
				}
			}
		}
		select {
		case <-s.reaped:
			t.Fatalf("no token: %s", said)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// tooLong is how long a sync may take to end, beyond its --timeout: it allows for a transport that has to be killed, and for a
// slow machine.
const tooLong = 2 * time.Minute

// end waits until no process of the sync is left. Any that is left after the limit is an error.
func (r *running) end(t testing.TB, limit time.Duration) (left []process) {
	t.Helper()
	if left = r.await(limit); len(left) > 0 {
		t.Errorf("left after %s: %v", limit, left)
	}
	for _, s := range r.sides {
		if s.cmd != nil {
			<-s.reaped
		}
	}
	return left
}

// outcome is how a side ended.
type outcome struct {
	status  int // as a shell reports it; unknown if the side's shell was killed
	promise bool
	fatal   string // its last line, if that begins with "fatal"
	said    string // all of standard error
}

const unknown = -1

func (r *running) outcome(who int) outcome {
	s := r.sides[who]
	o := outcome{status: unknown}
	if s.cmd != nil {
		ws := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
		if o.status = ws.ExitStatus(); ws.Signaled() {
			o.status = 128 + int(ws.Signal())
		}
	} else if text, err := os.ReadFile(s.exit); err == nil {
		o.status, _ = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	out, _ := os.ReadFile(s.out)
	said, _ := os.ReadFile(s.err)
	o.said = string(said)
	last := ""
	for line := range strings.Lines(string(out) + o.said) {
		line = strings.TrimSuffix(line, "\n")
		o.promise = o.promise || line == "."
		last = line
	}
	if strings.HasPrefix(last, "fatal: ") {
		o.fatal = last
	}
	return o
}

// checked counts what was found after a disturbed sync.
type checked struct {
	promises, falsePromises, lost, changed, unsound, nextFailed, left, unswept int
}

func (c *checked) add(d checked) {
	c.promises += d.promises
	c.falsePromises += d.falsePromises
	c.lost += d.lost
	c.changed += d.changed
	c.unsound += d.unsound
	c.nextFailed += d.nextFailed
	c.left += d.left
	c.unswept += d.unswept
}

// check examines the stores after a disturbed sync: nothing that was there is lost or changed, what came is sound, and a side
// that promised that both hold everything was right.
func (m *machine) check(t testing.TB, p *pair, r *running) (c checked) {
	t.Helper()
	var has [2][]string
	whole := true
	for who, name := range names {
		var err error
		if has[who], err = m.objects(p, who); err != nil {
			t.Error(err)
			c.unsound++
		}
		if lost := without(p.objects[who], has[who]); len(lost) > 0 {
			t.Errorf("%s has lost %d objects: %v", name, len(lost), lost)
			c.lost += len(lost)
		}
		whole = whole && len(without(p.union, has[who])) == 0
		if now, err := outside(p.files(who)); now != p.outside[who] {
			t.Errorf("%s's repository has changed outside of objects/ (%v)", name, err)
			c.changed++
		}
		if said := m.fsck(p, who); said != "" {
			t.Errorf("%s's git fsck: %s", name, said)
			c.unsound++
		}
		c.left += len(p.leftovers(who))
	}
	for who, name := range names {
		o := r.outcome(who)
		if !o.promise {
			continue
		}
		c.promises++
		if !whole {
			t.Errorf("%s promised that both hold everything, and they don't", name)
			c.falsePromises++
		}
	}
	return c
}

// next runs the sync again, undisturbed, after which the stores must be equal, and checks that git sweeps what is left in
// them.
func (m *machine) next(t testing.TB, p *pair, dir string) (c checked) {
	t.Helper()
	r := m.start(t, p, dir, syncOptions{form: sockets})
	r.end(t, tooLong)
	for who, name := range names {
		if o := r.outcome(who); o.status != 0 || !o.promise {
			t.Errorf("the next run: %s ended with %d: %s", name, o.status, o.said)
			c.nextFailed = 1
		}
		if has, err := m.objects(p, who); err != nil || !slices.Equal(has, p.union) {
			t.Errorf("after the next run %s has %d objects of %d (%v)", name, len(has), len(p.union), err)
			c.nextFailed = 1
		}
		if said := m.fsck(p, who); said != "" {
			t.Errorf("after the next run %s's git fsck: %s", name, said)
			c.unsound++
		}
		if len(p.leftovers(who)) > 0 {
			mustRun(t, m.git(p, who, "prune", "--expire=now"))
			if left := p.leftovers(who); len(left) > 0 {
				t.Errorf("git prune does not sweep %v", left)
				c.unswept += len(left)
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(r.tmp, "*")); len(left) > 0 {
		t.Errorf("left in TMPDIR: %v", left)
		c.unswept += len(left)
	}
	return c
}

// board is a real switchboard.
type board struct {
	ssh string // an ssh command line to it, to which a command is appended
	cmd *exec.Cmd
}

// newBoard starts a switchboard that runs until the end of the test, and must end well.
func (m *machine) newBoard(t *testing.T) *board {
	t.Helper()
	b := m.startBoard(t)
	t.Cleanup(func() {
		b.cmd.Process.Signal(syscall.SIGTERM)
		if err := b.cmd.Wait(); err != nil {
			t.Errorf("the switchboard ended with %v", err)
		}
	})
	return b
}

func (m *machine) startBoard(t *testing.T) *board {
	t.Helper()
	dir := t.TempDir()
	hostKey, known := filepath.Join(dir, "host key"), filepath.Join(dir, "known_hosts")
	cmd := exec.Command(filepath.Join(m.bin, "aig-switchboard"), "--listen", "127.0.0.1:0", "--host-key", hostKey)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // even if a test times out
	log := create(t, filepath.Join(dir, "log"))
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := ""
	for !strings.HasSuffix(first, "\n") {
		time.Sleep(5 * time.Millisecond)
		text, err := os.ReadFile(log.Name())
		if first = string(text); err != nil || cmd.Process.Signal(syscall.Signal(0)) != nil {
			t.Fatal("no switchboard", err, first)
		}
	}
	_, rest, _ := strings.Cut(first, "addr=127.0.0.1:")
	port, _, _ := strings.Cut(rest, " ")
	key := mustRun(t, exec.Command("ssh-keygen", "-y", "-f", hostKey))
	if err := os.WriteFile(known, []byte("[127.0.0.1]:"+port+" "+key), 0o600); err != nil {
		t.Fatal(err)
	}
	return &board{cmd: cmd, ssh: "ssh -F none -o BatchMode=yes -o IdentityAgent=none -o IdentitiesOnly=yes" +
		" -o GlobalKnownHostsFile=none -o UserKnownHostsFile=" + quote(`"`+known+`"`) + " -p " + port + " 127.0.0.1"}
}

// rounds runs f for each round, two at a time, as they mostly wait.
func rounds(n int, f func(round int)) { roundsBeside(2, n, f) }

// roundsBeside runs f for each round, width at a time.
func roundsBeside(width, n int, f func(round int)) {
	var workers sync.WaitGroup
	var next atomic.Int64
	for range width {
		workers.Go(func() {
			for {
				round := int(next.Add(1)) - 1
				if round >= n {
					return
				}
				f(round)
			}
		})
	}
	workers.Wait()
}

// lasts returns how long an undisturbed sync takes.
func (m *machine) lasts(t *testing.T, p *pair) time.Duration {
	t.Helper()
	m.lasting.Lock()
	defer m.lasting.Unlock()
	if took, known := m.lasting.of[p]; known {
		return took
	}
	dir := t.TempDir()
	r := m.start(t, p.copyOf(t, dir), dir, syncOptions{form: sockets})
	r.end(t, tooLong)
	for who := range names {
		if o := r.outcome(who); o.status != 0 || !o.promise {
			t.Fatalf("%s ended with %d: %s", names[who], o.status, o.said)
		}
	}
	m.lasting.of[p] = time.Since(r.began)
	return m.lasting.of[p]
}

func moment(rng *rand.Rand, of time.Duration) time.Duration {
	return time.Duration(rng.Float64() * float64(of))
}

// well reports whether a side ended as it should: done, failed with a reason, or by a signal that it may have got.
func (o outcome) well(signals ...syscall.Signal) bool {
	switch o.status {
	case 0:
		return o.promise
	case 128:
		return !o.promise && o.fatal != ""
	case unknown:
		return true
	}
	return slices.ContainsFunc(signals, func(s syscall.Signal) bool { return o.status == 128+int(s) })
}

// end returns how it ended, for a log.
func (o outcome) end() string { return fmt.Sprintf("%d %s", o.status, o.fatal) }
