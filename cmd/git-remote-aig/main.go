// Command git-remote-aig lets git pull from a peer: it is the remote helper (gitremote-helpers(7)) for addresses
// aig::<transport>.
package main

import (
	"context"
	"errors"
	"io"
	"os"

	"aig/internal/app"
	"aig/internal/command"
	"aig/internal/version"
)

const usageText = `usage: git-remote-aig <remote> <transport>

git starts this program for addresses aig::<transport>, where <transport> is a
shell expression whose standard input and output lead to a peer that runs
git aig-sync:

    git fetch 'aig::ssh switchboard.example 17e58' main
    git clone 'aig::ssh bob git -C src/project aig-sync -' project
    git remote add bob 'aig::ssh bob git -C src/project aig-sync -'

It receives only. A remote needs its own remote.<name>.aigTrust, the fingerprint
of the peer's key; an address that you type needs AIG_TRUST, or aig.trust and
protocol.aig.allow=user. Your key is remote.<name>.aigIdentity, AIG_IDENTITY,
aig.identity, ~/.ssh/id_ed25519 or the SSH agent's. A word that both sides must
give, if you want one: remote.<name>.aigContext, AIG_CONTEXT or aig.context.
`

func main() { os.Exit(app.Main(run)) }

// run answers git, or a person who asks for help; c holds the process's files and environment.
func run(ctx context.Context, args []string, c app.Config) error {
	if len(args) == 1 {
		switch args[0] {
		case "-h", "--help":
			_, err := io.WriteString(c.Stdout, usageText)
			return err
		case "--version":
			_, err := io.WriteString(c.Stdout, version.Line("git-remote-aig"))
			return err
		}
	}
	if len(args) != 2 {
		return &command.UsageError{Err: errors.New("git gives two arguments, a remote and an address"), Usage: usageText}
	}
	c.Transport, c.Timeout = args[1], app.DefaultTimeout
	return app.Fetch(ctx, c, args[0])
}
