// Package app is what the two commands of a user do from the words of the user on: git-aig-sync makes two stores equal,
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

// DefaultTimeout is how long nothing may move between us and a peer that has come.
const DefaultTimeout = time.Minute

// Config is one run of a command: what its user has said, and what the process has been given.
type Config struct {
	// Transport is a shell expression that leads to the peer. For Sync it may also be "-", for Stdin and Stdout, or the
	// name of a remote whose URL is aig::<transport>.
	Transport string
	Identity  string        // our private key's file; "" is as configured
	Trust     []string      // fingerprints; nil is as configured
	Context   string        // the word that both sides must give alike; "" is as configured
	Wait      time.Duration // for the peer to come; 0 is as configured, below 0 is without end
	Timeout   time.Duration // how long nothing may move once it has come

	request []string // what the transport of a paired remote has to ask a switchboard for, in its environment

	// For Sync alone:
	Direction wire.Direction
	Give      Give
	Report    Report
	Quiet     bool  // no report, no progress
	Verbose   bool  // what is done, a line each, on standard error
	DryRun    bool  // find out what would move, and move nothing
	Snapshot  *bool // uncommitted work is made a commit first; nil is as aig.snapshot says
	Branches  BranchReport
	Progress  *bool // nil is as standard error is a terminal

	Stdin, Stdout, Stderr *os.File
	Git                   git.Git // with the run's environment
}

// Give says what is given of what the peer lacks.
type Give string

const (
	GiveAsConfigured Give = ""          // by aig.give
	GiveAll          Give = "all"       // whatever the store has, and of alternates what references reach
	GiveReachable    Give = "reachable" // what references reach that aren't hidden
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
	BranchesOff     BranchReport = "off"       // nobody, and the peer is told no references of ours either
)

// Main runs a command with its arguments and what the process has been given, and returns the exit status.
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
			value, set = v, true // exec.Cmd too takes the last
		}
	}
	return value, set
}

func (c Config) getenv(name string) string {
	value, _ := c.lookup(name)
	return value
}
