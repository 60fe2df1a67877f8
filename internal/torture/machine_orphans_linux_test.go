package torture

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"aig/internal/gittest"
)

// Whatever git is doing for us ends when we are killed, even if it is stopped and doesn't notice the end of its pipes; and so does
// our transport, with everything that it has started.
func TestTortureOrphans(t *testing.T) {
	m := newMachine(t)
	// Orphans become our children, as if we were a session manager. Otherwise the kernel would find that nobody can continue the
	// stopped ones, and end them (setpgid(2), "orphaned").
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	board := m.newBoard(t)
	children := []string{
		"ssh", "git index-pack", "sh", "cat", "git unpack-objects", "git pack-objects", "git cat-file", "git rev-list", "git show-index",
		"git for-each-ref",
	}
	times := gittest.Rounds(1, 4)
	if !gittest.Torture {
		children = children[:2]
	}
	var mu sync.Mutex
	var longest time.Duration
	orphans := 0
	found := make(map[string]int)
	n := times * len(children)
	rounds(n, func(round int) {
		kind := children[round%len(children)]
		form := map[string]string{"ssh": relayed, "cat": fifos, "sh": nested}[kind]
		if form == "" {
			form = sockets
		}
		var p *pair
		var r *running
		var child process
		for try := 0; child.pid == 0; try++ {
			if try == 20 {
				t.Errorf("no %s is ever seen", kind)
				return
			}
			dir := fmt.Sprintf("%s/%d", t.TempDir(), try)
			p = m.large
			if kind == "git unpack-objects" {
				p = m.small
			}
			p = p.copyOf(t, dir)
			r = m.start(t, p, dir, syncOptions{form: form, board: board, timeout: 10 * time.Second})
			child = r.stop(kind)
		}
		began := time.Now()
		for _, one := range r.live() {
			if one.kind == "git-aig-sync" && one.who == child.who {
				syscall.Kill(one.pid, syscall.SIGKILL)
			}
		}
		left := r.end(t, tooLong)
		took := time.Since(began)
		r.reap()
		c := m.check(t, p, r)
		mu.Lock()
		defer mu.Unlock()
		found[kind]++
		orphans += len(left)
		longest = max(longest, took)
		t.Logf("%s: %v, ended in %v, %+v", form, child, took, c)
	})
	gittest.Figures(t, "kill -9 of git-aig-sync, its child being stopped", n, "%s: orphans %d, longest end %.1f s",
		strings.ReplaceAll(strings.Join(children, ", "), "git ", ""), orphans, longest.Seconds())
}

// stop waits for a process of that kind that our programs have started, and stops it. It returns the zero process if the sync
// ended without one.
func (r *running) stop(kind string) process {
	for ; ; time.Sleep(glance) {
		live := r.live()
		if len(live) == 0 {
			return process{}
		}
		for _, one := range live {
			if one.kind != kind || r.started(one.pid) || syscall.Kill(one.pid, syscall.SIGSTOP) != nil {
				continue
			}
			if kindOf(one.pid) == kind {
				return one
			}
			syscall.Kill(one.pid, syscall.SIGCONT) // it has executed another program meanwhile
		}
	}
}

// reap reaps orphans that have become our children.
func (r *running) reap() {
	for pid, who := range r.seen {
		if who != notOurs && !r.started(pid) {
			unix.Wait4(pid, nil, unix.WNOHANG, nil) // most are not our children, and have been reaped
		}
	}
}

func (r *running) started(pid int) bool {
	for _, s := range r.sides {
		if s.cmd != nil && s.cmd.Process.Pid == pid {
			return true
		}
	}
	return false
}
