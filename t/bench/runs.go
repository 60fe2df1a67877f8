package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// link is what the pipe does to the bytes of a run.
type link struct {
	delay time.Duration // one way
	rate  int64         // bytes a second; 0 is no limit
	cut   int64         // the pipe breaks after that many bytes from Bob; 0 is never
}

func (l link) String() string {
	words := []string{fmt.Sprintf("--delay %s --rate %d", l.delay, l.rate)}
	if l.cut > 0 {
		words = append(words, fmt.Sprintf("--cut-from %d", l.cut))
	}
	return strings.Join(words, " ")
}

// measurement is what one run took.
type measurement struct {
	wall             time.Duration // from the start of the command to its exit
	toBob, fromBob   int64         // bytes through the pipe
	hops             int           // see t/pipe
	program, allTree int64         // peak memory, bytes; see memory
	load             load
}

// load is processor time.
type load struct{ ours, others time.Duration }

func (l *load) add(before, after load) {
	l.ours += after.ours - before.ours
	l.others += max(0, after.others-before.others)
}

var errUncut = errors.New("the command succeeded over a pipe that was cut")

// measure runs a tool once on a pair of stores. If the link breaks, the tool must fail.
func (b *bench) measure(ctx context.Context, t tool, p pair, l link) (measurement, error) {
	var m measurement
	if t.clones {
		if err := os.RemoveAll(string(p.alice)); err != nil {
			return m, err
		}
	}
	watch := watchMemory(t.program)
	var failed error
	for _, s := range t.steps(p) {
		if failed = b.runStep(ctx, t, s, l, &m); failed != nil {
			break
		}
	}
	m.program, m.allTree = watch.stop()
	if l.cut > 0 {
		if failed == nil {
			return m, fmt.Errorf("%s: %w", t.name, errUncut)
		}
		return m, ctx.Err()
	}
	return m, failed
}

func (b *bench) count() string { return filepath.Join(b.runs, "count") }
func (b *bench) hops() string  { return filepath.Join(b.runs, "hops") }

// linkEnv returns the environment in which commands find the pipe's options.
func (b *bench) linkEnv(l link) []string {
	return []string{"AIG_BENCH_LINK=" + l.String(), "AIG_BENCH_COUNT=" + b.count(), "AIG_BENCH_HOPS=" + b.hops()}
}

func (b *bench) runStep(ctx context.Context, t tool, s step, l link, m *measurement) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	// Files, since with a pipe we would wait for every process that still holds its other end.
	stdout, err := os.Create(filepath.Join(b.runs, "stdout"))
	if err != nil {
		return err
	}
	defer stdout.Close()
	stderr, err := os.Create(filepath.Join(b.runs, "stderr"))
	if err != nil {
		return err
	}
	defer stderr.Close()
	if err := errors.Join(os.RemoveAll(b.count()), os.RemoveAll(b.hops())); err != nil {
		return err
	}

	cmd := exec.CommandContext(ctx, s.args[0], s.args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, stdout, stderr
	ssh := b.ssh
	if t.ssh {
		ssh = b.realSSH
	}
	cmd.Env = append(gitEnv(b.aliceHome), "TRUST="+b.bobKey,
		"GIT_SSH_COMMAND="+quote(ssh), "GIT_SSH_VARIANT=ssh", "RSYNC_RSH="+quote(ssh))
	cmd.Env = append(cmd.Env, b.linkEnv(l)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	before, start := readLoad(), time.Now()
	failed := cmd.Run()
	m.wall += time.Since(start)
	// The pipe may outlive the command a little, as ssh's does.
	if err := reap(ctx); err != nil {
		return err
	}
	m.load.add(before, readLoad())
	if failed != nil {
		said, _ := os.ReadFile(stderr.Name())
		return fmt.Errorf("%s: %w: %q", strings.Join(s.args[:2], " "), failed, tail(string(said)))
	}
	if t.finishes != nil {
		said, err := os.ReadFile(stdout.Name())
		if err != nil {
			return err
		}
		if err := t.finishes(string(said)); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return b.readCounts(s, m)
}

// readCounts reads what the pipe counted.
func (b *bench) readCounts(s step, m *measurement) error {
	var to, from int64
	if err := scanFile(b.count(), "%d %d", &to, &from); err != nil {
		return err
	}
	if s.bobs {
		to, from = from, to
	}
	m.toBob += to
	m.fromBob += from
	var hops int
	if err := scanFile(b.hops(), "%d", &hops); err != nil {
		return err
	}
	m.hops += hops
	return nil
}

func scanFile(name, format string, values ...any) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if _, err := fmt.Sscanf(string(data), format, values...); err != nil {
		return fmt.Errorf("%s holds %q: %w", name, data, err)
	}
	return nil
}

// tail returns the end of what a program said.
func tail(said string) string {
	const enough = 500 // bytes
	return strings.TrimSpace(said[max(0, len(said)-enough):])
}
