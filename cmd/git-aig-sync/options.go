package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"aig/internal/app"
	"aig/internal/pairing"
	"aig/internal/ref"
	"aig/internal/version"
	"aig/internal/wire"
)

// options is a command line.
type options struct {
	app.Config
	run  func(context.Context, app.Config) error // what it asks for
	pair app.PairOptions                         // Side is set if that is a pairing
}

// parse parses a command line; c holds what isn't in it. Every error is a usage error.
func parse(args []string, c app.Config) (options, error) {
	o := options{Config: c, run: app.Sync}
	var help, showVersion, fingerprint, pull, push, progress, noRefs, peers, summary, snapshot, porcelain bool
	var refs string
	flags := pflag.NewFlagSet("git aig-sync", pflag.ContinueOnError)
	flags.StringArrayVar(&o.Trust, "trust", nil, "")
	flags.StringVar(&o.Identity, "identity", "", "")
	flags.StringVar(&o.Context, "context", "", "")
	flags.BoolVar(&fingerprint, "fingerprint", false, "")
	flags.BoolVar(&pull, "pull", false, "")
	flags.BoolVar(&push, "push", false, "")
	flags.StringVar((*string)(&o.Give), "give", "", "")
	flags.StringVar((*string)(&o.Report), "report", "", "")
	flags.BoolVar(&summary, "summary", false, "")
	flags.BoolVar(&snapshot, "snapshot", false, "")
	flags.BoolVarP(&o.Quiet, "quiet", "q", false, "")
	flags.BoolVarP(&o.Verbose, "verbose", "v", false, "")
	flags.BoolVarP(&o.DryRun, "dry-run", "n", false, "")
	flags.BoolVar(&progress, "progress", false, "")
	flags.StringVar(&refs, "refs", "", "")
	flags.BoolVar(&porcelain, "porcelain", false, "")
	flags.BoolVar(&noRefs, "no-refs", false, "")
	flags.DurationVar(&o.Wait, "wait", 0, "")
	flags.DurationVar(&o.Timeout, "timeout", app.DefaultTimeout, "")
	flags.BoolVar(&o.pair.Alone, "code", false, "")
	flags.BoolVar(&o.pair.Replace, "replace", false, "")
	flags.BoolVar(&o.pair.Global, "global", false, "")
	flags.BoolVar(&o.pair.NoSync, "no-sync", false, "")
	flags.BoolVar(&peers, "peers", false, "")
	flags.BoolVar(&showVersion, "version", false, "")
	flags.BoolVarP(&help, "help", "h", false, "")
	followConventions(flags)
	if err := flags.Parse(args); err != nil {
		if words := flags.Args(); len(words) > 0 { // most likely the option is the transport's
			err = fmt.Errorf("%w; %s", err, quoteIt(args, words[0]))
		}
		return o, err
	}
	switch {
	case help:
		o.run = printing(usageText)
		return o, nil
	case showVersion:
		o.run = printing(version.Line("git-aig-sync"))
		return o, nil
	}
	if flags.Changed("context") { // an empty word must not be taken for none
		if err := wire.CheckContext(o.Context); err != nil {
			return o, fmt.Errorf("--context: %w", err)
		}
	}
	if flags.Changed("progress") || flags.Changed("no-progress") {
		o.Progress = &progress
	}
	if flags.Changed("snapshot") || flags.Changed("no-snapshot") {
		o.Snapshot = &snapshot
	}
	o.Direction = wire.Both
	switch {
	case pull && push:
		return o, errors.New("--pull and --push exclude each other")
	case pull:
		o.Direction = wire.Pull
	case push:
		o.Direction = wire.Push
	}
	if flags.Changed("give") && o.Give != app.GiveAll && o.Give != app.GiveReachable {
		return o, fmt.Errorf("--give=%q is unknown: there are --give=reachable and --give=all", string(o.Give))
	}
	switch {
	case summary && o.Report != app.ReportAsFits:
		return o, errors.New("--summary and --report exclude each other")
	case summary:
		o.Report = app.ReportSummary
	case o.Report != app.ReportFull && flags.Changed("report"):
		return o, fmt.Errorf("--report=%q is unknown: there is --report=full", string(o.Report))
	}
	if porcelain && !flags.Changed("refs") {
		refs = string(app.BranchPorcelain)
	}
	switch o.Branches = app.BranchReport(refs); {
	case porcelain && o.Branches != app.BranchPorcelain:
		return o, errors.New("--porcelain and --refs exclude each other")
	case flags.Changed("refs") && o.Branches != app.BranchPorcelain && o.Branches != app.BranchAll:
		return o, fmt.Errorf("--refs=%q is unknown: there are --refs=all and --refs=porcelain", refs)
	case noRefs && refs != "":
		return o, errors.New("--no-refs and --refs exclude each other")
	case noRefs:
		o.Branches = app.BranchesOff
	}
	switch {
	case o.Wait < 0:
		return o, errors.New("--wait takes a duration of 0 or more; 0 means no limit")
	case o.Wait == 0 && flags.Changed("wait"):
		o.Wait = -1
	}
	switch {
	case o.Timeout <= 0:
		return o, errors.New("--timeout takes a duration above 0")
	case (fingerprint || peers) && flags.NArg() > 0:
		return o, errors.New("--fingerprint and --peers take no transport")
	case fingerprint:
		o.run = printFingerprint
		return o, nil
	case peers:
		o.run = app.Peers
		return o, nil
	}
	if err := o.setVerb(flags.Args(), args); err != nil {
		return o, err
	}
	if o.pair.Side != "" {
		pair := o.pair
		o.run = func(ctx context.Context, c app.Config) error { return app.Pair(ctx, c, pair) }
		switch {
		case o.DryRun:
			return o, errors.New("--dry-run makes no sense here: pairing writes a remote")
		case len(o.Trust) > 0:
			return o, errors.New("--trust makes no sense here: the pairing decides whom to trust")
		}
	} else if (o.pair != app.PairOptions{}) {
		return o, errors.New("--code, --replace, --global and --no-sync belong to invite and accept")
	}
	return o, nil
}

func printing(text string) func(context.Context, app.Config) error {
	return func(_ context.Context, c app.Config) error {
		_, err := io.WriteString(c.Stdout, text)
		return err
	}
}

func printFingerprint(ctx context.Context, c app.Config) error {
	fp, err := app.Fingerprint(ctx, c)
	if err == nil {
		_, err = fmt.Fprintln(c.Stdout, fp)
	}
	return err
}

// followConventions has options parsed as gitcli(7) says: an unambiguous prefix is enough, and no- negates a boolean.
func followConventions(set *pflag.FlagSet) {
	var names []string
	set.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	for _, name := range names {
		f, opposite := set.Lookup(name), "no-"+name
		if f.Value.Type() == "bool" && !strings.HasPrefix(name, "no-") && !slices.Contains(names, opposite) {
			set.VarPF(negated{f.Value}, opposite, "", "").NoOptDefVal = "true"
			names = append(names, opposite)
		}
	}
	set.SetNormalizeFunc(func(_ *pflag.FlagSet, given string) pflag.NormalizedName {
		longer := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.HasPrefix(name, given) })
		if len(longer) == 1 && given != "" {
			given = longer[0]
		}
		return pflag.NormalizedName(given)
	})
}

// negated is a boolean option in its no- form.
type negated struct{ pflag.Value }

func (n negated) Set(s string) error {
	on, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("must be true or false")
	}
	return n.Value.Set(strconv.FormatBool(!on))
}

// quoteIt says how to give the arguments from the first word on as one: they seem to be a transport with options of its own.
func quoteIt(args []string, first string) string {
	return "quote the transport: git aig-sync " + ref.Shell(strings.Join(args[slices.Index(args, first):], " "))
}

// setVerb interprets words, the arguments that aren't options. A single word is a transport; a verb has others after it.
func (o *options) setVerb(words, args []string) error {
	if len(words) == 0 {
		return errors.New("a transport is needed")
	}
	first, rest := words[0], words[1:]
	pairs := (first == "invite" || first == "accept") && len(rest) > 0
	switch {
	case first == "help":
		topic := strings.Join(rest, " ")
		text, ok := helpTexts[topic]
		if !ok {
			return fmt.Errorf("there is no help on %q", topic)
		}
		o.run = printing(text)
	case pairs && len(rest) > 2:
		return fmt.Errorf("%s takes a name and a transport of one argument: quote it, as in %s", first, ref.Shell(strings.Join(rest[1:], " ")))
	case pairs:
		o.pair.Side, o.pair.Name = pairing.Side(first), rest[0]
		if len(rest) == 2 {
			o.Transport = rest[1]
		}
	case len(rest) > 0:
		return errors.New(quoteIt(args, first))
	case strings.TrimSpace(first) == "":
		return errors.New("the transport is empty")
	default:
		o.Transport = first
	}
	return nil
}
