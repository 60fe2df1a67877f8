// Package app does what the user's two commands ask, once the command line is parsed: git-aig-sync makes two stores equal,
// git-remote-aig pulls on git's behalf. Both go from settings to a transport, to an authenticated pipe, to a conversation.
package app

import (
	"context"
	"os"
	"strings"
	"time"

	"aig/internal/command"
	"aig/internal/git"
	"aig/internal/trace"
	"aig/internal/wire"
)

// DefaultTimeout is how long a connection with a peer may stand still.
const DefaultTimeout = time.Minute

// Config is one run of a command: what its user asks for, and what the process was given.
type Config struct {
	// Transport is a shell expression that leads to the peer. For Sync it may also be "-", for Stdin and Stdout, or the
	// name of a remote whose URL is aig::<transport>.
	Transport string
	Identity  string        // our private key's file; "" means as configured
	Trust     []string      // fingerprints; nil means as configured
	Context   string        // a word on which both sides must agree; "" means as configured
	Wait      time.Duration // for the peer to come; 0 means as configured, below 0 without end
	Timeout   time.Duration // how long it may be silent once it has come

	request []string // environment that tells a paired remote's transport what to ask a switchboard for

	// For Sync alone:
	Direction wire.Direction
	Give      Give
	Report    Report
	Quiet     bool  // no report, no progress
	Verbose   bool  // each phase, a line each, on standard error
	DryRun    bool  // find out what would move, and move nothing
	Snapshot  *bool // commit uncommitted work first; nil means as aig.snapshot says
	Branches  BranchReport
	Progress  *bool // nil means if standard error is a terminal

	Stdin, Stdout, Stderr *os.File
	Git                   git.Git // with the run's environment
}

// Give says which of the objects that the peer lacks are given.
type Give string

const (
	GiveAsConfigured Give = ""          // as aig.give says
	GiveAll          Give = "all"       // all of the store, and what references reach in its alternates
	GiveReachable    Give = "reachable" // what references that aren't hidden reach
)

// Report is the form of the report.
type Report string

const (
	ReportAsFits  Report = ""        // in full, but summed up on a terminal if it is long, and none over standard input and output
	ReportFull    Report = "full"    // a line an object, for scripts
	ReportSummary Report = "summary" // how many objects have moved, for scripts
)

// BranchReport says who is shown how the peer's branches compare with ours.
type BranchReport string

const (
	BranchText      BranchReport = ""          // a person, on standard error: as many as a screen holds
	BranchAll       BranchReport = "all"       // the same, all of them
	BranchPorcelain BranchReport = "porcelain" // a script, behind the report
	BranchesOff     BranchReport = "off"       // nobody, and the peer isn't told our references either
)

// Main runs a command with the process's arguments, files and environment, and returns the exit status.
func Main(run func(ctx context.Context, args []string, c Config) error) int {
	t := trace.New()
	status := command.Main(os.Stderr, func(ctx context.Context) error {
		g := git.Git{Env: os.Environ(), Settings: new(git.Settings), Trace: t}
		return run(ctx, os.Args[1:], Config{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Git: g})
	})
	t.Exit(status)
	return status
}

// lookup is os.LookupEnv for the run's environment.
func (c Config) lookup(name string) (value string, set bool) {
	for _, entry := range c.Git.Env {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value, set = v, true // exec.Cmd takes the last one too
		}
	}
	return value, set
}

func (c Config) getenv(name string) string {
	value, _ := c.lookup(name)
	return value
}
