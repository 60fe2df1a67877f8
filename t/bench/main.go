// Command bench runs git aig-sync and what a user would use instead, side by side over the same pipe, and writes a table
// and plots. `make bench` runs it; -h lists its options. It is a module of its own, so that the programs don't depend on
// what draws the plots.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "fatal: %v\n", err)
		stop()
		os.Exit(1)
	}
}

// bench is what the command line says, and where things are.
type bench struct {
	objects int           // of the generated store; 0 is none
	real    string        // path of a real history; may be empty
	cases   []string      // names
	repeat  int           // runs of each tool
	bounded bool          // fewer if they take long
	delay   time.Duration // one way, of the pipe that round trips are measured through
	rate    int64         // bytes a second of the pipe; 0 is no limit
	timeout time.Duration // of one command
	bin     string        // where the programs are
	out     string        // where table and plots go
	redraw  string        // a directory whose plots are redrawn; nothing is measured then
	work    string        // where stores are kept from one run of bench to the next
	stderr  io.Writer

	runs               string // for what this run of bench makes
	aliceHome, bobHome string
	aliceKey, bobKey   string   // fingerprints
	ssh                string   // the command that stands for ssh
	realSSH            string   // the one that is ssh; empty if there is no server
	rsync              bool     // whether there is an rsync
	notes              []string // what else a reader of the table must know
}

// store is a store that cases are made from.
type store struct {
	name string
	repo repo
	real bool
}

const (
	sizesPlot       = "sizes"
	differencesPlot = "differences"
)

func caseNames() []string {
	var names []string
	for _, c := range cases {
		names = append(names, c.name)
	}
	return append(names, cutCase, sizesPlot, differencesPlot)
}

func parse(args []string, stderr io.Writer) (*bench, error) {
	b := &bench{stderr: stderr}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	quick := flags.Bool("quick", false, "a short run: -objects 10000 -repeat 1 -delay 50ms")
	selected := flags.String("case", strings.Join(caseNames(), ","), "what to run, comma-separated")
	flags.IntVar(&b.objects, "objects", 500_000, "size of the generated store; 0: none")
	flags.StringVar(&b.real, "repo", os.Getenv("REPO"), "a real history to measure too (or $REPO)")
	flags.IntVar(&b.repeat, "repeat", 3, "how often each tool runs, where not given fewer times if it takes long; the table has medians")
	flags.DurationVar(&b.delay, "delay", 200*time.Millisecond, "one-way delay of the pipe that round trips are measured through")
	flags.Int64Var(&b.rate, "rate", 0, "bytes a second and direction of the pipe; 0: no limit")
	flags.DurationVar(&b.timeout, "timeout", 30*time.Minute, "how long one command may take")
	flags.StringVar(&b.bin, "bin", "bin", "where the programs are")
	flags.StringVar(&b.out, "out", "bench", "where table.md and the plots go")
	flags.StringVar(&b.redraw, "redraw", "", "measure nothing: draw the plots in this directory again, from its plots.csv")
	flags.StringVar(&b.work, "work", "", "where generated stores are kept (default: work/ in -out)")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%q is no option", flags.Arg(0))
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	b.bounded = !given["repeat"]
	if *quick {
		for name, value := range map[string]string{"objects": "10000", "repeat": "1", "delay": "50ms"} {
			if !given[name] {
				if err := flags.Set(name, value); err != nil {
					return nil, err
				}
			}
		}
	}
	if b.repeat < 1 || b.delay <= 0 || b.objects < 0 || b.rate < 0 {
		return nil, errors.New("-repeat and -delay must be above 0, -objects and -rate at least 0")
	}
	b.cases = strings.Split(*selected, ",")
	for _, name := range b.cases {
		if !slices.Contains(caseNames(), name) {
			return nil, fmt.Errorf("there is no case %q, only %s", name, strings.Join(caseNames(), ", "))
		}
	}
	if b.work == "" {
		b.work = filepath.Join(b.out, "work")
	}
	// Commands run in other directories.
	for _, path := range []*string{&b.bin, &b.out, &b.work} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return nil, err
		}
		*path = absolute
	}
	return b, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	b, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if b.redraw != "" {
		return redrawPlots(b.redraw)
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	defer os.RemoveAll(b.runs)
	about, err := b.about(ctx)
	if err != nil {
		return err
	}
	r, err := b.measureAll(ctx)
	if err != nil {
		return err
	}
	r.about = append(about, b.notes...)
	var table strings.Builder
	writeReport(&table, r)
	if _, err := io.WriteString(stdout, table.String()); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.out, "table.md"), []byte(table.String()), 0o666); err != nil {
		return err
	}
	return writePlots(b.out, record(r.sweeps))
}

// prepare finds the programs and makes the directories.
func (b *bench) prepare(ctx context.Context) error {
	if err := os.Setenv("PATH", b.bin+string(filepath.ListSeparator)+os.Getenv("PATH")); err != nil {
		return err
	}
	for _, program := range []string{"git-aig-sync", "aig-test-pipe"} {
		if _, err := os.Stat(filepath.Join(b.bin, program)); err != nil {
			return fmt.Errorf("%w: `make build bin/aig-test-pipe` builds it", err)
		}
	}
	_, err := exec.LookPath("rsync")
	if b.rsync = err == nil; !b.rsync {
		b.say("there is no rsync here: its rows will be missing")
	}
	for _, dir := range []string{b.work, b.out} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	// Beside the kept stores, so that they can be hard-linked.
	if b.runs, err = os.MkdirTemp(b.work, "run-"); err != nil {
		return err
	}
	if err := errors.Join(adopt(), b.prepareTools()); err != nil {
		return err
	}
	return b.prepareSSH(ctx)
}

// report is everything that is written in the end.
type report struct {
	about   []string
	bench   *bench
	results []result
	cuts    []cutResult
	sweeps  []sweep
}

func (b *bench) measureAll(ctx context.Context) (report, error) {
	r := report{bench: b}
	stores, err := b.stores(ctx)
	if err != nil {
		return r, err
	}
	for _, s := range stores {
		for _, c := range cases {
			if !slices.Contains(b.cases, c.name) {
				continue
			}
			result, err := b.runCase(ctx, s, c)
			if err != nil {
				return r, fmt.Errorf("%s, %s: %w", s.name, c.title, err)
			}
			r.results = append(r.results, result)
		}
		if slices.Contains(b.cases, cutCase) {
			cuts, err := b.runCut(ctx, s)
			if err != nil {
				return r, fmt.Errorf("%s, cut: %w", s.name, err)
			}
			r.cuts = append(r.cuts, cuts...)
		}
	}
	r.sweeps, err = b.sweepAll(ctx)
	return r, err
}

// stores makes or finds the stores that the cases need.
func (b *bench) stores(ctx context.Context) ([]store, error) {
	var stores []store
	if b.objects > 0 {
		b.say("making a store of %d objects, or taking the kept one", b.objects)
		made, err := generated(ctx, b.work, 1, b.objects)
		if err != nil {
			return nil, err
		}
		stores = append(stores, store{"generated", made, false})
	}
	if b.real != "" {
		b.say("copying what the branches and tags of %s reach, or taking the kept copy", b.real)
		dir, err := repo(b.real).gitDir(ctx)
		if err != nil {
			return nil, err
		}
		copied, err := realStore(ctx, dir, b.work)
		if err != nil {
			return nil, err
		}
		stores = append(stores, store{filepath.Base(b.real), copied, true})
	}
	return stores, nil
}

// withRsync appends rsync to the tools if it is installed.
func (b *bench) withRsync(rsync tool, tools ...tool) []tool {
	if b.rsync {
		tools = append(tools, rsync)
	}
	return tools
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.stderr, format+"\n", args...) }
