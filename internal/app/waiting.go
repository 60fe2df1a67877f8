package app

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"aig/internal/pairing"
	"aig/internal/ref"
	"aig/internal/screen"
	"aig/internal/transport"
)

// longWait is how long a person waits with a token before being reminded of what may be wrong.
const longWait = time.Minute

// waiting tells a person at a terminal what the other side has to type, when a switchboard has given a token.
type waiting struct {
	screen      *screen.Screen
	transport   string
	fingerprint string // of our key

	mu       sync.Mutex
	over     bool // somebody has come, or nobody will
	reminder *time.Timer
}

// said gets each line of the transport's, and returns whether it has shown it.
func (w *waiting) said(line string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	token := strings.TrimSpace(line)
	request, isNew := strings.CutSuffix(w.transport, "new")
	if w.over || w.reminder != nil || !isNew || !pairing.IsToken(token) {
		return false
	}
	fmt.Fprintf(w.screen, "%stell the other side: AIG_TRUST=%s git aig-sync %s\nwaiting for it …\n",
		transport.Shown(line), w.fingerprint, ref.Shell(request+token))
	w.reminder = time.AfterFunc(longWait, func() {
		fmt.Fprintln(w.screen, "still waiting: if the other side waits with a token too, one of you has to take the other's instead of new")
	})
	return true
}

func (w *waiting) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over = true; w.reminder != nil {
		w.reminder.Stop()
	}
}
