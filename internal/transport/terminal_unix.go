//go:build unix

package transport

import (
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// terminal is the controlling terminal while the transport may ask questions there.
//
// A terminal has one foreground process group, and stops a process of any other that reads from it. The transport has a group
// of its own, so we lend it the foreground, if we have it, and take it back.
type terminal struct {
	mu    sync.Mutex
	tty   *os.File    // nil if there is none, or after take
	own   int         // our process group
	group int         // the transport's; 0 until it was lent
	lent  bool        // the transport's group was given the foreground
	state *term.State // of the terminal before it was first lent
}

func openTerminal() *terminal {
	tty, _ := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	return &terminal{tty: tty, own: unix.Getpgrp()}
}

// fd returns the terminal's descriptor; -1, on which every request fails, if there is none.
func (t *terminal) fd() int { return int(t.tty.Fd()) }

// foreground returns the foreground process group, or 0.
func (t *terminal) foreground() int {
	group, err := unix.IoctlGetInt(t.fd(), unix.TIOCGPGRP)
	if err != nil {
		return 0
	}
	return group
}

// lend makes a process group, the transport's, the foreground if ours is, and returns whether it did.
//
// A background process that sets the foreground is stopped by SIGTTOU unless it ignores that. We do so when we take the
// terminal back; and, if the user has set tostop, whenever we write to the terminal meanwhile. So SIGTTOU is ignored from here
// to take. The transport inherits that, and can't be stopped for writing.
func (t *terminal) lend(group int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tty == nil || t.foreground() != t.own {
		return false
	}
	if t.group = group; !t.lent {
		t.state, _ = term.GetState(t.fd())
		signal.Ignore(unix.SIGTTOU)
		t.lent = true
	}
	return unix.IoctlSetPointerInt(t.fd(), unix.TIOCSPGRP, group) == nil
}

// recall makes our group the foreground if the transport's was. It returns false after take.
func (t *terminal) recall() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tty == nil {
		return false
	}
	// If a third group has the foreground, our job is in the background, and there is nothing to take back.
	if t.lent && t.foreground() == t.group {
		unix.IoctlSetPointerInt(t.fd(), unix.TIOCSPGRP, t.own)
	}
	return true
}

// take ends the lending for good. If restore is set, it restores the terminal's modes: a program killed while it asks for a
// password leaves the terminal without echo.
func (t *terminal) take(restore bool) {
	if !t.recall() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tty == nil {
		return
	}
	if restore && t.lent && t.state != nil && t.foreground() == t.own {
		term.Restore(t.fd(), t.state)
	}
	if t.lent {
		signal.Reset(unix.SIGTTOU)
	}
	t.tty.Close()
	t.tty = nil
}

// await waits until the terminal isn't lent to the transport of another process of our job, as `git fetch -j` starts several.
func (t *terminal) await(cancel <-chan struct{}) {
	known := 0 // the group of such a transport
	for {
		t.mu.Lock()
		group := t.foreground()
		t.mu.Unlock()
		if group != known && !t.lentBySibling(group) {
			return
		}
		known = group
		select {
		case <-cancel:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// lentBySibling returns whether the leader of a process group is the child of another process in our own group.
func (t *terminal) lentBySibling(group int) bool {
	if group == 0 || group == t.own {
		return false
	}
	out, _ := exec.Command("ps", "-o", "ppid=", "-p", strconv.Itoa(group)).Output()
	parent, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || parent <= 1 || parent == os.Getpid() {
		return false
	}
	parentGroup, err := unix.Getpgid(parent)
	return err == nil && parentGroup == t.own
}

// stopWait is how long a process group gets to stop or to end after it was told to. It runs out if our own group can't be
// stopped because no shell could continue it.
const stopWait = 500 * time.Millisecond

// stopped deals with a transport that was stopped at the terminal: by Ctrl-Z, which only the transport sees while the terminal
// is lent, or for using the terminal from the background. Either is meant for our whole job, so we stop the job, and lend the
// terminal again when the user's shell has continued it.
func (p *process) stopped(sig unix.Signal) {
	switch sig {
	case unix.SIGTSTP:
	case unix.SIGTTIN, unix.SIGTTOU:
		p.terminal.await(p.ending)
		if p.terminal.lend(p.leader.Process.Pid) {
			// It was in the background only because another transport had the terminal, or because the user's shell had continued our
			// job and given it to us.
			p.signal(unix.SIGCONT)
			return
		}
	default:
		return // SIGSTOP: somebody meant this one process
	}
	if !p.terminal.recall() {
		// It may ask no more questions, so it stays stopped. But a Ctrl-Z from just before was meant for us and must not hold it up.
		if sig == unix.SIGTSTP {
			p.signal(unix.SIGCONT)
		}
		return
	}
	if sig == unix.SIGTTOU {
		sig = unix.SIGTSTP // we ignore SIGTTOU, see terminal.lend
	}
	stopped := stopJob(sig, p.ending)
	if !p.terminal.lend(p.leader.Process.Pid) && !stopped && p.terminal.recall() {
		// Our group is in the background and no shell can change that. Do as the kernel does for orphaned groups: don't leave the
		// transport stopped for ever.
		p.signal(unix.SIGHUP)
	}
	p.signal(unix.SIGCONT)
}

// stopJob stops our own process group with sig, and returns when it was continued or cancel is closed. It returns false if the
// group can't be stopped, because no shell could continue it.
func stopJob(sig unix.Signal, cancel <-chan struct{}) bool {
	// The stop may take effect after kill has returned: only SIGCONT shows that it is over.
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
	// The timer runs on while we are stopped: both may have fired.
	select {
	case <-cont:
		return true
	default:
		return false
	}
}
