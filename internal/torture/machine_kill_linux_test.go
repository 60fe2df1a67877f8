package torture

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"aig/internal/gittest"
)

// kinds lists the processes of a sync that are killed, as named by kindOf.
var kinds = []string{
	"git-aig-sync", "git aig-sync", "sh", "cat", "ssh",
	"git rev-parse", "git config", "git cat-file", "git rev-list", "git pack-objects", "git index-pack", "git show-index",
	"git unpack-objects", "git for-each-ref", "git upload-pack",
}

// A process of either side is killed at a random moment: one of ours, of git's or of the transport's. The others end soon, no
// promise is false, nothing is lost, and the next run completes.
func TestTortureKill(t *testing.T) {
	m := newMachine(t)
	board := m.newBoard(t)
	pairs := []*pair{m.small, m.large}
	forms := []string{nested, sockets, fifos, relayed}
	expected := []time.Duration{m.lasts(t, pairs[0]), m.lasts(t, pairs[1])}
	n := gittest.Rounds(3, 200)
	var mu sync.Mutex
	var all checked
	killed := make(map[string]int)
	orphans := 0
	var longest time.Duration
	rounds(n, func(round int) {
		rng := m.random(round)
		i, j := rng.IntN(len(pairs)), rng.IntN(len(forms))
		o := syncOptions{form: forms[j], board: board, timeout: 10 * time.Second}
		wanted := kinds[rng.IntN(len(kinds))]
		after := moment(rng, expected[i])
		pick := rng.Uint32()

		dir := t.TempDir()
		var p *pair
		var r *running
		var victim process
		// This form may have no process of the wanted kind, or it may be gone by then; after two tries, any process will do.
		for try := 0; victim.pid == 0; try++ {
			p = pairs[i].copyOf(t, fmt.Sprint(dir, "/", try))
			r = m.start(t, p, fmt.Sprint(dir, "/", try), o)
			time.Sleep(time.Until(r.began.Add(after)))
			for ; ; time.Sleep(glance) {
				live := r.live()
				if len(live) == 0 {
					break
				}
				fit := slices.DeleteFunc(slices.Clone(live), func(p process) bool { return try < 2 && p.kind != wanted })
				if len(fit) > 0 {
					victim = fit[int(pick)%len(fit)]
					if syscall.Kill(victim.pid, syscall.SIGKILL) == nil {
						break
					}
					victim = process{}
				}
			}
			if victim.pid == 0 {
				r.end(t, tooLong)
				after = max(0, after/2-10*time.Millisecond)
			}
		}
		began := time.Now()
		left := r.end(t, tooLong)
		took := time.Since(began)
		c := m.check(t, p, r)
		for who := range names {
			if o := r.outcome(who); !o.well(syscall.SIGKILL, syscall.SIGTERM) {
				t.Errorf("%s ended with %d: %s", names[who], o.status, o.said)
			}
		}
		c.add(m.next(t, p, fmt.Sprint(dir, "/next")))
		mu.Lock()
		defer mu.Unlock()
		all.add(c)
		killed[victim.kind]++
		orphans += len(left)
		longest = max(longest, took)
		if testing.Verbose() {
			t.Logf("round %d, %s: killed %v %v after the start; ended in %v with %q and %q; %+v", round, o.form, victim, after, took,
				r.outcome(alice).end(), r.outcome(bob).end(), c)
		}
	})
	var by []string
	for _, kind := range slices.Sorted(maps.Keys(killed)) {
		by = append(by, fmt.Sprintf("%s %d", strings.TrimPrefix(kind, "git "), killed[kind]))
	}
	t.Logf("killed: %s", strings.Join(by, ", "))
	gittest.Figures(t, "kill -9", n, "true dots %d, false dots %d, objects lost %d, fsck findings %d, next runs failed %d, "+
		"orphans %d, left for git prune %d and not swept %d, longest end %.1f s",
		all.promises-all.falsePromises, all.falsePromises, all.lost, all.unsound, all.nextFailed, orphans, all.left, all.unswept, longest.Seconds())
}
