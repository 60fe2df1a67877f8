//go:build unix

package transport

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// leader leads the transport's process group and does two things that nobody
// else can.
//
// It dies of the SIGINT that Ctrl-C sends to the group. The transport can't be
// asked: ssh catches the signal and exits with status 255, as after any failure.
//
// It ends the group if we are killed. End of file alone doesn't: an ssh that
// waits at a switchboard waits on. Nor would a parent-death signal, which only
// the shell gets.
type leader struct {
	pid   int
	stdin *os.File

	once        sync.Once // of dismiss, which sets the rest
	interrupted bool
}

// leaderScript exits when it reads a line. At end of file it does what
// process.end does, with [DefaultGrace].
const leaderScript = `read -r _ && exit; trap "" TERM; sleep 2; kill -TERM 0; kill -CONT 0; sleep 2; kill -KILL 0`

// leaderName is the leader's last argument, which tells it from the transport in
// a list of processes.
const leaderName = "aig-leader"

// startLeader starts a leader with sys, which says what terminal it takes the
// foreground of.
func startLeader(sh string, env []string, sys *syscall.SysProcAttr) (*leader, error) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	pid, err := syscall.ForkExec(sh, []string{"sh", "-c", leaderScript, leaderName}, &syscall.ProcAttr{
		Dir:   "/", // it mustn't keep a file system busy
		Env:   env,
		Files: []uintptr{r.Fd(), null.Fd(), null.Fd()},
		Sys:   sys,
	})
	if err != nil {
		w.Close()
		return nil, err
	}
	return &leader{pid: pid, stdin: w}, nil
}

// dismiss ends the leader and returns whether it had got SIGINT. It is
// idempotent. The leader is reaped here and nowhere else, so the process
// group's number can't be given to others before.
func (l *leader) dismiss() (interrupted bool) {
	l.once.Do(func() {
		// A pending SIGINT acts before the line is read. SIGCONT is for a
		// leader that was stopped with its group.
		l.stdin.Write([]byte("\n"))
		l.stdin.Close()
		unix.Kill(l.pid, unix.SIGCONT)
		timer := time.AfterFunc(stopWait, func() { unix.Kill(l.pid, unix.SIGKILL) }) // if it is stopped again
		defer timer.Stop()
		var ws unix.WaitStatus
		for {
			_, err := unix.Wait4(l.pid, &ws, 0, nil)
			if !errors.Is(err, unix.EINTR) {
				l.interrupted = err == nil && ws.Signaled() && ws.Signal() == unix.SIGINT
				return
			}
		}
	})
	return l.interrupted
}
