package gittest

import (
	"fmt"
	"os"
	"testing"
)

// Skip skips a test for what this machine lacks. `make test` names a file in AIG_SKIPPED, and ends by saying how many tests
// were skipped and why: so no test skips in any other way.
func Skip(t testing.TB, reason string) {
	t.Helper()
	if file := os.Getenv("AIG_SKIPPED"); file != "" {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o666)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := fmt.Fprintf(f, "%s\t%s\n", reason, t.Name()); err != nil {
			t.Fatal(err)
		}
	}
	t.Skip(reason)
}
