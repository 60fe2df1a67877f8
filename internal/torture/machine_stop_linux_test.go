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

// A process of either side is stopped, and continued a minute later. If it is a git child, its side keeps saying that it is alive,
// and the sync survives. Otherwise the other side may give up after its --timeout, and the stopped side ends by itself as soon as
// it is continued. The next run completes.
func TestTortureStop(t *testing.T) {
	m := newMachine(t)
	board := m.newBoard(t)
	cases := []struct{ kind, form string }{
		{"git-aig-sync", relayed}, {"git index-pack", nested}, {"cat", fifos},
		{"git-aig-sync", nested}, {"git-aig-sync", sockets}, {"git-aig-sync", fifos},
		{"git pack-objects", nested}, {"git cat-file", sockets}, {"git index-pack", relayed}, {"git show-index", fifos},
		{"git aig-sync", nested}, {"ssh", relayed}, {"sh", nested}, {"sh", relayed},
	}
	stopped, timeout, n := 5*time.Second, 2*time.Second, 3
	if gittest.Torture {
		stopped, timeout, n = time.Minute, 15*time.Second, 2*len(cases)
	}
	var mu sync.Mutex
	var all checked
	done, gaveUp, left := 0, 0, 0
	var longestOther, longestOwn time.Duration
	roundsBeside(7, n, func(round int) {
		is := cases[round%len(cases)]
		var p *pair
		var r *running
		var victim process
		for try := 0; victim.pid == 0; try++ {
			if try == 20 {
				t.Errorf("no %s is ever seen", is.kind)
				return
			}
			dir := fmt.Sprintf("%s/%d", t.TempDir(), try)
			p = m.large.copyOf(t, dir)
			r = m.start(t, p, dir, syncOptions{form: is.form, board: board, timeout: timeout})
			victim = r.stop(is.kind)
		}
		began := time.Now()
		var other time.Duration // how long it took the other side to give up
		for time.Since(began) < stopped {
			time.Sleep(10 * time.Millisecond)
			if other == 0 && !r.has("git-aig-sync", 1-victim.who) {
				other = time.Since(began)
			}
			if len(r.live()) == 0 {
				break
			}
		}
		syscall.Kill(victim.pid, syscall.SIGCONT)
		began = time.Now()
		survivors := r.end(t, timeout+tooLong)
		own := time.Since(began)
		c := m.check(t, p, r)
		for who, name := range names {
			// A transport that does not end gets SIGTERM, then SIGKILL; Bob's side may be Alice's transport.
			if o := r.outcome(who); !o.well(syscall.SIGTERM, syscall.SIGKILL) {
				t.Errorf("round %d, %s, %v: %s ended with %d: %s", round, is.form, victim, name, o.status, o.said)
			}
		}
		c.add(m.next(t, p, t.TempDir()))
		mu.Lock()
		defer mu.Unlock()
		all.add(c)
		// "git aig-sync" is git's wrapper of our program.
		if strings.HasPrefix(is.kind, "git ") && is.kind != "git aig-sync" && c.promises != 2 {
			t.Errorf("round %d, %s: %v was stopped, and the sync has not survived it", round, is.form, victim)
		}
		left += len(survivors)
		if c.promises == 2 {
			done++
		} else {
			gaveUp++
		}
		longestOther, longestOwn = max(longestOther, other), max(longestOwn, own)
		t.Logf("round %d, %s, %v: other side %v, itself %v after it went on; %q and %q", round, is.form, victim, other, own,
			r.outcome(alice).end(), r.outcome(bob).end())
	})
	gittest.Figures(t, fmt.Sprintf("a process stopped for %s, --timeout %s", stopped, timeout), n,
		"survived %d, given up %d, false dots %d, objects lost %d, fsck findings %d, next runs failed %d, left %d, "+
			"longest until the other side gave up %.1f s, until the stopped one ended %.1f s",
		done, gaveUp, all.falsePromises, all.lost, all.unsound, all.nextFailed, left, longestOther.Seconds(), longestOwn.Seconds())
}

// has reports whether there is a live process of that kind.
func (r *running) has(kind string, who int) bool {
	for _, one := range r.live() {
		if one.kind == kind && one.who == who {
			return true
		}
	}
	return false
}
