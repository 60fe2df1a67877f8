//go:build unix

package transport

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// terminal is the controlling terminal for as long as the transport may ask
// questions there.
//
// A terminal has one foreground process group, and a process of any other is
// stopped when it reads from it. Since the transport has a group of its own, it
// has to be lent the foreground, if we have it, and it has to be given back.
type terminal struct {
	mu    sync.Mutex
	fd    int         // of the terminal; -1 if there is none, or no more questions
	own   int         // our process group
	group int         // the transport's; 0 until it has started
	lent  bool        // the transport's group was given the foreground
	state *term.State // of the terminal before it was lent first
}

func openTerminal() *terminal {
	t := &terminal{fd: -1, own: unix.Getpgrp()}
	for {
		fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err == nil {
			t.fd = fd
		}
		if err != unix.EINTR {
			return t
		}
	}
}

// foreground returns the foreground process group, or 0.
func (t *terminal) foreground() int {
	group, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	if err != nil {
		return 0
	}
	return group
}

// prepare arranges for the new process to take the foreground before it runs
// any program, if it is ours to give, and tells whether it is.
//
// Setting the foreground from a process that isn't in it raises SIGTTOU, which
// stops the process unless it is ignored. That goes for the new process and, at
// the time of giving back, for us; and while the terminal is lent, for whatever
// we write to it if its user has set tostop. Hence it is ignored from here to
// take. The transport inherits that, and so can't be stopped for writing.
func (t *terminal) prepare(attr *syscall.SysProcAttr) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fd < 0 {
		return false
	}
	t.state, _ = term.GetState(t.fd)
	if t.foreground() != t.own {
		return false
	}
	signal.Ignore(unix.SIGTTOU)
	t.lent = true
	attr.Foreground, attr.Ctty = true, t.fd
	return true
}

// started names the process group that prepare was for.
func (t *terminal) started(group int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.group = group
}

// lend makes the transport's group the foreground if ours is it, and tells
// whether it did.
func (t *terminal) lend() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fd < 0 || t.foreground() != t.own {
		return false
	}
	signal.Ignore(unix.SIGTTOU)
	t.lent = true
	return unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, t.group) == nil
}

// recall makes our group the foreground if the transport's was it. It returns
// false if the terminal isn't lent any more.
func (t *terminal) recall() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fd < 0 {
		return false
	}
	// A third group in the foreground got it from the user's shell: our job is
	// in the background, and there is nothing to take back. No group at all:
	// what prepare was for took the foreground, but couldn't be run.
	if t.lent && (t.group == 0 || t.foreground() == t.group) {
		unix.IoctlSetPointerInt(t.fd, unix.TIOCSPGRP, t.own)
	}
	return true
}

// take ends the lending for good, and tells whether the terminal was lent till
// now. If restore is set the terminal's modes are as before the lending: a
// program that was killed while it asked for a password has left it mute.
func (t *terminal) take(restore bool) (held bool) {
	if !t.recall() {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fd < 0 {
		return false
	}
	held = t.lent
	if restore && held && t.state != nil && t.foreground() == t.own {
		term.Restore(t.fd, t.state)
	}
	if t.lent {
		signal.Reset(unix.SIGTTOU)
	}
	unix.Close(t.fd)
	t.fd = -1
	return held
}

// stopJob stops our own process group by sig, and returns when it was
// continued or cancel was closed. It returns false if the group can't be
// stopped, which is so where no shell is there that could continue it.
func stopJob(sig unix.Signal, cancel <-chan struct{}) bool {
	// The stop takes effect some time after kill has returned, so that only
	// SIGCONT tells that it is behind us.
	cont := make(chan os.Signal, 1)
	signal.Notify(cont, unix.SIGCONT)
	defer signal.Stop(cont)
	if unix.Kill(0, sig) != nil {
		return false
	}
	timer := time.NewTimer(stopWait)
	defer timer.Stop()
	select {
	case <-cont:
		return true
	case <-cancel:
		return true
	case <-timer.C:
	}
	// While we were stopped the timer ran on, and both may be there by now.
	select {
	case <-cont:
		return true
	default:
		return false
	}
}
