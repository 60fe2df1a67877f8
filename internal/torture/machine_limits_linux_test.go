package torture

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"aig/internal/gittest"
)

// Few file descriptors, on either side or on both: with 64 a sync works, with fewer it works or says what to change, and with more
// the next run completes.
func TestTortureDescriptors(t *testing.T) {
	m := newMachine(t)
	limits := []int{64, 32, 28, 24, 20, 16, 14, 12, 10, 9, 8} // with fewer than 8, Go's runtime itself does not start
	if !gittest.Torture {
		limits = []int{64, 12}
	}
	n := gittest.Rounds(1, 3) * len(limits)
	var mu sync.Mutex
	var all checked
	least, clear, failed := 0, 0, 0
	rounds(n, func(round int) {
		limit := limits[round%len(limits)]
		o := syncOptions{form: sockets}
		for who := range names { // both, Alice, Bob
			if at := round / len(limits); at == 0 || at == 1+who {
				o.before[who] = fmt.Sprintf("ulimit -n %d", limit)
			}
		}
		dir := t.TempDir()
		p := m.large.copyOf(t, dir)
		r := m.start(t, p, dir, o)
		r.end(t, tooLong)
		c := m.check(t, p, r)
		works := r.succeeded()
		why := works || r.says("too many open files")
		if !why {
			t.Errorf("%d descriptors: it is not clear why it failed: %s; %s", limit, r.outcome(alice).said, r.outcome(bob).said)
		}
		c.add(m.next(t, p, fmt.Sprint(dir, "/next")))
		mu.Lock()
		defer mu.Unlock()
		all.add(c)
		if !works {
			failed++
			if why {
				clear++
			}
		}
		if works && (least == 0 || limit < least) {
			least = limit
		}
		if !works && limit == 64 {
			t.Error("it doesn't work with 64 descriptors")
		}
	})
	gittest.Figures(t, "few file descriptors", n, "fewest that sufficed %d, failed %d, said why %d, false dots %d, "+
		"objects lost %d, left in objects/ %d, next runs failed %d", least, failed, clear, all.falsePromises, all.lost, all.left, all.nextFailed)
}

// succeeded reports whether both sides are done.
func (r *running) succeeded() bool {
	a, b := r.outcome(alice), r.outcome(bob)
	return a.status == 0 && a.promise && b.status == 0 && b.promise
}

// says reports whether either side's output has one of the texts, in lower or upper case.
func (r *running) says(texts ...string) bool {
	said := strings.ToLower(r.outcome(alice).said + r.outcome(bob).said)
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(said, text) })
}

// Few processes for the two sides together: a sync works or says what to change, and with more the next run completes.
func TestTortureProcesses(t *testing.T) {
	m := newMachine(t)
	limits := []int{8, 12, 16, 20, 24, 28, 32, 36, 40, 48, 56, 64}
	if !gittest.Torture {
		limits = []int{20}
	}
	least, failed, clear := 0, 0, 0
	var all checked
	for _, limit := range limits {
		m, p, dir, already := m.somebody(t)
		o := syncOptions{form: sockets}
		for who := range names { // the limit counts all processes of the user, who runs both sides
			o.before[who] = fmt.Sprintf("ulimit -p %d", already+limit)
		}
		r := m.start(t, p, dir, o)
		r.end(t, tooLong)
		c := m.check(t, p, r)
		switch {
		case r.succeeded():
			if least == 0 {
				least = limit
			}
		case r.says("resource temporarily unavailable", "cannot fork", "ulimit -u") && !r.says("needs more memory"):
			clear++
			failed++
		default:
			failed++
			t.Errorf("%d processes: it is not clear why it failed: %s; %s", limit, r.outcome(alice).said, r.outcome(bob).said)
		}
		if testing.Verbose() {
			t.Logf("%d processes: %s; %s", limit, r.outcome(alice).end(), r.outcome(bob).end())
		}
		c.add(m.next(t, p, dir))
		all.add(c)
	}
	gittest.Figures(t, "few processes and threads (RLIMIT_NPROC)", len(limits), "fewest that sufficed %d, failed %d, said why %d, "+
		"false dots %d, objects lost %d, left in objects/ %d, next runs failed %d",
		least, failed, clear, all.falsePromises, all.lost, all.left, all.nextFailed)
}

// somebody returns Alice and Bob as a user to whom RLIMIT_NPROC applies, which root is exempt from, with a pair of theirs in a
// directory, and the number of threads that this user has already.
func (m *machine) somebody(t *testing.T) (them *machine, p *pair, dir string, threads int) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "theirs")
	copied := *m
	them = &copied
	p = m.large.copyOf(t, dir)
	for who, name := range names {
		them.home[who] = filepath.Join(dir, "homes", name)
		mustRun(t, exec.Command("mkdir", "-p", filepath.Dir(them.home[who]), filepath.Join(dir, "tmp")))
		mustRun(t, exec.Command("cp", "-r", m.home[who], them.home[who]))
		// The files are hard links to those of the pair that all rounds share, so copy them.
		mustRun(t, exec.Command("cp", "-r", p.dir[who], p.dir[who]+".own"))
		p.dir[who] += ".own"
	}
	uid := os.Geteuid()
	if uid == 0 {
		uid = 20000 + os.Getpid()%40000 // an unused one; a container may not map larger ones
		becomes := []string{"setpriv", fmt.Sprint("--reuid=", uid)}
		_, err := run(exec.Command("chown", "-R", fmt.Sprint(uid), dir))
		if err == nil {
			_, err = run(exec.Command(becomes[0], append(becomes[1:], "true")...))
		}
		if err != nil {
			t.Log(err)
			gittest.Skip(t, "root can't become another user here")
		}
		mustRun(t, exec.Command("chmod", "a+x", m.dir, filepath.Dir(dir), filepath.Dir(filepath.Dir(dir))))
		for who := range names {
			p.via[who] = becomes
		}
	}
	status, _ := filepath.Glob("/proc/[0-9]*/task/[0-9]*/status")
	for _, file := range status {
		text, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(text), fmt.Sprintf("\nUid:\t%d\t", uid)) {
			threads++
		}
	}
	return them, p, dir, threads
}
