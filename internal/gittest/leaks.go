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

// leakPatience is how long a goroutine may outlive the tests: one that ends with a process or a connection ends soon, but
// not at once.
const leakPatience = 10 * time.Second

// Main runs a package's tests and returns the status for TestMain to exit with: a failure if one of them fails, or if a
// goroutine outlives them all. One that has any of theirs in its stack, a library's that may wait for ever, doesn't count.
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

// goroutines returns the stacks of all goroutines but this one, those that the standard library keeps for ever, and theirs.
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
