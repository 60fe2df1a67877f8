package torture

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"aig/internal/gittest"
)

// fetch starts Alice's git fetch of Bob's branches, through git-remote-aig.
func (m *machine) fetch(t testing.TB, p *pair, dir string) *running {
	t.Helper()
	mark := fmt.Sprintf("%d.%d", os.Getpid(), marks.Add(1))
	r := &running{processes: newProcesses(mark), began: time.Now()}
	for who, name := range names {
		r.sides[who] = &side{out: filepath.Join(dir, name+".out"), err: filepath.Join(dir, name+".err"), reaped: make(chan struct{})}
	}
	transport := fmt.Sprintf("exec 2>%s; export HOME=%s TRUST=%s; git -C %s aig-sync --timeout 10s -",
		quote(r.sides[bob].err), quote(m.home[bob]), quote(m.key[alice]), quote(p.dir[bob]))
	s := r.sides[alice]
	s.cmd = exec.Command("git", "-C", p.dir[alice], "fetch", "--quiet", "aig::"+transport, "+refs/heads/*:refs/remotes/bob/*")
	s.cmd.Env = m.env(alice, "AIG_MARK="+mark)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr := create(t, s.err)
	defer stderr.Close()
	s.cmd.Stderr = stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.seen[s.cmd.Process.Pid] = alice
	go func() {
		defer close(s.reaped)
		s.cmd.Wait()
	}()
	return r
}

// refs returns a repository's references.
func (m *machine) refs(t testing.TB, p *pair, who int) []string {
	t.Helper()
	return strings.Split(mustRun(t, m.git(p, who, "for-each-ref", "--format=%(refname) %(objectname)")), "\n")
}

// A process of either side of a git fetch is killed. No existing reference is changed or points to a missing object, no object is
// lost, no process is left, and the next fetch completes.
func TestTortureKillFetch(t *testing.T) {
	m := newMachine(t)
	kinds := []string{"git-remote-aig", "git-aig-sync", "git fetch", "git index-pack", "git pack-objects", "git cat-file", "git rev-list", "sh"}
	expected := m.lasts(t, m.large)
	want := make(map[*pair][]string)
	for _, p := range []*pair{m.small, m.large} {
		want[p] = m.reachable(t, p, bob)
	}
	n := gittest.Rounds(1, 40)
	var mu sync.Mutex
	killed := make(map[string]int)
	done, lost, changed, unsound, orphans, next := 0, 0, 0, 0, 0, 0
	var longest time.Duration
	rounds(n, func(round int) {
		rng := m.random(round)
		from := []*pair{m.small, m.large}[rng.IntN(2)]
		wanted, after := kinds[round%len(kinds)], moment(rng, expected)
		var p *pair
		var r *running
		var victim process
		for try := 0; victim.pid == 0; try++ {
			if try == 20 {
				t.Errorf("no %s is ever seen", wanted)
				return
			}
			dir := t.TempDir()
			p = from.copyOf(t, dir)
			r = m.fetch(t, p, dir)
			time.Sleep(time.Until(r.began.Add(after)))
			after /= 2
			for live := r.live(); len(live) > 0 && victim.pid == 0; live = r.live() {
				for _, one := range live {
					if one.kind == wanted && syscall.Kill(one.pid, syscall.SIGKILL) == nil {
						victim = one
						break
					}
				}
				time.Sleep(glance)
			}
			if victim.pid == 0 {
				r.end(t, tooLong)
			}
		}
		began := time.Now()
		left := r.end(t, tooLong)
		took := time.Since(began)
		mu.Lock()
		defer mu.Unlock()
		killed[victim.kind]++
		orphans += len(left)
		longest = max(longest, took)
		if r.outcome(alice).status == 0 {
			done++
		}
		refs := m.refs(t, p, alice)
		for _, ref := range m.refs(t, from, alice) {
			if !slices.Contains(refs, ref) {
				t.Errorf("round %d: %s is changed or gone", round, ref)
				changed++
			}
		}
		for who := range names {
			has, err := m.objects(p, who)
			if gone := without(p.objects[who], has); err != nil || len(gone) > 0 {
				t.Errorf("round %d: %s has lost %d objects (%v)", round, names[who], len(gone), err)
				lost++
			}
			if said := m.fsck(p, who); said != "" {
				t.Errorf("round %d: %s's git fsck: %s", round, names[who], said)
				unsound++
			}
		}
		again := m.fetch(t, p, t.TempDir())
		again.end(t, tooLong)
		has, err := m.objects(p, alice)
		if o := again.outcome(alice); o.status != 0 || err != nil || len(without(want[from], has)) > 0 || m.fsck(p, alice) != "" {
			t.Errorf("round %d: the next fetch ended with %d (%v): %s", round, o.status, err, o.said)
			next++
		}
	})
	var by []string
	for _, kind := range slices.Sorted(maps.Keys(killed)) {
		by = append(by, fmt.Sprintf("%s %d", strings.TrimPrefix(kind, "git "), killed[kind]))
	}
	t.Logf("killed: %s", strings.Join(by, ", "))
	gittest.Figures(t, "kill -9 during git fetch", n, "done all the same %d, references changed %d, objects lost %d, fsck findings %d, "+
		"orphans %d, next fetches failed %d, longest end %.1f s", done, changed, lost, unsound, orphans, next, longest.Seconds())
}

// The switchboard is killed during a sync: both sides fail or were done already, and the next run, over another pipe, completes.
func TestTortureKillSwitchboard(t *testing.T) {
	m := newMachine(t)
	expected := m.lasts(t, m.large)
	n := gittest.Rounds(1, 20)
	var mu sync.Mutex
	var all checked
	orphans := 0
	var longest time.Duration
	rounds(n, func(round int) {
		rng := m.random(round)
		board := m.startBoard(t)
		dir := t.TempDir()
		p := m.large.copyOf(t, dir)
		r := m.start(t, p, dir, syncOptions{form: relayed, board: board, timeout: 10 * time.Second})
		time.Sleep(moment(rng, expected)) // the random moment is what is tested
		board.cmd.Process.Kill()
		board.cmd.Wait()
		began := time.Now()
		left := r.end(t, tooLong)
		took := time.Since(began)
		c := m.check(t, p, r)
		for who, name := range names {
			if o := r.outcome(who); !o.well() {
				t.Errorf("round %d: %s ended with %d: %s", round, name, o.status, o.said)
			}
		}
		c.add(m.next(t, p, filepath.Join(dir, "next")))
		mu.Lock()
		defer mu.Unlock()
		all.add(c)
		orphans += len(left)
		longest = max(longest, took)
	})
	gittest.Figures(t, "kill -9 of the switchboard", n, "true dots %d, false dots %d, objects lost %d, fsck findings %d, next runs failed %d, "+
		"orphans %d, longest end %.1f s", all.promises-all.falsePromises, all.falsePromises, all.lost, all.unsound, all.nextFailed, orphans,
		longest.Seconds())
}
