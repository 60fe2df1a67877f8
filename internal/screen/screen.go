// Package screen is standard error as a person sees it: lines, and a progress line below them.
package screen

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"aig/internal/git"
	"aig/internal/session"
)

// progressInterval is how often the line is drawn again.
const progressInterval = 100 * time.Millisecond

// Screen is standard error. It is safe for several goroutines.
type Screen struct {
	mu    sync.Mutex
	w     *os.File
	drawn int // width of the progress line on the screen, 0 if there is none
}

// New makes a Screen of standard error.
func New(stderr *os.File) *Screen { return &Screen{w: stderr} }

// IsTerminal returns whether a person may be looking on.
func (s *Screen) IsTerminal() bool { return term.IsTerminal(int(s.w.Fd())) }

// Rows returns how many lines the terminal shows; if it is no terminal, many.
func (s *Screen) Rows() int {
	if _, rows, err := term.GetSize(int(s.w.Fd())); err == nil && rows > 0 {
		return rows
	}
	return 1000
}

// Write writes whole lines. The progress line gives way and comes back by itself.
func (s *Screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replace("")
	return s.w.Write(p)
}

func (s *Screen) draw(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replace(line)
}

// replace replaces the progress line. It wipes a longer one with spaces, as git does: that needs nothing of the terminal
// but a carriage return.
func (s *Screen) replace(line string) {
	if s.drawn == 0 && line == "" {
		return
	}
	pad := max(0, s.drawn-len(line))
	fmt.Fprintf(s.w, "\r%s%s", line, strings.Repeat(" ", pad))
	if line == "" {
		io.WriteString(s.w, "\r")
	}
	s.drawn = len(line)
}

// Start draws the progress of a conversation once the delay is over. The function that it returns wipes the line and stops; called
// again it does nothing.
func (s *Screen) Start(status *session.Status, delay time.Duration) (stop func()) {
	stopping, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		s.show(status.Progress, delay, stopping)
	}()
	return sync.OnceFunc(func() {
		close(stopping)
		<-stopped
	})
}

func (s *Screen) show(progress func() session.Progress, delay time.Duration, stopping <-chan struct{}) {
	tick, second := time.NewTicker(progressInterval), time.NewTicker(time.Second)
	defer tick.Stop()
	defer second.Stop()
	var speed, before uint64 // bytes in the last second, and all until then
	var exchange time.Time   // when it began
	for began := time.Now(); ; {
		select {
		case <-second.C:
			p := progress()
			moved := p.BytesIn + p.BytesOut
			speed, before = moved-before, moved
		case now := <-tick.C:
			p := progress()
			if p.Exchanges && exchange.IsZero() {
				exchange = now
			}
			if now.Sub(began) >= delay {
				s.draw(progressLine(p, speed, now.Sub(exchange)))
			}
		case <-stopping:
			s.draw("")
			return
		}
	}
}

// progressLine returns a line that fits into 80 columns. elapsed is the time since the exchange began.
func progressLine(p session.Progress, bytesPerSecond uint64, elapsed time.Duration) string {
	if !p.Exchanges {
		return p.Phase
	}
	var parts []string
	direction := func(sign byte, done, all, bytes uint64) {
		if all > 0 {
			parts = append(parts, fmt.Sprintf("%c %d%% of %d, %s", sign, 100*done/all, all, git.ByteSize(bytes)))
		}
	}
	direction('>', p.Given, p.Give, p.BytesOut)
	direction('<', p.Got, p.Want, p.BytesIn)
	done, all := p.Given+p.Got, p.Give+p.Want
	if done == all || bytesPerSecond == 0 {
		return cut(strings.Join(append(parts, p.Phase), "; "))
	}
	line := strings.Join(parts, "; ") + " | " + git.ByteSize(bytesPerSecond) + "/s"
	if done > 0 && elapsed >= 2*time.Second {
		left := int(elapsed.Seconds() * float64(all-done) / float64(done))
		line += fmt.Sprintf(", %d:%02d left", left/60, left%60)
	}
	return cut(line)
}

func cut(line string) string { return line[:min(len(line), 79)] }
