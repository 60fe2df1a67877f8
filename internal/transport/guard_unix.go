//go:build unix

package transport

import (
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// guard is a process of ours in the transport's process group that ends the
// group if we can't, because we were killed. The end of the transport's
// standard input isn't enough: an ssh that waits at a switchboard waits on.
type guard struct {
	pid  int
	quit *os.File // its standard input, which ends with us
	once sync.Once
}

// guardScript waits for the end of its input, and then does as process.end
// does, with [DefaultGrace].
const guardScript = `read -r _; trap "" TERM; sleep 2; kill -TERM 0; kill -CONT 0; sleep 2; kill -KILL 0`

// guardName is the last argument of a guard, by which it is known in a list of
// processes.
const guardName = "aig-guard"

// callGuard starts a guard in that process group, or as the leader of a new one
// if it is 0; or returns nil. Also its number stays the group's until it is
// dismissed.
func callGuard(sh string, group int) *guard {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil
	}
	defer null.Close()
	stdin, quit, err := os.Pipe()
	if err != nil {
		return nil
	}
	defer stdin.Close()
	pid, err := syscall.ForkExec(sh, []string{"sh", "-c", guardScript, guardName}, &syscall.ProcAttr{
		Dir:   "/", // it mustn't hold on to any other
		Env:   os.Environ(),
		Files: []uintptr{stdin.Fd(), null.Fd(), null.Fd()},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pgid: group},
	})
	if err != nil {
		quit.Close()
		return nil
	}
	return &guard{pid: pid, quit: quit}
}

// dismiss ends the guard, without any harm to the group. It may be called
// again.
func (g *guard) dismiss() {
	if g == nil {
		return
	}
	g.once.Do(func() {
		unix.Kill(g.pid, unix.SIGKILL) // before the end of its input, which it would act upon
		g.quit.Close()
		for {
			if _, err := unix.Wait4(g.pid, nil, 0, nil); err != unix.EINTR {
				return
			}
		}
	})
}
