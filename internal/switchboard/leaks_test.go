package switchboard

import (
	"os"
	"testing"

	"aig/internal/gittest"
)

// No goroutine outlives the tests, except one of x/crypto's client that opens a channel just when the connection ends: it may wait
// for an answer for ever.
func TestMain(m *testing.M) { os.Exit(gittest.Main(m, "crypto/ssh.(*mux).openChannel(")) }
