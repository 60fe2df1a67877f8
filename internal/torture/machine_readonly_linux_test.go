package torture

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"aig/internal/gittest"
)

// unprivileged returns the prefix that runs a command as somebody to whom file permissions apply: root without the capabilities
// to ignore them, or whoever we are.
func unprivileged(t *testing.T) []string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "locked")
	if err := os.Mkdir(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if os.Mkdir(filepath.Join(dir, "sub"), 0o700) != nil {
		return nil // they apply to us
	}
	bound := []string{"setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"}
	if err := exec.Command(bound[0], append(bound[1:], "true")...).Run(); err != nil {
		t.Log(err)
		gittest.Skip(t, "no capability can be dropped here")
	}
	return bound
}

// The side of a store that can't be written to says why it takes nothing, and the other side is told; with --push it gives what it
// has. Once the store is writable again, the next run completes.
func TestTortureReadOnly(t *testing.T) {
	m := newMachine(t)
	clear, gave, next, n := 0, 0, 0, 0
	for i, kind := range []struct {
		name, says string
		from       *pair
		lock       func(t *testing.T, p *pair, who int, dir string) (unlock func())
	}{
		{"a file system mounted read-only", "ead-only file system", m.small, func(t *testing.T, p *pair, who int, dir string) func() {
			needsDisks(t)
			d := p.onDisk(t, who, dir)
			d.run(t, "mount", "-o", "remount,ro", "none", d.dir)
			return func() { d.run(t, "mount", "-o", "remount,rw", "none", d.dir) }
		}},
		{"directories without the right to write", "ermission denied", m.small, func(t *testing.T, p *pair, who int, _ string) func() {
			p.via[who] = unprivileged(t)
			objects := filepath.Join(p.dir[who], "objects")
			chmod(t, "a-w", objects)
			return func() { chmod(t, "u+w", objects) }
		}},
		{"a directory for packs without it", "ermission denied", m.large, func(t *testing.T, p *pair, who int, _ string) func() {
			p.via[who] = unprivileged(t)
			packs := filepath.Join(p.dir[who], "objects", "pack")
			chmod(t, "a-w", packs)
			return func() { chmod(t, "u+w", packs) }
		}},
	} {
		for who, name := range names {
			if !gittest.Torture && (who != i%2 || kind.from != m.small) {
				continue
			}
			t.Run(kind.name+", "+name, func(t *testing.T) {
				dir := t.TempDir()
				p := kind.from.copyOf(t, dir)
				unlock := kind.lock(t, p, who, dir)
				defer unlock()
				n++
				r := m.start(t, p, dir, syncOptions{form: sockets})
				r.end(t, tooLong)
				m.check(t, p, r)
				for side, name := range names {
					o := r.outcome(side)
					if o.status != 128 || o.promise || !strings.Contains(o.fatal, kind.says) {
						t.Errorf("%s ended with %d: %s", name, o.status, o.said)
					} else {
						clear++
					}
				}
				// If nothing is to be written to it, it gives.
				o := syncOptions{form: sockets}
				o.args[who] = []string{"--push"}
				r = m.start(t, p, dir, o)
				r.end(t, tooLong)
				for side, name := range names {
					if o := r.outcome(side); o.status != 0 || !o.promise {
						t.Errorf("%s gives, and %s ended with %d: %s", names[who], name, o.status, o.said)
					} else {
						gave++
					}
				}
				unlock()
				next += m.next(t, p, fmt.Sprint(dir, "/next")).nextFailed
			})
		}
	}
	gittest.Figures(t, "a store that can't be written to", n, "sides that said why %d of %d, sides that were done where it only gave %d, "+
		"next runs failed %d", clear, 2*n, gave, next)
}

// chmod sets the permissions of a directory and of those below it.
func chmod(t *testing.T, mode, dir string) {
	t.Helper()
	mustRun(t, exec.Command("find", dir, "-type", "d", "-exec", "chmod", mode, "{}", "+"))
}
