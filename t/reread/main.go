// Command reread reads every object of a SHA-1 repository with go-git, which shares no code with git, and prints their names
// in ascending order. It fails if an object is not what its name says.
package main

import (
	"fmt"
	"os"

	"aig/internal/gittest"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: reread <git directory>")
		os.Exit(129)
	}
	names, err := gittest.Reread(os.Args[1])
	if err != nil {
		fmt.Fprintf(os.Stderr, "fatal: %v\n", err)
		os.Exit(128)
	}
	for _, name := range names {
		fmt.Println(name)
	}
}
