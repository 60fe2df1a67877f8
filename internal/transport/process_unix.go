//go:build unix

package transport

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
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

	ending      chan struct{} // closed when end was called
	exited      chan struct{} // closed when the shell was reaped; then the rest is set
	status      string
	interrupted bool
}

// startProcess starts the shell in a process group of its own, so that it can be signalled with all that it starts, and lends
// the group the terminal if that is ours to lend.
func startProcess(sh string, o Options, files [3]*os.File) (*process, error) {
	p := &process{terminal: openTerminal(), ending: make(chan struct{}), exited: make(chan struct{})}
	var err error
	// The leader comes first: whenever we die, no shell is left that nobody would end.
	if p.leader, err = startLeader(sh, o.Env); err != nil {
		p.takeTerminal()
		return nil, err
	}
	p.terminal.lend(p.leader.Process.Pid)
	attr := &syscall.ProcAttr{Env: o.Env, Sys: &syscall.SysProcAttr{Setpgid: true, Pgid: p.leader.Process.Pid}}
	for _, f := range files {
		attr.Files = append(attr.Files, f.Fd()) // which also sets blocking mode, as programs expect of standard streams
	}
	// Not os/exec, which sees only the end of a process: we must see its stops too, and two waiters would steal each other's statuses.
	if p.pid, err = syscall.ForkExec(sh, []string{"sh", "-c", o.Expression}, attr); err != nil {
		p.takeTerminal()
		p.leader.dismiss()
		return nil, err
	}
	go p.reap()
	return p, nil
}

// reap waits for the shell. Nothing else may wait for it.
func (p *process) reap() {
	defer close(p.exited)
	for {
		var ws unix.WaitStatus
		_, err := unix.Wait4(p.pid, &ws, unix.WUNTRACED, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil: // ECHILD: SIGCHLD is ignored, so the status is lost
			p.status = "unknown exit status"
			p.takeTerminal()
			return
		case ws.Stopped():
			p.stopped(ws.StopSignal())
		default:
			p.status = describe(ws)
			p.terminal.take(ws.Signaled())
			p.interrupted = p.leader.dismiss() || ws.Signaled() && ws.Signal() == unix.SIGINT
			return
		}
	}
}

// describe formats a wait status as package os does.
func describe(ws unix.WaitStatus) string {
	if ws.Signaled() {
		return fmt.Sprintf("signal: %v", ws.Signal())
	}
	return fmt.Sprintf("exit status %d", ws.ExitStatus())
}

// signal sends sig to the process group and returns whether the group had a process to get it. The group's ID stays taken while
// the group has a member. After that, the system could reuse it for strangers only once it has used up all others.
func (p *process) signal(sig unix.Signal) bool {
	return unix.Kill(-p.leader.Process.Pid, sig) == nil
}

// end ends the process group; the pipe has been closed already. It is called once.
func (p *process) end(grace time.Duration) error {
	close(p.ending)
	p.ended(grace)
	p.leader.dismiss()
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if !p.signal(sig) {
			break
		}
		p.signal(unix.SIGCONT) // a stopped process handles SIGTERM only then
		p.awaitGroup(grace)
	}
	if !p.ended(grace) {
		return fmt.Errorf("transport: process %d does not end, even if killed", p.pid)
	}
	return nil
}

// awaitGroup waits until the process group is empty, for at most the grace. A process that isn't our child can't be waited
// for, so this polls, less and less often.
func (p *process) awaitGroup(grace time.Duration) {
	over := time.Now().Add(grace)
	for pause := 2 * time.Millisecond; p.signal(0) && time.Now().Before(over); pause = min(2*pause, 50*time.Millisecond) {
		time.Sleep(pause)
	}
}

func (p *process) takeTerminal() { p.terminal.take(false) }

// leader leads the transport's process group, and does two things that no other process can.
//
// It dies of the SIGINT that Ctrl-C sends to the group. The transport can't be asked: ssh catches the signal and exits with
// status 255, as after any failure.
//
// It ends the group if we are killed. End of file alone doesn't: an ssh that waits at a switchboard would wait for ever. Nor
// would a parent-death signal, which only the shell gets.
type leader struct {
	*exec.Cmd
	stdin io.WriteCloser

	once        sync.Once // of dismiss, which sets the rest
	interrupted bool
}

// leaderScript exits when it reads a line. At end of file it does what process.end does, with defaultGrace. leaderName tells
// the leader from the transport in a list of processes.
const leaderScript = `read -r _ && exit; trap "" TERM; sleep 2; kill -TERM 0; kill -CONT 0; sleep 2; kill -KILL 0`
const leaderName = "aig-leader"

// startLeader starts the leader of a new process group.
func startLeader(sh string, env []string) (*leader, error) {
	l := &leader{Cmd: exec.Command(sh, "-c", leaderScript, leaderName)}
	l.Dir = "/" // it mustn't keep a file system busy
	l.Env = env
	l.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if l.stdin, err = l.StdinPipe(); err != nil {
		return nil, err
	}
	return l, l.Start()
}

// dismiss ends the leader and returns whether it had got SIGINT. It is idempotent. The leader is reaped here and nowhere else,
// so the process group's ID can't be reused before that.
func (l *leader) dismiss() (interrupted bool) {
	l.once.Do(func() {
		// A pending SIGINT takes effect before the line is read. SIGCONT is for a leader that was stopped with its group.
		io.WriteString(l.stdin, "\n")
		l.Process.Signal(unix.SIGCONT)
		timer := time.AfterFunc(stopWait, func() { l.Process.Kill() }) // if it is stopped again
		defer timer.Stop()
		l.Wait()
		ws, ok := l.ProcessState.Sys().(syscall.WaitStatus)
		l.interrupted = ok && ws.Signaled() && ws.Signal() == unix.SIGINT
	})
	return l.interrupted
}
