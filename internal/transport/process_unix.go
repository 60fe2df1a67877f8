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
	group    int // its process group
	terminal *terminal
	witness  *witness // nil if the terminal wasn't lent
	guard    *guard   // nil if it couldn't be started

	endOnce sync.Once
	ending  chan struct{} // closed when end was called

	exited      chan struct{} // closed when the shell was reaped; then the rest is set
	status      string
	interrupted bool
}

// startProcess starts the shell in a process group of its own, so that all of
// what it starts can be signalled without signalling ourselves, and gives it
// the terminal if that is ours to give.
func startProcess(sh string, o Options, files [3]*os.File) (*process, error) {
	p := &process{
		terminal: openTerminal(),
		ending:   make(chan struct{}),
		exited:   make(chan struct{}),
	}
	attr := &syscall.ProcAttr{Env: o.Env, Sys: p.prepareGroup(sh, o.Env)}
	for _, f := range files {
		// Fd also puts our pipe's other end into blocking mode, which is what
		// programs expect of their standard streams.
		attr.Files = append(attr.Files, f.Fd())
	}

	// Not os.StartProcess: that one's Wait sees the end of a process only,
	// and we have to see its stops. Two waiters would take each other's news.
	pid, err := syscall.ForkExec(sh, []string{"sh", "-c", o.Expression}, attr)
	if err != nil {
		p.takeTerminal()
		p.guard.dismiss()
		return nil, err
	}
	p.pid = pid
	if p.group == 0 {
		p.group = pid
	}
	p.terminal.started(p.group)
	if p.guard == nil {
		p.guard = callGuard(sh, p.group) // while the shell isn't reaped, so that the group is there
	}
	go p.reap()
	return p, nil
}

// prepareGroup starts what is to be in the process group before the shell, and
// returns what puts the shell there. The guard comes first so that our death,
// at whatever moment, leaves no shell that nobody would end.
func (p *process) prepareGroup(sh string, env []string) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if p.terminal.prepare(attr) {
		p.witness = callWitness(attr, env)
		if p.witness == nil {
			return attr // the shell has to take the foreground, hence to be the first
		}
		p.group = p.witness.pid
	}
	p.guard = callGuard(sh, p.group)
	if p.group == 0 && p.guard != nil {
		p.group = p.guard.pid
	}
	return &syscall.SysProcAttr{Setpgid: true, Pgid: p.group}
}

// reap waits for the shell: the only place where that is done.
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
			held := p.terminal.take(ws.Signaled())
			p.interrupted = p.witness.dismiss() ||
				ws.Signaled() && ws.Signal() == unix.SIGINT ||
				held && ws.Exited() && ws.ExitStatus() == 128+int(unix.SIGINT)
			close(p.exited)
			return
		}
	}
}

// describe says a wait status as package os does.
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

// stopWait is how long our own process group gets to stop after it was told
// to. It runs out only where it can't be stopped, having nobody who could
// continue it.
const stopWait = 500 * time.Millisecond

// stopped deals with the transport having been stopped at the terminal: by
// Ctrl-Z, which as long as the terminal is lent only the transport sees, or for
// using the terminal from the background. Either means our whole job, so the
// job is stopped, and when its shell has continued it the transport gets the
// terminal again.
func (p *process) stopped(sig unix.Signal) {
	switch sig {
	case unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
	default:
		return // SIGSTOP: somebody meant this one process
	}
	if sig != unix.SIGTSTP && p.terminal.lend() {
		// It was in the background only because a shell had continued our job
		// and given the terminal to us.
		p.signal(unix.SIGCONT)
		return
	}
	if !p.terminal.recall() {
		// Questions are over, and it may wait for its answer for ever. But a
		// Ctrl-Z of just before was meant for us, and mustn't hold it up.
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
		// We are in the background for good, in a process group that has no
		// shell. What the transport wants can't be had: as the kernel does for
		// its orphaned process groups, don't leave it stopped for ever.
		p.signal(unix.SIGHUP)
	}
	p.signal(unix.SIGCONT)
}

// signal sends sig to every process of the transport's group, and tells
// whether there was one to get it.
//
// After the shell was reaped, its process group's number stays taken as long as
// the group has a member. Where it has none, the number could be given to
// strangers only after the system has used up all others.
func (p *process) signal(sig unix.Signal) bool {
	return unix.Kill(-p.group, sig) == nil
}

// end ends the process group; the pipe has been closed already.
func (p *process) end(grace time.Duration) error {
	p.endOnce.Do(func() { close(p.ending) })
	p.awaitShell(grace)
	p.guard.dismiss()
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

// awaitShell waits for the shell to end, for at most the grace.
func (p *process) awaitShell(grace time.Duration) bool {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
	}
	select { // which it was: on a busy machine it may be both
	case <-p.exited:
		return true
	default:
		return false
	}
}

// awaitGroup waits until the process group has no member that runs, for at most
// the grace. Nobody is told when a process ends that isn't a child, so this
// asks, less and less often.
func (p *process) awaitGroup(grace time.Duration) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	for pause := 2 * time.Millisecond; p.signal(0) && runs(p.group); pause = min(2*pause, 50*time.Millisecond) {
		select {
		case <-time.After(pause):
		case <-timer.C:
			return
		}
	}
}

func (p *process) takeTerminal() {
	p.terminal.take(false)
	p.witness.dismiss()
}

// readAvailable reads what r holds at this moment, without waiting; 0 means
// nothing, or end of file.
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
