// Command git-aig-sync makes the object stores of two peers equal over any full-duplex pipe.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"aig/internal/app"
	"aig/internal/command"
	"aig/internal/version"
)

func main() { os.Exit(app.Main(run)) }

// run takes the arguments; c holds what the process has been given.
func run(ctx context.Context, args []string, c app.Config) error {
	o, err := parse(args, c)
	if err != nil {
		return &command.UsageError{Err: err, Usage: usageText}
	}
	switch o.verb {
	case verbHelp:
		_, err = io.WriteString(c.Stdout, o.text)
	case verbVersion:
		_, err = io.WriteString(c.Stdout, version.Line("git-aig-sync"))
	case verbFingerprint:
		var fp string
		if fp, err = app.Fingerprint(ctx, o.Config); err == nil {
			_, err = fmt.Fprintln(c.Stdout, fp)
		}
	case verbPair:
		err = app.Pair(ctx, o.Config, o.pair)
	case verbPeers:
		err = app.Peers(ctx, o.Config)
	case verbSync:
		err = app.Sync(ctx, o.Config)
	}
	return err
}
