package torture

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"

	"aig/internal/gittest"
)

// disk is a small file system, a tmpfs in a mount namespace of its own. It doesn't need root, but unprivileged user namespaces,
// which Debian's kernel allows and containers often don't.
type disk struct {
	dir string
	pid int
}

// needsDisks skips a test if there can be no such disk.
func needsDisks(t *testing.T) {
	t.Helper()
	if err := disksWork(t.TempDir()); err != nil {
		t.Log(err)
		gittest.Skip(t, "no file system can be mounted here")
	}
}

// disksWork returns an error if no file system can be mounted, or a second process can't enter its namespace.
func disksWork(dir string) error {
	d, end, err := mount(dir)
	if err != nil {
		return err
	}
	defer end()
	args := append(d.enter(), "mount", "-o", "remount,ro", "none", dir)
	_, err = run(exec.Command(args[0], args[1:]...))
	return err
}

// newDisk mounts a file system at dir, which only processes started through enter see.
func newDisk(t *testing.T, dir string) *disk {
	t.Helper()
	d, end, err := mount(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	return d
}

// mount mounts a file system that exists until end is called.
func mount(dir string) (d *disk, end func(), err error) {
	cmd := exec.Command("unshare", "-rm", "sh", "-c", "mount -t tmpfs none "+quote(dir)+" && echo ready && exec cat")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // even if a test times out
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	end = func() {
		stdin.Close()
		cmd.Wait()
	}
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		end()
		return nil, nil, fmt.Errorf("no file system can be mounted: %s", stderr.Bytes())
	}
	return &disk{dir: dir, pid: cmd.Process.Pid}, end, nil
}

func (d *disk) enter() []string {
	return []string{"nsenter", "-t", fmt.Sprint(d.pid), "-U", "-m", "--preserve-credentials", "--"}
}

func (d *disk) root() string { return fmt.Sprintf("/proc/%d/root", d.pid) }

func (d *disk) run(t testing.TB, args ...string) string {
	t.Helper()
	args = append(d.enter(), args...)
	return mustRun(t, exec.Command(args[0], args[1:]...))
}

// free resizes the disk to leave that many bytes free, or any number of them if bytes is negative.
func (d *disk) free(t testing.TB, bytes int64) {
	t.Helper()
	if bytes >= 0 {
		var now syscall.Statfs_t
		if err := syscall.Statfs(d.root()+d.dir, &now); err != nil {
			t.Fatal(err)
		}
		bytes += int64(now.Blocks-now.Bfree) * int64(now.Bsize)
	} else {
		bytes = 1 << 30
	}
	d.run(t, "mount", "-o", fmt.Sprintf("remount,size=%d", bytes), "none", d.dir)
}

// onDisk moves a side's repository to a disk of its own.
func (p *pair) onDisk(t *testing.T, who int, dir string) *disk {
	t.Helper()
	at := filepath.Join(dir, "disk")
	if err := os.Mkdir(at, 0o777); err != nil {
		t.Fatal(err)
	}
	d := newDisk(t, at)
	d.run(t, "cp", "-r", p.dir[who], at)
	p.dir[who], p.via[who], p.root[who] = filepath.Join(at, filepath.Base(p.dir[who])), d.enter(), d.root()
	return d
}

// size returns the total size of the files of a directory in bytes.
func size(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				n += info.Size()
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// full matches how the system or git reports a full disk, or a file that has reached its size limit.
var full = regexp.MustCompile("o space left on device|Out of diskspace|file size limit exceeded")

// A disk fills up at any moment, or files reach their size limit: the side says so, the other one is told, nothing is left
// behind, and with more room the next run completes.
func TestTortureFullDisk(t *testing.T) {
	m := newMachine(t)
	for _, kind := range []struct {
		name  string
		n     int
		limit bool // limits the size of files, instead of the disk
	}{{"a small tmpfs", gittest.Rounds(1, 60), false}, {"RLIMIT_FSIZE", gittest.Rounds(1, 20), true}} {
		t.Run(kind.name, func(t *testing.T) {
			if !kind.limit {
				needsDisks(t)
			}
			var mu sync.Mutex
			var all checked
			done, failed, unclear := 0, 0, 0
			reasons := make(map[string]int)
			rounds(kind.n, func(round int) {
				rng := m.random(round)
				who := rng.IntN(2)
				from := []*pair{m.large, m.small}[round%2]
				dir := t.TempDir()
				p := from.copyOf(t, dir)
				// Up to a little more than what comes in.
				room := int64(rng.Float64() * 1.3 * float64(size(t, from.dir[1-who])))
				o := syncOptions{form: sockets}
				var d *disk
				if !kind.limit {
					d = p.onDisk(t, who, dir)
					if rng.IntN(3) == 0 { // our temporary files are on it too
						tmp := filepath.Join(d.dir, "tmp")
						d.run(t, "mkdir", tmp)
						o.vars[who] = "TMPDIR=" + quote(tmp)
					}
					d.free(t, room)
				} else {
					room /= 3
					o.before[who] = fmt.Sprintf("ulimit -f %d", room/512) // in dash's blocks
				}
				r := m.start(t, p, dir, o)
				r.end(t, tooLong)
				c := m.check(t, p, r)
				if c.left > 0 {
					t.Errorf("round %d: left: %v", round, p.leftovers(who))
				}
				fails := 0
				for side, name := range names {
					s := r.outcome(side)
					if !s.well() {
						t.Errorf("round %d, %d bytes: %s ended with %d: %s", round, room, name, s.status, s.said)
					}
					if s.status == 0 {
						continue
					}
					fails++
					if !full.MatchString(s.fatal) {
						t.Errorf("round %d, %d bytes at %s: %s does not say what to mend: %s", round, room, names[who], name, s.said)
						unclear++
					}
					mu.Lock()
					reasons[s.fatal]++
					mu.Unlock()
				}
				if d != nil {
					d.free(t, -1)
				}
				c.add(m.next(t, p, fmt.Sprint(dir, "/next")))
				mu.Lock()
				defer mu.Unlock()
				all.add(c)
				if fails > 0 {
					failed++
				} else {
					done++
				}
			})
			if testing.Verbose() {
				for reason, times := range reasons {
					t.Logf("%d times: %s", times, reason)
				}
			}
			gittest.Figures(t, "full: "+kind.name, kind.n, "done all the same %d, failed %d, not clear why %d, false dots %d, "+
				"objects lost %d, fsck findings %d, left in objects/ %d, next runs failed %d",
				done, failed, unclear, all.falsePromises, all.lost, all.unsound, all.left, all.nextFailed)
		})
	}
}
