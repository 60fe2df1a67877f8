// Command git-remote-aig lets git pull from a peer: it is the remote helper (gitremote-helpers(7)) for addresses
// aig::<transport>.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"aig/internal/command"
	"aig/internal/gitstore"
	"aig/internal/remotehelper"
	"aig/internal/screen"
	"aig/internal/version"
)

const usageText = `usage: git-remote-aig <remote> <transport>

git starts this program for addresses aig::<transport>, where <transport> is a
shell expression whose standard input and output lead to a peer that runs
git aig-sync:

    git fetch 'aig::ssh switchboard.example 17e58' main
    git clone 'aig::ssh bob git -C src/project aig-sync -' project
    git remote add bob 'aig::ssh bob git -C src/project aig-sync -'

It receives only. The peer's key must be trusted: TRUST, remote.<name>.aigTrust
or aig.trust. The own key is AIG_IDENTITY, remote.<name>.aigIdentity,
aig.identity, ~/.ssh/id_ed25519 or the SSH agent's. The word that both sides
must give alike, if there is one: AIG_CONTEXT, remote.<name>.aigContext or
aig.context.
`

func main() {
	os.Exit(command.Main(os.Stderr, func(ctx context.Context) error {
		return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	}))
}

func run(ctx context.Context, args []string, stdin, stdout, stderr *os.File) error {
	if len(args) == 1 {
		switch args[0] {
		case "-h", "--help":
			_, err := io.WriteString(stdout, usageText)
			return err
		case "--version":
			_, err := fmt.Fprintf(stdout, "git-remote-aig %s\n", version.Version)
			return err
		}
	}
	if len(args) != 2 {
		return &command.UsageError{Err: errors.New("git gives two arguments, a remote and an address"), Usage: usageText}
	}
	if err := remotehelper.AllowedByEnvironment(os.LookupEnv); err != nil {
		return err
	}
	if args[1] == "-" {
		return errors.New("the address aig::- makes no sense: standard input and output belong to git")
	}
	r := &remote{
		ctx:       ctx,
		transport: args[1],
		git:       gitstore.Git{Env: os.Environ(), Settings: new(gitstore.Settings)},
		screen:    screen.New(stderr),
	}
	// git gives the address itself where there is no remote of a name.
	name := args[0]
	if name == args[1] || name == "aig::"+args[1] {
		name = ""
	}
	if err := r.settings.Complete(ctx, r.git, os.Getenv, name); err != nil {
		return err
	}
	var err error
	if r.trust, err = r.settings.Trusted(ctx, r.screen); err != nil {
		return err
	}
	defer r.close()
	return remotehelper.Serve(ctx, stdin, stdout, r.screen, r)
}
