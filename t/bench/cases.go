package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// benchCase is a state of two stores, and the tools that make them equal.
type benchCase struct {
	name, title string
	// prepare makes the two stores. Every run gets copies of them.
	prepare func(ctx context.Context, b *bench, s store, dir string) (pair, error)
	tools   func(b *bench, s store) []tool
	// trips says whether to count round trips: where packing takes seconds, their few would be lost in noise.
	trips bool
}

// cutCase is not in the first table, but has one of its own.
const cutCase = "cut"

var cases = []benchCase{
	{"nothing", "nothing to do", drifted(0, true), bothWays, true},
	{"few", "18 objects differ", drifted(3, true), bothWays, true},
	{"many", "500 commits differ", manyCommits, bothWays, true},
	{"branches", "90,000 branches, nothing to do", manyBranches, bothWays, false},
	{"full", "empty against full", fromEmpty, func(b *bench, _ store) []tool {
		return b.withRsync(rsyncOne, b.withSSH(gitClone, b.aigSync(), b.aigSync("--no-refs"), gitClone)...)
	}, false},
	{"halves", "two halves", twoHalves, func(b *bench, s store) []tool {
		if s.real {
			return b.withRsync(rsyncBoth, b.aigSync())
		}
		return bothWays(b, s)
	}, false},
}

// bothWays has git aig-sync a second time, without its report on the other side's branches: that takes a walk, and more time
// than the rest if little has changed.
func bothWays(b *bench, _ store) []tool {
	return b.withRsync(rsyncBoth, b.withSSH(gitFetch, b.aigSync(), b.aigSync("--no-refs"), gitFetch)...)
}

// drifted has each side commit that many changes.
func drifted(commits int, flat bool) func(context.Context, *bench, store, string) (pair, error) {
	return func(ctx context.Context, _ *bench, s store, dir string) (pair, error) {
		return driftApart(ctx, s.repo, dir, commits, commits, flat)
	}
}

func manyCommits(ctx context.Context, b *bench, s store, dir string) (pair, error) {
	if s.real {
		p, err := split(ctx, s.repo, b.work, 500)
		if !errors.Is(err, errNoSplit) {
			return p, err
		}
		b.notes = append(b.notes, fmt.Sprintf("%s: %v: the 500 commits are made-up changes to its files", s.name, err))
	}
	return driftApart(ctx, s.repo, dir, 250, 250, false)
}

// manyBranches gives both sides the same branches, on the commit that is checked out.
func manyBranches(ctx context.Context, _ *bench, s store, dir string) (pair, error) {
	p, err := driftApart(ctx, s.repo, dir, 0, 0, true)
	if err != nil {
		return pair{}, err
	}
	for _, r := range []repo{p.alice, p.bob} {
		head, err := r.lines(ctx, "rev-parse", "HEAD")
		if err != nil {
			return pair{}, err
		}
		err = r.pour(ctx, func(w io.Writer) error {
			for i := range 90_000 {
				for _, under := range []string{"heads", "remotes/peer"} { // git fetch keeps the peer's there
					fmt.Fprintf(w, "create refs/%s/team-%02d/topic-%05d %s\n", under, i%90, i, head[0])
				}
			}
			return nil
		}, "update-ref", "--stdin")
		if err == nil {
			_, err = r.lines(ctx, "update-ref", "refs/remotes/peer/main", head[0])
		}
		if err == nil {
			_, err = r.lines(ctx, "pack-refs", "--all")
		}
		if err != nil {
			return pair{}, err
		}
	}
	return p, nil
}

func fromEmpty(ctx context.Context, _ *bench, s store, dir string) (pair, error) {
	return emptyAgainst(ctx, s.repo, dir)
}

func twoHalves(ctx context.Context, b *bench, s store, _ string) (pair, error) {
	if s.real {
		return scatter(ctx, s.repo, b.work)
	}
	return halves(ctx, b.work, b.objects)
}

// result is what the tools took in a case.
type result struct {
	store      store
	title      string
	comparison comparison
	rows       []row
}

// row is what one tool took.
type row struct {
	tool    string
	runs    []measurement
	delayed *measurement // the run through the delaying pipe, if there was one
}

// wall returns the median time of the runs.
func (r row) wall() time.Duration {
	return median(r.runs, func(m measurement) time.Duration { return m.wall })
}

// bytes returns the medians of the bytes that went each way.
func (r row) bytes() (toBob, fromBob int64) {
	return median(r.runs, func(m measurement) int64 { return m.toBob }),
		median(r.runs, func(m measurement) int64 { return m.fromBob })
}

// load returns the median of the processor time, and the most that others took, in cores.
func (r row) load() (ours time.Duration, others float64) {
	for _, m := range r.runs {
		others = max(others, m.load.others.Seconds()/m.wall.Seconds())
	}
	return median(r.runs, func(m measurement) time.Duration { return m.load.ours }), others
}

// memory returns the peaks of all runs, including the delayed one, in which short-lived processes are seen best.
func (r row) memory() (program, tree int64) {
	runs := r.runs
	if r.delayed != nil {
		runs = append(slices.Clone(runs), *r.delayed)
	}
	for _, m := range runs {
		program, tree = max(program, m.program), max(tree, m.allTree)
	}
	return program, tree
}

func median[T cmp.Ordered](runs []measurement, value func(measurement) T) T {
	var values []T
	for _, m := range runs {
		values = append(values, value(m))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// runCase runs the tools of a case in turn, as often as asked, each time on fresh copies of its stores.
func (b *bench) runCase(ctx context.Context, s store, c benchCase) (result, error) {
	r := result{store: s, title: c.title}
	made := filepath.Join(b.runs, "made")
	if err := os.RemoveAll(made); err != nil {
		return r, err
	}
	p, err := c.prepare(ctx, b, s, made)
	if err != nil {
		return r, err
	}
	if r.comparison, err = p.compare(ctx); err != nil {
		return r, err
	}
	tools := c.tools(b, s)
	r.rows = make([]row, len(tools))
	start := time.Now()
	for round := range b.repeat {
		if round > 0 && b.bounded && time.Since(start) > longCase {
			b.notes = append(b.notes, fmt.Sprintf("%s, %s: %d run(s), since each takes long (-repeat does not mind)", s.name, c.title, round))
			break
		}
		for i, t := range tools {
			r.rows[i].tool = t.name
			m, err := b.runOnce(ctx, t, p, r.comparison, link{rate: b.rate})
			if err != nil {
				return r, err
			}
			b.say("%s, %s: %s took %.2f s", s.name, c.title, t.name, m.wall.Seconds())
			r.rows[i].runs = append(r.rows[i].runs, m)
		}
	}
	for i, t := range tools {
		if !c.trips {
			break
		}
		m, err := b.runOnce(ctx, t, p, r.comparison, link{rate: b.rate, delay: b.delay})
		if err != nil {
			return r, err
		}
		r.rows[i].delayed = &m
	}
	return r, nil
}

// longCase is the time after which a case begins no further round.
const longCase = 30 * time.Second

// runOnce runs a tool on copies of two stores, and verifies the outcome.
func (b *bench) runOnce(ctx context.Context, t tool, p pair, c comparison, l link) (measurement, error) {
	p, err := b.fresh(p)
	if err != nil {
		return measurement{}, err
	}
	m, err := b.measure(ctx, t, p, l)
	if err != nil {
		return m, err
	}
	if err := p.verify(ctx, c); err != nil {
		return m, fmt.Errorf("after %s: %w", t.name, err)
	}
	return m, nil
}

// fresh copies two stores, replacing the copies of the previous run.
func (b *bench) fresh(p pair) (pair, error) {
	now := filepath.Join(b.runs, "now")
	if err := os.RemoveAll(now); err != nil {
		return pair{}, err
	}
	return p.copyTo(now)
}

// cutResult is what a tool took uncut, and after its first try was cut.
type cutResult struct {
	store         store
	tool          string
	uncut, second row
}

// runCut fills an empty store, cuts the link after half of the bytes, and runs the same command again.
func (b *bench) runCut(ctx context.Context, s store) ([]cutResult, error) {
	p, err := emptyAgainst(ctx, s.repo, filepath.Join(b.runs, "made"))
	if err != nil {
		return nil, err
	}
	c, err := p.compare(ctx)
	if err != nil {
		return nil, err
	}
	tools := b.withRsync(rsyncOne, b.aigSync(), gitFetchAll)
	tools = b.withRsync(rsyncPartial, tools...)
	results := make([]cutResult, len(tools))
	start := time.Now()
	for round := range b.repeat {
		if round > 0 && b.bounded && time.Since(start) > longCase {
			b.notes = append(b.notes, fmt.Sprintf("%s, cut: %d run(s), since each takes long (-repeat does not mind)", s.name, round))
			break
		}
		for i, t := range tools {
			r := &results[i]
			r.store, r.tool = s, t.name
			m, err := b.runOnce(ctx, t, p, c, link{rate: b.rate})
			if err != nil {
				return nil, err
			}
			r.uncut.runs = append(r.uncut.runs, m)
			if m, err = b.cutAndAgain(ctx, t, p, c, m.fromBob/2); err != nil {
				return nil, err
			}
			b.say("%s, cut at 50 %%: %s took %.2f s to make it good", s.name, t.name, m.wall.Seconds())
			r.second.runs = append(r.second.runs, m)
		}
	}
	return results, nil
}

func (b *bench) cutAndAgain(ctx context.Context, t tool, p pair, c comparison, after int64) (measurement, error) {
	p, err := b.fresh(p)
	if err != nil {
		return measurement{}, err
	}
	if m, err := b.measure(ctx, t, p, link{rate: b.rate, cut: after}); err != nil {
		return m, err
	}
	m, err := b.measure(ctx, t, p, link{rate: b.rate})
	if err != nil {
		return m, err
	}
	if err := p.verify(ctx, c); err != nil {
		return m, fmt.Errorf("after %s was cut and run again: %w", t.name, err)
	}
	return m, nil
}
