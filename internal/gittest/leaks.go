package gittest

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// leakPatience is how long a goroutine may outlive the tests: one that ends with a process or a connection ends soon, but
// not at once.
const leakPatience = 10 * time.Second

// Main runs a package's tests and returns the status for TestMain to exit with: a failure if one of them fails, or if a
// goroutine outlives them all.
func Main(m *testing.M) (status int) {
	status = m.Run()
	left := goroutines()
	for end := time.Now().Add(leakPatience); len(left) > 0 && time.Now().Before(end); left = goroutines() {
		time.Sleep(5 * time.Millisecond)
	}
	if len(left) > 0 {
		fmt.Fprintf(os.Stderr, "%d goroutines have outlived the tests:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
		status = max(status, 1)
	}
	return status
}

// goroutines returns the stacks of all goroutines but this one and those that the standard library keeps for ever.
func goroutines() []string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	_, others, _ := strings.Cut(string(buf), "\n\n") // the first is the one that asks
	var left []string
	for stack := range strings.SplitSeq(others, "\n\n") {
		if stack != "" && !strings.Contains(stack, "created by os/signal.Notify") {
			left = append(left, stack)
		}
	}
	return left
}
