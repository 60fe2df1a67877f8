// Command git-aig-sync makes the object stores of two peers equal over any full-duplex pipe.
package main

import (
	"context"
	"os"

	"aig/internal/app"
	"aig/internal/command"
)

func main() { os.Exit(app.Main(run)) }

// run runs the command that the arguments ask for; c holds the process's files and environment.
func run(ctx context.Context, args []string, c app.Config) error {
	o, err := parse(args, c)
	if err != nil {
		return &command.UsageError{Err: err, Usage: usageText}
	}
	return o.run(ctx, o.Config)
}
