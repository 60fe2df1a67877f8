package torture

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aig/internal/gittest"
)

// Commands that people run on a store. The gentle ones drop no object, not even a dangling one.
var (
	gentle = []string{
		"repack -adk", "gc --quiet", "gc --cruft --quiet", "prune-packed", "multi-pack-index write", "pack-refs --all",
	}
	pruning = append([]string{
		"gc --prune=now --quiet", "repack -ad", "gc --cruft --prune=now --quiet", "prune --expire=now",
	}, gentle...)
)

// racing runs git commands on both stores, one after the other in each with pauses of random length up to the given one,
// until the sync has ended. dropped says of each store whether a command may have dropped dangling objects.
func (m *machine) racing(t *testing.T, p *pair, commands []string, pause time.Duration, rng *rand.Rand, r *running) (ran int, dropped [2]bool) {
	var mu sync.Mutex
	var both sync.WaitGroup
	stop := make(chan struct{})
	for who := range names {
		seed := rng.Uint64()
		both.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 0))
			for {
				select {
				case <-stop:
					return
				case <-time.After(moment(rng, pause)):
				}
				command := commands[rng.IntN(len(commands))]
				args := strings.Fields(command)
				if out, err := m.git(p, who, args...).CombinedOutput(); err != nil {
					t.Logf("%s's git %v: %v: %s", names[who], args, err, out)
				}
				mu.Lock()
				ran++
				dropped[who] = dropped[who] || !slices.Contains(gentle, command)
				mu.Unlock()
			}
		})
	}
	r.end(t, tooLong)
	close(stop)
	both.Wait()
	return ran, dropped
}

// reachable returns the objects reachable from a repository's references, ascending.
func (m *machine) reachable(t *testing.T, p *pair, who int) []string {
	t.Helper()
	names := strings.Fields(mustRun(t, m.git(p, who, "rev-list", "--objects", "--no-object-names", "--all")))
	slices.Sort(names)
	return slices.Compact(names)
}

// Both stores are repacked and pruned over and over while they are synchronised. No reachable object is ever lost; a side that
// promises that both hold everything is right, except for what git itself was told to drop; and the next run, with none of
// that going on, makes the stores equal.
func TestTortureRepack(t *testing.T) {
	m := newMachine(t)
	pairs := []*pair{m.small, m.large}
	var reachable [2][2][]string
	for i, p := range pairs {
		for who := range names {
			reachable[i][who] = m.reachable(t, p, who)
		}
	}
	for _, kind := range []struct {
		name     string
		commands []string
		pause    time.Duration // if prune ran more often, it would sweep the quarantine of every sync
		n        int
	}{{"gentle", gentle, 0, gittest.Rounds(1, 50)}, {"pruning", pruning, time.Second, gittest.Rounds(1, 50)}} {
		t.Run(kind.name, func(t *testing.T) {
			var mu sync.Mutex
			promises, untrue, lost, failed, commands, next := 0, 0, 0, 0, 0, 0
			reasons := make(map[string]int)
			rounds(kind.n, func(round int) {
				rng := m.random(round)
				i := rng.IntN(len(pairs))
				dir := t.TempDir()
				p := pairs[i].copyOf(t, dir)
				r := m.start(t, p, dir, syncOptions{form: sockets})
				ran, dropped := m.racing(t, p, kind.commands, kind.pause, rng, r)
				mu.Lock()
				defer mu.Unlock()
				commands += ran
				if gittest.Torture {
					t.Logf("round %d: %d commands, %q and %q", round, ran, r.outcome(alice).end(), r.outcome(bob).end())
				}
				// What can be expected: all, except what git was told to drop before it was seen.
				want := p.union
				if dropped[alice] || dropped[bob] {
					want = append(slices.Clone(reachable[i][alice]), reachable[i][bob]...)
					slices.Sort(want)
				}
				var missing [2][]string
				for who, name := range names {
					has, err := m.objects(p, who)
					if err != nil {
						t.Error(err)
					}
					if gone := without(reachable[i][who], has); len(gone) > 0 {
						t.Errorf("%s has lost %d objects that references lead to: %v", name, len(gone), gone)
						lost += len(gone)
					}
					missing[who] = without(want, has)
					if said := m.fsck(p, who); said != "" {
						t.Errorf("%s's git fsck: %s", name, said)
					}
				}
				for who, name := range names {
					o := r.outcome(who)
					switch {
					case !o.well():
						t.Errorf("%s ended with %d: %s", name, o.status, o.said)
					case !o.promise:
						failed++
						reasons[o.fatal]++
					default:
						promises++
						for other := range names {
							// Nothing points to what has come, so git may have been told to drop that too.
							if !dropped[other] && len(missing[other]) > 0 {
								t.Errorf("%s promised that both hold everything, and %s lacks %d objects", name, names[other], len(missing[other]))
								untrue++
							}
						}
					}
				}
				if err := p.look(m); err != nil { // what is there now must become equal
					t.Error(err)
				}
				c := m.next(t, p, fmt.Sprint(dir, "/next"))
				next += c.nextFailed
			})
			for reason, times := range reasons {
				t.Logf("%d times: %s", times, reason)
			}
			gittest.Figures(t, "syncs while both stores are repacked ("+kind.name+")", kind.n,
				"git commands %d, true dots %d, false dots %d, sides that failed %d, referenced objects lost %d, next runs failed %d",
				commands, promises-untrue, untrue, failed, lost, next)
		})
	}
}
