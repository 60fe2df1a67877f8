//go:build unix

package command

import (
	"os"
	"testing"

	"aig/internal/gittest"
)

// No goroutine outlives the tests. One of them runs this program as a command.
func TestMain(m *testing.M) {
	if signals, ok := os.LookupEnv("COMMAND_TEST_SEND"); ok {
		sends(signals)
		return
	}
	os.Exit(gittest.Main(m))
}
