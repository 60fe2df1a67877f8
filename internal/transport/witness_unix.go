//go:build unix

package transport

import (
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// witness is a process of ours that leads the transport's process group and
// does nothing but die of the SIGINT that Ctrl-C sends to the group. The
// transport itself can't be asked: ssh, for one, catches the signal and exits
// with status 255, as it does after any other failure. It lives no longer than
// the terminal is lent.
type witness struct {
	pid  int
	quit *os.File // it ends when this is closed

	once        sync.Once // of its dismissal, which sets the rest
	interrupted bool
}

// callWitness starts a witness, in the group and with the foreground that sys
// says. Without one, which is nil, only what the transport ended with tells of
// an interruption.
func callWitness(sys *syscall.SysProcAttr, env []string) *witness {
	cat, err := exec.LookPath("cat")
	if err != nil {
		return nil
	}
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
	pid, err := syscall.ForkExec(cat, []string{"cat"}, &syscall.ProcAttr{
		Env:   env,
		Files: []uintptr{stdin.Fd(), null.Fd(), null.Fd()},
		Sys:   sys,
	})
	if err != nil {
		quit.Close()
		return nil
	}
	return &witness{pid: pid, quit: quit}
}

// dismiss ends the witness and returns whether SIGINT had come first. It may
// be called again. Not before it is the witness reaped, so that its number
// stays the group's until then, also if it has ended.
func (w *witness) dismiss() (interrupted bool) {
	if w == nil {
		return false
	}
	w.once.Do(func() {
		// Neither SIGINT nor the end of its input ends a stopped process; and
		// a signal that has come is acted upon before any further reading.
		unix.Kill(w.pid, unix.SIGCONT)
		w.quit.Close()
		// It might be stopped again at once, with the rest of its group.
		timer := time.AfterFunc(stopWait, func() { unix.Kill(w.pid, unix.SIGKILL) })
		defer timer.Stop()
		var ws unix.WaitStatus
		for {
			_, err := unix.Wait4(w.pid, &ws, 0, nil)
			if !errors.Is(err, unix.EINTR) {
				w.interrupted = err == nil && ws.Signaled() && ws.Signal() == unix.SIGINT
				return
			}
		}
	})
	return w.interrupted
}
