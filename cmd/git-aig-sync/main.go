// Command git-aig-sync makes the object stores of two peers equal over any full-duplex pipe.
package main

import (
	"context"
	"os"

	"aig/internal/app"
	"aig/internal/command"
)

func main() { os.Exit(app.Main(run)) }

// run takes the arguments; c holds what the process has been given.
func run(ctx context.Context, args []string, c app.Config) error {
	o, err := parse(args, c)
	if err != nil {
		return &command.UsageError{Err: err, Usage: usageText}
	}
	return o.run(ctx, o.Config)
}
