//go:build unix

package transport

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is the shell and its process group.
type process struct {
	pid      int // of the shell
	leader   *leader
	terminal *terminal

	endOnce sync.Once
	ending  chan struct{} // closed when end was called

	exited      chan struct{} // closed when the shell was reaped; then the rest is set
	status      string
	interrupted bool
}

// startProcess starts the shell in a process group of its own, so that it can be
// signalled with all that it starts, and lends the group the terminal if that is
// ours to lend.
func startProcess(sh string, o Options, files [3]*os.File) (*process, error) {
	p := &process{
		terminal: openTerminal(),
		ending:   make(chan struct{}),
		exited:   make(chan struct{}),
	}
	sys := &syscall.SysProcAttr{Setpgid: true}
	p.terminal.prepare(sys)
	var err error
	// The leader comes first, so that our death at any moment leaves no shell
	// that nobody would end.
	if p.leader, err = startLeader(sh, o.Env, sys); err != nil {
		p.takeTerminal()
		return nil, err
	}
	p.terminal.started(p.leader.pid)

	attr := &syscall.ProcAttr{Env: o.Env, Sys: &syscall.SysProcAttr{Setpgid: true, Pgid: p.leader.pid}}
	for _, f := range files {
		// Fd also puts the pipe's far end into blocking mode, which is what
		// programs expect of their standard streams.
		attr.Files = append(attr.Files, f.Fd())
	}
	// Not os.StartProcess, whose Wait sees only the end of a process: we must
	// see its stops too, and two waiters would take each other's news.
	p.pid, err = syscall.ForkExec(sh, []string{"sh", "-c", o.Expression}, attr)
	if err != nil {
		p.takeTerminal()
		p.leader.dismiss()
		return nil, err
	}
	go p.reap()
	return p, nil
}

// reap waits for the shell, and is the only one who does.
func (p *process) reap() {
	for {
		var ws unix.WaitStatus
		_, err := unix.Wait4(p.pid, &ws, unix.WUNTRACED, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil: // ECHILD: SIGCHLD is ignored, and nobody can know
			p.status = "unknown exit status"
			p.takeTerminal()
			close(p.exited)
			return
		case ws.Stopped():
			p.stopped(ws.StopSignal())
		default:
			p.status = describe(ws)
			p.terminal.take(ws.Signaled())
			p.interrupted = p.leader.dismiss() || ws.Signaled() && ws.Signal() == unix.SIGINT
			close(p.exited)
			return
		}
	}
}

// describe words a wait status as package os does.
func describe(ws unix.WaitStatus) string {
	switch {
	case ws.CoreDump():
		return fmt.Sprintf("signal: %v (core dumped)", ws.Signal())
	case ws.Signaled():
		return fmt.Sprintf("signal: %v", ws.Signal())
	default:
		return fmt.Sprintf("exit status %d", ws.ExitStatus())
	}
}

// stopWait is how long a process group gets to stop or to end after it was told
// to. It runs out where our own group can't be stopped, as no shell could
// continue it.
const stopWait = 500 * time.Millisecond

// stopped deals with a transport that was stopped at the terminal: by Ctrl-Z,
// which only the transport sees while the terminal is lent, or for using the
// terminal from the background. Either means our whole job, so we stop the job,
// and lend the terminal again when the user's shell has continued it.
func (p *process) stopped(sig unix.Signal) {
	switch sig {
	case unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
	default:
		return // SIGSTOP: somebody meant this one process
	}
	if sig != unix.SIGTSTP && p.terminal.lend() {
		// It was in the background only because the user's shell had continued
		// our job and given us the terminal.
		p.signal(unix.SIGCONT)
		return
	}
	if !p.terminal.recall() {
		// Questions are over: it stays stopped. But a Ctrl-Z of just before was
		// meant for us, and mustn't hold it up.
		if sig == unix.SIGTSTP {
			p.signal(unix.SIGCONT)
		}
		return
	}
	if sig == unix.SIGTTOU {
		sig = unix.SIGTSTP // we ignore the former, see terminal.prepare
	}
	stopped := stopJob(sig, p.ending)
	if !p.terminal.lend() && !stopped && p.terminal.recall() {
		// Our group is in the background and has no shell to change that. Do as
		// the kernel does for orphaned groups: don't leave it stopped for ever.
		p.signal(unix.SIGHUP)
	}
	p.signal(unix.SIGCONT)
}

// signal sends sig to the transport's process group and returns whether the
// group had a process to get it.
//
// After the leader was reaped, the group's number stays taken while the group has
// a member. If it has none, the number could go to strangers only after the
// system has used up all others.
func (p *process) signal(sig unix.Signal) bool {
	return unix.Kill(-p.leader.pid, sig) == nil
}

// end ends the process group; the pipe has been closed already.
func (p *process) end(grace time.Duration) error {
	p.endOnce.Do(func() { close(p.ending) })
	p.awaitShell(grace)
	p.leader.dismiss()
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if !p.signal(sig) {
			break
		}
		p.signal(unix.SIGCONT) // a stopped process gets SIGTERM only then
		p.awaitGroup(grace)
	}
	if !p.awaitShell(grace) {
		return fmt.Errorf("transport: process %d does not end, even if killed", p.pid)
	}
	return nil
}

// awaitShell waits for the shell to end, for at most the grace, and returns
// whether it has.
func (p *process) awaitShell(grace time.Duration) bool {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
	}
	select { // on a busy machine it may be both
	case <-p.exited:
		return true
	default:
		return false
	}
}

// awaitGroup waits until no member of the process group runs, for at most the
// grace. Nobody is told of the end of a process that isn't a child, so this
// polls, less and less often.
func (p *process) awaitGroup(grace time.Duration) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	for pause := 2 * time.Millisecond; p.signal(0) && runs(p.leader.pid); pause = min(2*pause, 50*time.Millisecond) {
		select {
		case <-time.After(pause):
		case <-timer.C:
			return
		}
	}
}

func (p *process) takeTerminal() { p.terminal.take(false) }

// readAvailable reads what r holds now, without waiting. It returns 0 for nothing
// and for end of file.
func readAvailable(r *os.File, b []byte) int {
	r.SetReadDeadline(time.Time{}) // an expired one would refuse the reading
	raw, err := r.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	raw.Read(func(fd uintptr) bool {
		for {
			n, err = unix.Read(int(fd), b)
			if !errors.Is(err, unix.EINTR) {
				return true // whatever it was: no waiting
			}
		}
	})
	return max(n, 0)
}
