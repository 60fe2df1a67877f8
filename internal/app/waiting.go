package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"aig/internal/pairing"
	"aig/internal/ref"
	"aig/internal/screen"
	"aig/internal/transport"
)

// longWait is how long a person waits with a token before being reminded of what may be wrong.
const longWait = time.Minute

// tellToken returns [LinkOptions.Said]: a person at a terminal is told what the other side has to type, when a switchboard has
// given a token. waiting ends when somebody has come.
func (c Config) tellToken(waiting context.Context, s *screen.Screen, fingerprint string) func(line string) bool {
	request, isNew := strings.CutSuffix(c.Transport, "new")
	if !isNew || c.Quiet || !s.IsTerminal() {
		return nil
	}
	told := false
	return func(line string) bool {
		token := strings.TrimSpace(line)
		if told || waiting.Err() != nil || !pairing.IsToken(token) {
			return false
		}
		told = true
		fmt.Fprintf(s, "%stell the other side: AIG_TRUST=%s git aig-sync %s\nwaiting for it …\n",
			transport.Shown(line), fingerprint, ref.Shell(request+token))
		reminder := time.AfterFunc(longWait, func() {
			fmt.Fprintln(s, "still waiting: if the other side waits with a token too, one of you has to take the other's instead of new")
		})
		context.AfterFunc(waiting, func() { reminder.Stop() })
		return true
	}
}
