package gittest

import (
	"fmt"
	"testing"
)

// Rounds returns how often a torture test does what it does: short in every run of the tests, long under `make torture`,
// which builds with the tag "torture".
func Rounds(short, long int) int {
	if Torture {
		return long
	}
	return short
}

// Size is Rounds for a size in bytes.
func Size(short, long int64) int64 {
	if Torture {
		return long
	}
	return short
}

// Figures logs a row of the table that `make torture` prints: what was done, how often, and what came of it, such as
// "stores changed 0, longest 2.1 s".
func Figures[N int | int64](t testing.TB, what string, rounds N, format string, args ...any) {
	t.Helper()
	t.Logf("torture: %s | %d | %s | %s", t.Name(), rounds, what, fmt.Sprintf(format, args...))
}
