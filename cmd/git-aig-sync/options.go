package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"aig/internal/gitstore"
	"aig/internal/peer"
	"aig/internal/screen"
	"aig/internal/wire"
)

const usageText = `usage: git aig-sync [<options>] [--] <transport>
   or: git aig-sync --fingerprint

Makes the object stores of two repositories equal, over any full-duplex pipe
to a peer that runs the same command. No reference is touched.

<transport> is a shell expression whose standard input and output are the
pipe; - is this process's own standard input and output; the name of a remote
whose URL is aig::<transport> stands for that.

    --trust <fp>       fingerprint of the peer's key, as ssh-keygen -lf prints
                       it (may be repeated; else $TRUST, else aig.trust)
    --identity <file>  own private key (else $AIG_IDENTITY, else aig.identity,
                       else ~/.ssh/id_ed25519, else the SSH agent)
    --context <word>   a word that both sides must give alike, else nothing is
                       shared (else $AIG_CONTEXT, else aig.context, else none)
    --fingerprint      print the own key's fingerprint and exit
    --pull             receive only
    --push             give only
    --summary          report how many objects moved, not which
    -q, --quiet        no report, no progress
    --[no-]progress    show progress on standard error, or don't (default: if it
                       is a terminal)
    --no-refs          neither tell our references nor show where the peer
                       stands (aig.refs=false does the same)
    --refs=porcelain   show where the peer stands for scripts, on standard
                       output, after the report
    --wait <duration>  how long to wait for the peer to come (default: no end)
    --timeout <duration>
                       how long nothing may move between us and a peer that has
                       come (default 1m0s)
    --version          print the version and exit
    -h, --help         print this

Two people, and a host that neither trusts, where aig-switchboard runs:

    alice$ TRUST=SHA256:… git aig-sync "ssh switchboard.example new"
    transport: "17e58\n"
    bob$ TRUST=SHA256:… git aig-sync "ssh switchboard.example 17e58"
`

// options is what the command line, the environment and the configuration say.
type options struct {
	transport   string
	settings    peer.Settings
	direction   wire.Direction
	wait        time.Duration
	timeout     time.Duration
	fingerprint bool
	summary     bool
	quiet       bool
	refs        string // refsOff, refsPorcelain, or "" for a person
	progress    *bool  // nil: as standard error is
	help        bool
	version     bool
}

const (
	refsOff       = "off"
	refsPorcelain = "porcelain"
)

// parse reads a command line. Its error is one of usage.
func parse(args []string) (options, error) {
	var o options
	var pull, push, progress, noProgress, noRefs bool
	flags := pflag.NewFlagSet("git aig-sync", pflag.ContinueOnError)
	flags.SetOutput(io.Discard) // the usage text is our own
	flags.StringArrayVar(&o.settings.Trust, "trust", nil, "")
	flags.StringVar(&o.settings.Identity, "identity", "", "")
	flags.StringVar(&o.settings.Context, "context", "", "")
	flags.BoolVar(&o.fingerprint, "fingerprint", false, "")
	flags.BoolVar(&pull, "pull", false, "")
	flags.BoolVar(&push, "push", false, "")
	flags.BoolVar(&o.summary, "summary", false, "")
	flags.BoolVarP(&o.quiet, "quiet", "q", false, "")
	flags.BoolVar(&progress, "progress", false, "")
	flags.BoolVar(&noProgress, "no-progress", false, "")
	flags.StringVar(&o.refs, "refs", "", "")
	flags.BoolVar(&noRefs, "no-refs", false, "")
	flags.DurationVar(&o.wait, "wait", 0, "")
	flags.DurationVar(&o.timeout, "timeout", time.Minute, "")
	flags.BoolVar(&o.version, "version", false, "")
	flags.BoolVarP(&o.help, "help", "h", false, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.help || o.version {
		return o, nil
	}
	if flags.Changed("context") { // a word that is meant must not turn into none
		if err := wire.CheckContext(o.settings.Context); err != nil {
			return o, fmt.Errorf("--context: %w", err)
		}
	}
	if progress || noProgress {
		shown := progress && !noProgress
		o.progress = &shown
	}
	o.direction = wire.Both
	switch {
	case pull && push:
		return o, errors.New("--pull and --push exclude each other")
	case pull:
		o.direction = wire.Pull
	case push:
		o.direction = wire.Push
	}
	switch {
	case o.refs != "" && o.refs != refsPorcelain:
		return o, fmt.Errorf("--refs=%q is unknown: there is --refs=porcelain", o.refs)
	case noRefs && o.refs != "":
		return o, errors.New("--no-refs and --refs exclude each other")
	case noRefs:
		o.refs = refsOff
	}
	switch {
	case o.wait < 0:
		return o, errors.New("--wait takes a duration from 0 on")
	case o.timeout <= 0:
		return o, errors.New("--timeout takes a duration above 0")
	case o.fingerprint && flags.NArg() > 0:
		return o, errors.New("--fingerprint takes no transport")
	case o.fingerprint:
		return o, nil
	case flags.NArg() != 1:
		return o, fmt.Errorf("one transport is needed, %d were given (a shell expression is one argument: quote it)",
			flags.NArg())
	}
	if o.transport = flags.Arg(0); strings.TrimSpace(o.transport) == "" {
		return o, errors.New("the transport is empty")
	}
	return o, nil
}

// wantsProgress follows git: on a terminal, unless told otherwise.
func (o options) wantsProgress(s *screen.Screen) bool {
	switch {
	case o.quiet:
		return false
	case o.progress != nil:
		return *o.progress
	}
	return s.IsTerminal()
}

// complete fills in from the environment and the configuration what the command line leaves open. A transport that is
// the name of a remote with an address aig::… stands for that, with the remote's own trust and identity.
func (o *options) complete(ctx context.Context, git gitstore.Git) error {
	remote := ""
	if o.transport != "" && o.transport != "-" {
		url, ok, err := git.RemoteURL(ctx, o.transport)
		if err != nil {
			return err
		}
		if transport, isAig := strings.CutPrefix(url, "aig::"); ok && isAig {
			remote, o.transport = o.transport, transport
		}
	}
	if err := o.settings.Complete(ctx, git, os.Getenv, remote); err != nil {
		return err
	}
	if o.refs == "" {
		tell, set, err := git.Config(ctx, "aig.refs", "bool")
		if err != nil {
			return err
		}
		if set && tell == "false" {
			o.refs = refsOff
		}
	}
	return nil
}
