package torture

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"aig/internal/gittest"
)

// Whatever git is doing for us ends when we are killed, also if it doesn't notice the end of its pipes, being stopped;
// and so does our transport, with all that is behind it.
func TestTortureOrphans(t *testing.T) {
	m := newMachine(t)
	board := m.newBoard(t)
	children := []string{
		"sh", "ssh", "cat", "git index-pack", "git unpack-objects", "git pack-objects", "git cat-file", "git rev-list", "git show-index",
		"git for-each-ref",
	}
	times := gittest.Rounds(1, 4)
	if !gittest.Torture {
		children = children[1:4]
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
			r = m.start(t, p, dir, syncOptions{form: form, board: board})
			child = r.stop(kind)
		}
		began := time.Now()
		for _, one := range r.live() {
			if one.kind == "git-aig-sync" && one.who == child.who {
				syscall.Kill(one.pid, syscall.SIGKILL)
			}
		}
		left := r.end(t, 10*time.Second+tooLong)
		took := time.Since(began)
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

// stop waits for a process of that kind and stops it. The result is empty if the sync has ended without one.
func (r *running) stop(kind string) process {
	for {
		live := r.live()
		if len(live) == 0 {
			return process{}
		}
		for _, one := range live {
			if one.kind == kind && syscall.Kill(one.pid, syscall.SIGSTOP) == nil && kindOf(one.pid) == kind {
				return one
			}
		}
	}
}
