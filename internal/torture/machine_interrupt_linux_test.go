package torture

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"aig/internal/gittest"
)

// interruption is a way in which people and shells end a command.
type interruption struct {
	name   string
	signal syscall.Signal // in the exit status
	tty    bool           // Alice sits at a terminal
	do     func(r *running, group int, master *os.File)
}

var interruptions = []interruption{
	{"Ctrl-C", syscall.SIGINT, true, func(_ *running, _ int, master *os.File) { master.WriteString("\x03") }},
	{"SIGTERM", syscall.SIGTERM, false, func(r *running, _ int, _ *os.File) { r.signal("git-aig-sync", syscall.SIGTERM) }},
	{"hang-up", syscall.SIGHUP, true, func(_ *running, _ int, master *os.File) { master.Close() }},
	{"SIGINT to the group", syscall.SIGINT, false, func(_ *running, group int, _ *os.File) { syscall.Kill(-group, syscall.SIGINT) }},
	{"SIGTERM to git", syscall.SIGTERM, false, func(r *running, _ int, _ *os.File) { r.signal("git aig-sync", syscall.SIGTERM) }},
	{"SIGHUP", syscall.SIGHUP, false, func(r *running, _ int, _ *os.File) { r.signal("git-aig-sync", syscall.SIGHUP) }},
}

// signal sends a signal to Alice's process of that kind.
func (r *running) signal(kind string, signal syscall.Signal) {
	for _, one := range r.live() {
		if one.kind == kind && one.who == alice {
			syscall.Kill(one.pid, signal)
		}
	}
}

// hasAny reports whether there is a live process of that side.
func (r *running) hasAny(who int) bool {
	return slices.ContainsFunc(r.live(), func(p process) bool { return p.who == who })
}

// chatter matches a complaint of Alice's on standard error, as opposed to her transport's output and the state of Bob's branches.
var chatter = regexp.MustCompile(`(?m)^(fatal|error|warning|panic|usage)`)

// tooEarly matches all of Alice's output, which is git's, if the signal comes before her program is ready to handle it.
var tooEarly = regexp.MustCompile(`^error: git-aig-sync died of signal [0-9]+\s*$`)

// begins returns how long her program takes to start at most, on a busy machine.
func (m *machine) begins(t *testing.T) time.Duration {
	cmd := exec.Command("git", "aig-sync", "--version")
	cmd.Env = m.env(alice)
	start := time.Now()
	mustRun(t, cmd)
	return 100*time.Millisecond + 5*time.Since(start)
}

// Alice is interrupted at a random moment, as a terminal, a shell or a supervisor does it: she ends soon and silently, with the
// exit status of the signal, and nothing is left behind, neither processes nor anything in a store.
func TestTortureInterrupt(t *testing.T) {
	m := newMachine(t)
	board := m.newBoard(t)
	expected := map[*pair]time.Duration{m.small: m.lasts(t, m.small), m.large: m.lasts(t, m.large)}
	toBegin := m.begins(t)
	forms := []string{nested, relayed, fifos}
	n := gittest.Rounds(3, 90)
	var mu sync.Mutex
	var all checked
	done, stopped, early, loud, remains, orphans := 0, 0, 0, 0, 0, 0
	var longest time.Duration
	rounds(n, func(round int) {
		rng := m.random(round)
		how := interruptions[round%len(interruptions)]
		from := []*pair{m.small, m.large, m.large}[rng.IntN(3)]
		o := syncOptions{form: forms[rng.IntN(len(forms))], board: board, timeout: 10 * time.Second}
		var master *os.File
		if how.tty {
			master, o.tty = gittest.Terminal(t)
			defer master.Close()
		}
		dir := t.TempDir()
		p := from.copyOf(t, dir)
		r := m.start(t, p, dir, o)
		if how.tty {
			o.tty.Close()
		}
		after := moment(rng, expected[from])
		time.Sleep(time.Until(r.began.Add(after)))
		began := time.Now()
		how.do(r, r.sides[alice].cmd.Process.Pid, master)
		for r.hasAny(alice) && time.Since(began) < tooLong {
			time.Sleep(5 * time.Millisecond)
		}
		took := time.Since(began)
		left := r.end(t, tooLong) // Bob may be waiting for her first byte
		c := m.check(t, p, r)
		a, b := r.outcome(alice), r.outcome(bob)
		mu.Lock()
		defer mu.Unlock()
		switch a.status {
		case 0:
			done++
		case 128 + int(how.signal):
			stopped++
		default:
			t.Errorf("round %d, %s, %s: Alice ended with %d: %s", round, how.name, o.form, a.status, a.said)
		}
		switch {
		case a.status == 0 || !chatter.MatchString(a.said):
		case after < toBegin && tooEarly.MatchString(a.said):
			early++
		default:
			t.Errorf("round %d, %s: Alice said: %s", round, how.name, a.said)
			loud++
		}
		if !b.well(syscall.SIGTERM, syscall.SIGKILL) {
			t.Errorf("round %d, %s: Bob ended with %d: %s", round, how.name, b.status, b.said)
		}
		if c.left > 0 {
			t.Errorf("round %d, %s: left: %v %v", round, how.name, p.leftovers(alice), p.leftovers(bob))
			remains += c.left
		}
		c.add(m.next(t, p, fmt.Sprint(dir, "/next")))
		all.add(c)
		orphans += len(left)
		longest = max(longest, took)
		if testing.Verbose() {
			t.Logf("round %d, %s, %s: %v after the start, ended in %v with %q and %q", round, how.name, o.form, after, took, a.end(), b.end())
		}
	})
	gittest.Figures(t, "interrupted by Ctrl-C, SIGINT, SIGTERM or SIGHUP", n, "done before %d, status 128 and the signal %d, before it had begun %d, loud %d, "+
		"left in objects/ %d, processes left %d, false dots %d, objects lost %d, next runs failed %d, longest end %.1f s",
		done, stopped, early, loud, remains, orphans, all.falsePromises, all.lost, all.nextFailed, longest.Seconds())
}

// Standard streams that nobody reads, or that are closed, don't make a side die, hang or lie.
func TestTortureClosedStreams(t *testing.T) {
	m := newMachine(t)
	wrong, unequal := 0, 0
	tests := []struct {
		name, streams string
		status        int
	}{
		{"nobody reads the report", `| true`, 128},
		{"nobody reads standard error", `2>&1 >report | true`, 0},
		{"no standard output", `>&-`, 0}, // git opens /dev/null instead
		{"no standard error", `2>&-`, 0},
		{"no standard input", `<&-`, 0},
		{"no standard streams", `<&- >&- 2>&-`, 0},
	}
	tests = tests[:gittest.Rounds(2, len(tests))]
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			p := m.small.copyOf(t, dir)
			bobs := fmt.Sprintf("HOME=%s TRUST=%s git -C %s aig-sync --timeout 20s -", quote(m.home[bob]), quote(m.key[alice]), quote(p.dir[bob]))
			cmd := exec.Command("sh", "-c", fmt.Sprintf("{ git -C %s aig-sync --timeout 20s %s; echo $? >status; } %s; exit $(cat status)",
				quote(p.dir[alice]), quote(bobs), test.streams))
			cmd.Env, cmd.Dir = m.env(alice), dir
			cmd.Run()
			if status := cmd.ProcessState.ExitCode(); status != test.status {
				t.Errorf("status %d", status)
				wrong++
			}
			for who, name := range names {
				if has, err := m.objects(p, who); err != nil || len(without(p.union, has)) > 0 {
					t.Errorf("%s has %d objects of %d (%v)", name, len(has), len(p.union), err)
					unequal++
				}
			}
		})
	}
	gittest.Figures(t, "standard streams closed or not read", len(tests), "wrong statuses %d, stores not equal %d", wrong, unequal)
}
