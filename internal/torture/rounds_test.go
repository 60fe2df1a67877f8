package torture

import (
	"bytes"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aig/internal/command"
	"aig/internal/gittest"
	"aig/internal/oid"
)

// hangs is how long a round may take before it counts as hanging: far longer than every timeout.
const hangs = 5 * time.Minute

// bench plays rounds of sessions, each on the same two repositories.
type bench struct {
	peers   *peers
	timeout time.Duration // of each side, for silence
	workers int           // how many rounds run at the same time
	heal    int           // how often, in rounds, the session is repeated without a fault; 0 is never
}

// play is what happens to one session.
type play struct {
	faults [2]fault // by way: 0 is from Alice to Bob
	server int      // which side is the SSH server, 0 or 1; anything else leaves it to the election
	keep   bool     // record what goes through
}

const elected = -1

// tally counts the outcomes of rounds.
type tally struct {
	mu      sync.Mutex
	rounds  int
	dots    int // sides that said that both hold everything, and were right
	false   int // the same, but wrong
	grown   int // stores that have got something
	damaged int // stores that have lost or changed something, or hold something that nobody gave
	fsck    int // stores that git fsck complains about
	left    int // stores in which something is left behind
	status  int // failures whose exit status is not 128
	healed  int // rounds that a repetition completed
	longest time.Duration
}

func (y *tally) add(n *int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	*n++
}

// figures logs a row of the table of figures.
func (y *tally) figures(t testing.TB, what string) {
	t.Helper()
	gittest.Figures(t, what, y.rounds, "true dots %d, false dots %d, stores grown %d, damaged %d, fsck findings %d, "+
		"left behind %d, not 128 %d, made good %d, longest %.1f s", y.dots, y.false, y.grown, y.damaged, y.fsck, y.left,
		y.status, y.healed, y.longest.Seconds())
}

// newRandom returns a source of random numbers for each round of a test, and logs its seed.
func newRandom(t testing.TB) func(round int) *mathrand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("AIG_TORTURE_SEED"); s != "" {
		if _, err := fmt.Sscan(s, &seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("AIG_TORTURE_SEED=%d", seed)
	return func(round int) *mathrand.Rand { return mathrand.New(mathrand.NewPCG(seed, uint64(round))) }
}

// play plays n rounds, and after each checks what must always hold.
func (b *bench) play(t *testing.T, n int, of func(round int) play) *tally {
	t.Helper()
	y := &tally{rounds: n}
	leaks := newLeaks(t)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(b.workers, n) {
		q := b.peers.copyOf(t)
		workers.Go(func() {
			for {
				round := int(next.Add(1)) - 1
				if round >= n || t.Failed() {
					return
				}
				b.round(t, y, q, round, of(round))
			}
		})
	}
	workers.Wait()
	leaks.check(t)
	return y
}

// blamesKey matches what a side says of a wrong key, the peer's or its own.
var blamesKey = regexp.MustCompile("which is not trusted|does not trust our key")

// round plays one round and restores the repositories.
func (b *bench) round(t *testing.T, y *tally, p *peers, round int, l play) {
	what := fmt.Sprintf("round %d, %s at %d and %s at %d, server %d", round, faultNames[l.faults[0].kind], l.faults[0].at,
		faultNames[l.faults[1].kind], l.faults[1].at, l.server)
	r := b.session(t, p, l, what)
	if !r.reached && !r.done() {
		t.Errorf("%s: it failed before anything had happened: %v", what, r)
	}
	for i, side := range r.sides {
		if side.err != nil && blamesKey.MatchString(side.err.Error()) {
			t.Errorf("%s: %s blames a key, and they are the right ones: %v", what, p.sides[i].name, side.err)
		}
	}
	dots := y.judge(t, p, what, r)
	y.mu.Lock()
	y.dots += dots
	y.mu.Unlock()
	if b.heal > 0 && round%b.heal == 0 && !r.done() {
		again := b.session(t, p, play{server: elected}, what+", again")
		if !again.done() {
			t.Errorf("%s: the next one fails: %v", what, again)
		}
		y.judge(t, p, what+", again", again)
		y.add(&y.healed)
	}
	for _, s := range p.sides {
		if err := s.restore(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// result is how a session ended for both.
type result struct {
	sides   [2]ended
	reached bool    // something happened that may keep it from succeeding
	ways    [2]*way // the ways of its pipe
}

func (r result) done() bool { return r.sides[0].err == nil && r.sides[1].err == nil }

func (r result) String() string { return fmt.Sprintf("%v; %v", r.sides[0].err, r.sides[1].err) }

// session runs one session over a pipe.
func (b *bench) session(t *testing.T, p *peers, l play, what string) (r result) {
	for i := range l.faults {
		if l.server == 0 || l.server == 1 {
			l.faults[i].patch, l.faults[i].patchAt = preferred(i == l.server), prefaceNumber
		}
	}
	defer mustEnd(what).Stop()
	pipe := newPipe(t, l.faults, l.keep)
	var both sync.WaitGroup
	for i, s := range p.sides {
		both.Go(func() { r.sides[i] = s.sync(t.Context(), pipe.ends[i], b.timeout) })
	}
	both.Wait()
	r.reached = pipe.wait()
	r.ways = pipe.ways
	return r
}

// mustEnd ends the whole test, and shows where it hangs, unless its timer is stopped in time.
func mustEnd(what string) *time.Timer {
	return time.AfterFunc(hangs, func() {
		pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		panic(what + ": hangs")
	})
}

// The number in a preface (docs/protocol.md, section 1): the side with the larger one is the server.
const (
	prefaceSize   = 20
	prefaceNumber = 12
)

func preferred(server bool) []byte {
	if server {
		return []byte("\xff\xff\xff\xff\xff\xff\xff\xff")
	}
	return make([]byte, 8)
}

// judge compares what the sides said with what is there. It returns how many say that both hold everything, and are right.
func (y *tally) judge(t *testing.T, p *peers, what string, r result) (dots int) {
	all := true
	for _, s := range p.sides {
		whole, err := s.inspect(y)
		if err != nil {
			t.Errorf("%s: %s: %v (%v)", what, s.name, err, r)
		}
		all = all && whole
	}
	for i, side := range r.sides {
		y.mu.Lock()
		y.longest = max(y.longest, side.took)
		y.mu.Unlock()
		status := command.Status(side.err, io.Discard)
		switch {
		case side.err != nil && status != command.StatusFailed:
			y.add(&y.status)
			t.Errorf("%s: %s: exit status %d: %v", what, p.sides[i].name, status, side.err)
		case side.err != nil:
		case all:
			dots++
		default:
			y.add(&y.false)
			t.Errorf("%s: %s says that both hold everything, which is not so (%v)", what, p.sides[i].name, r)
		}
	}
	return dots
}

// stored matches a file that a session may add to a repository.
var stored = regexp.MustCompile(`^objects/(?:[0-9a-f]{2}/[0-9a-f]{38,62}|pack/(pack-[0-9a-f]{40,64})\.(?:pack|idx|rev))$`)

// inspect checks everything in the repository. It must be as it was, or have complete packs or objects more, of what the other
// side has, and nothing else. It reports whether the repository holds all that it is to get.
func (s *peerSide) inspect(y *tally) (whole bool, err error) {
	now, err := files(s.dir)
	if err != nil {
		return false, err
	}
	for path, content := range s.before {
		if has, ok := now[path]; !ok || has != content {
			y.add(&y.damaged)
			return false, fmt.Errorf("damaged: %s is not as it was", path)
		}
	}
	if len(now) == len(s.before) {
		return len(s.had) == len(s.due), nil
	}
	y.add(&y.grown)
	for path := range now {
		m := stored.FindStringSubmatch(path)
		if _, old := s.before[path]; old {
			continue
		}
		if m == nil {
			y.add(&y.left)
			return false, fmt.Errorf("left behind: %s", path)
		}
		if _, ok := now["objects/pack/"+m[1]+".idx"]; m[1] != "" && !ok {
			y.add(&y.left)
			return false, fmt.Errorf("left behind: %s without an index", path)
		}
	}
	has, err := s.objects()
	if err != nil {
		return false, err
	}
	for _, name := range has {
		if _, known := slices.BinarySearch(s.due, name); !known {
			y.add(&y.damaged)
			return false, fmt.Errorf("damaged: nobody had object %s", name)
		}
	}
	if said, err := s.git("fsck", "--strict", "--no-dangling", "--no-progress"); err != nil || said != "" {
		y.add(&y.fsck)
		return false, fmt.Errorf("git fsck says %q: %w", said, err)
	}
	if s.format == oid.SHA1 {
		read, err := gittest.Reread(s.dir)
		if err == nil && !slices.Equal(read, has) {
			err = fmt.Errorf("git lists %d objects, and go-git reads %d", len(has), len(read))
		}
		if err != nil {
			y.add(&y.damaged)
			return false, fmt.Errorf("damaged: %w", err)
		}
	}
	return len(has) == len(s.due), nil
}

// restore removes what has been added to the repository.
func (s *peerSide) restore() error {
	now, err := files(s.dir)
	for path := range now {
		if _, old := s.before[path]; !old && err == nil {
			err = os.RemoveAll(filepath.Join(s.dir, path))
		}
	}
	return err
}

// leaks counts what must not have grown when a test is over.
type leaks struct {
	goroutines int
	files      int
	children   []int
	temp       string
}

func newLeaks(t *testing.T) leaks {
	t.Helper()
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	return leaks{runtime.NumGoroutine(), openFiles(), children(), temp}
}

// openFiles returns how many files this process has open, or -1 where it can't tell.
func openFiles() int {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(fds)
}

// children returns this process's child processes, including zombies, or none where it can't tell.
func children() (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // it is gone
		}
		// proc(5): pid, name in parentheses, state, parent's pid
		var pid, parent int
		var state string
		_, rest, _ := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ")
		if _, err := fmt.Sscan(rest, &state, &parent); err == nil && parent == os.Getpid() {
			fmt.Sscan(string(stat), &pid)
			pids = append(pids, pid)
		}
	}
	return pids
}

// check waits for what is about to end, and fails if something doesn't.
func (l leaks) check(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > l.goroutines && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > l.goroutines {
		var stacks strings.Builder
		pprof.Lookup("goroutine").WriteTo(&stacks, 1)
		t.Errorf("%d goroutines before, %d after\n%s", l.goroutines, n, stacks.String())
	}
	if n := openFiles(); n > l.files {
		t.Errorf("%d open files before, %d after", l.files, n)
	}
	for _, pid := range children() {
		if !slices.Contains(l.children, pid) {
			t.Errorf("there is a child: %d", pid)
		}
	}
	if left, err := os.ReadDir(l.temp); err != nil || len(left) > 0 {
		t.Errorf("temporary files: %v, %v", left, err)
	}
}
