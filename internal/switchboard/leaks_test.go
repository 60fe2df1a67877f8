package switchboard

import (
	"os"
	"testing"

	"aig/internal/gittest"
)

// No goroutine outlives the tests.
func TestMain(m *testing.M) { os.Exit(gittest.Main(m)) }
