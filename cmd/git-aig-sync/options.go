package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"aig/internal/app"
	"aig/internal/wire"
)

const usageText = `usage: git aig-sync [<options>] [--] <transport>
   or: git aig-sync --fingerprint
   or: git aig-sync help [<verb>]

Makes the object stores of two repositories equal, over any full-duplex pipe
to a peer that runs the same command. No reference is touched.

<transport> is a shell expression, one argument, whose standard input and
output are the pipe; - is this process's own standard input and output; the
name of a remote whose URL is aig::<transport> stands for that.

    --trust <fp>       fingerprint of the peer's key, as ssh-keygen -lf prints
                       it (may be repeated; else $TRUST, else aig.trust)
    --identity <file>  your private key (else $AIG_IDENTITY, else aig.identity,
                       else ~/.ssh/id_ed25519, else the SSH agent)
    --context <word>   a word that both sides must give, else nothing is shared
                       (else $AIG_CONTEXT, else aig.context, else none)
    --fingerprint      print your key's fingerprint and exit
    --pull             receive only
    --push             give only
    --summary          report how many objects moved, not which
    -q, --quiet        no report, no progress
    --[no-]progress    show progress on standard error, or don't (default: if it
                       is a terminal)
    --no-refs          don't tell the peer our branches and tags, and don't
                       compare its branches with ours (or aig.refs=false)
    --refs=porcelain   compare the peer's branches with ours for scripts, on
                       standard output, after the report
    --wait <duration>  how long to wait for the peer to come (default: no end)
    --timeout <duration>
                       how long nothing may move once the peer has come
                       (default 1m0s)
    --version          print the version and exit
    -h, --help         print this

Two people, and a host that neither trusts, where aig-switchboard runs:

    alice$ TRUST=SHA256:… git aig-sync "ssh switchboard.example new"
    transport: "17e58\n"
    bob$ TRUST=SHA256:… git aig-sync "ssh switchboard.example 17e58"
`

// verb is what the command line asks for.
type verb int

const (
	verbSync verb = iota
	verbHelp
	verbVersion
	verbFingerprint
)

// helpTexts is what `git aig-sync help <verb>` prints.
var helpTexts = map[string]string{
	"help": "usage: git aig-sync help [<verb>]\n\nPrints how to use git aig-sync, or one of its verbs.\n",
}

// options is a command line.
type options struct {
	app.Config
	verb verb
	text string // of verbHelp
}

// parse reads a command line; c holds what doesn't stand there. An error is one of usage.
func parse(args []string, c app.Config) (options, error) {
	o := options{Config: c}
	var help, version, fingerprint, pull, push, progress, noProgress, noRefs bool
	var refs string
	flags := pflag.NewFlagSet("git aig-sync", pflag.ContinueOnError)
	flags.SetOutput(io.Discard) // the usage text is our own
	flags.StringArrayVar(&o.Settings.Trust, "trust", nil, "")
	flags.StringVar(&o.Settings.Identity, "identity", "", "")
	flags.StringVar(&o.Settings.Context, "context", "", "")
	flags.BoolVar(&fingerprint, "fingerprint", false, "")
	flags.BoolVar(&pull, "pull", false, "")
	flags.BoolVar(&push, "push", false, "")
	flags.BoolVar(&o.Summary, "summary", false, "")
	flags.BoolVarP(&o.Quiet, "quiet", "q", false, "")
	flags.BoolVar(&progress, "progress", false, "")
	flags.BoolVar(&noProgress, "no-progress", false, "")
	flags.StringVar(&refs, "refs", "", "")
	flags.BoolVar(&noRefs, "no-refs", false, "")
	flags.DurationVar(&o.Wait, "wait", 0, "")
	flags.DurationVar(&o.Timeout, "timeout", app.DefaultTimeout, "")
	flags.BoolVar(&version, "version", false, "")
	flags.BoolVarP(&help, "help", "h", false, "")
	if err := flags.Parse(args); err != nil {
		if words := flags.Args(); len(words) > 0 { // the option is the transport's, most likely
			err = fmt.Errorf("%w (%s)", err, quoteIt)
		}
		return o, err
	}
	switch {
	case help:
		o.verb, o.text = verbHelp, usageText
		return o, nil
	case version:
		o.verb = verbVersion
		return o, nil
	}
	if flags.Changed("context") { // an empty word must not pass for none
		if err := wire.CheckContext(o.Settings.Context); err != nil {
			return o, fmt.Errorf("--context: %w", err)
		}
	}
	if progress || noProgress {
		shown := progress && !noProgress
		o.Progress = &shown
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
	switch o.Branches = app.BranchReport(refs); {
	case refs != "" && o.Branches != app.BranchPorcelain:
		return o, fmt.Errorf("--refs=%q is unknown: there is --refs=porcelain", refs)
	case noRefs && refs != "":
		return o, errors.New("--no-refs and --refs exclude each other")
	case noRefs:
		o.Branches = app.BranchesOff
	}
	switch {
	case o.Wait < 0:
		return o, errors.New("--wait takes a duration from 0 on")
	case o.Timeout <= 0:
		return o, errors.New("--timeout takes a duration above 0")
	case fingerprint && flags.NArg() > 0:
		return o, errors.New("--fingerprint takes no transport")
	case fingerprint:
		o.verb = verbFingerprint
		return o, nil
	}
	return o, o.setVerb(flags.Args())
}

const quoteIt = "a transport is one argument: quote it"

// setVerb takes the arguments that are no options. A word alone is a transport; a verb has others behind it.
func (o *options) setVerb(words []string) error {
	switch {
	case len(words) == 0:
		return errors.New("a transport is needed")
	case words[0] == "help":
		return o.setHelp(words[1:])
	case len(words) > 1:
		return fmt.Errorf("%q is no verb (%s)", words[0], quoteIt)
	}
	if o.Transport = words[0]; strings.TrimSpace(o.Transport) == "" {
		return errors.New("the transport is empty")
	}
	return nil
}

func (o *options) setHelp(words []string) error {
	o.verb, o.text = verbHelp, usageText
	if len(words) == 0 {
		return nil
	}
	text, ok := helpTexts[words[0]]
	if !ok || len(words) > 1 {
		return fmt.Errorf("there is no help on %q", strings.Join(words, " "))
	}
	o.text = text
	return nil
}
