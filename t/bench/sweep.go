package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
)

// sweep is one case at many sizes: what a plot shows.
type sweep struct {
	name   string // of the files
	title  string
	axis   string // what is swept
	points []sweepPoint
}

type sweepPoint struct {
	at     int // objects
	result result
}

// smallestSweep is the size of the smallest store of a plot, in objects.
const smallestSweep = 1000

func (b *bench) sweepAll(ctx context.Context) ([]sweep, error) {
	var sweeps []sweep
	if slices.Contains(b.cases, sizesPlot) && b.objects > 0 {
		s, err := b.sweepSizes(ctx)
		if err != nil {
			return nil, fmt.Errorf("plot against the size: %w", err)
		}
		sweeps = append(sweeps, s)
	}
	if slices.Contains(b.cases, differencesPlot) && b.objects > 0 {
		s, err := b.sweepDifferences(ctx)
		if err != nil {
			return nil, fmt.Errorf("plot against the difference: %w", err)
		}
		sweeps = append(sweeps, s)
	}
	return sweeps, nil
}

// sweepSizes has stores of growing size differ by 18 objects.
func (b *bench) sweepSizes(ctx context.Context) (sweep, error) {
	s := sweep{name: "size", title: "18 objects differ", axis: "objects in the store"}
	for size := smallestSweep; size <= max(b.objects, smallestSweep); size *= 10 {
		base, err := generated(ctx, b.work, 1, size)
		if err != nil {
			return s, err
		}
		c := benchCase{title: s.title, prepare: drifted(3, true), tools: bothWays}
		r, err := b.runCase(ctx, store{fmt.Sprintf("store of %d", size), base, false}, c)
		if err != nil {
			return s, err
		}
		s.points = append(s.points, sweepPoint{r.comparison.both, r})
	}
	return s, nil
}

// sweepDifferences has a store of a tenth of the size differ by ever more commits.
func (b *bench) sweepDifferences(ctx context.Context) (sweep, error) {
	size := max(b.objects/10, smallestSweep)
	s := sweep{name: "difference", axis: "objects that differ"}
	base, err := generated(ctx, b.work, 1, size)
	if err != nil {
		return s, err
	}
	for commits := 1; commits <= size/20; commits *= 10 {
		c := benchCase{title: fmt.Sprintf("%d commits on either side", commits), prepare: drifted(commits, false), tools: bothWays}
		r, err := b.runCase(ctx, store{filepath.Base(string(base)), base, false}, c)
		if err != nil {
			return s, err
		}
		s.title = fmt.Sprintf("a store of %s objects", thousands(r.comparison.both))
		s.points = append(s.points, sweepPoint{r.comparison.alice + r.comparison.bob, r})
	}
	return s, nil
}
