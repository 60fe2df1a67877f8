package gittest

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// leakPatience is how long a goroutine may outlive the tests: one that ends with a process or a connection does so soon,
// but not at once.
const leakPatience = 10 * time.Second

// Main is what TestMain of a package that starts goroutines exits with: that of its tests, or a failure if a goroutine
// has outlived them all. One is left out whose stack has one of theirs in it: that of a library that can wait for ever.
func Main(m *testing.M, theirs ...string) (status int) {
	status = m.Run()
	left := goroutines(theirs)
	for end := time.Now().Add(leakPatience); len(left) > 0 && time.Now().Before(end); left = goroutines(theirs) {
		time.Sleep(5 * time.Millisecond)
	}
	if len(left) > 0 {
		fmt.Fprintf(os.Stderr, "%d goroutines have outlived the tests:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
		status = max(status, 1)
	}
	return status
}

// goroutines is the stacks of all goroutines but this one, those that the standard library keeps for ever, and theirs.
func goroutines(theirs []string) []string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	_, others, _ := strings.Cut(string(buf), "\n\n") // the first is the one that asks
	var left []string
	for stack := range strings.SplitSeq(others, "\n\n") {
		isTheirs := func(line string) bool { return strings.Contains(stack, line) }
		if stack != "" && !isTheirs("created by os/signal.Notify") && !slices.ContainsFunc(theirs, isTheirs) {
			left = append(left, stack)
		}
	}
	return left
}
