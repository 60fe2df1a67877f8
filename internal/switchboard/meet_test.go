package switchboard

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"aig/internal/gittest"
)

const meetingName = "0123456789abcdef0123456789abcdef"

// meet asks for a meeting.
func (b *board) meet(tb testing.TB, name, letter string) *peer {
	tb.Helper()
	return b.run(tb, "meet "+name+" "+letter)
}

// Whoever comes first waits in silence; the other letter is joined to it. It
// works time after time, in either order.
func TestMeet(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	for _, letters := range []string{"ab", "ba", "ab"} {
		first := b.meet(t, meetingName, letters[:1])
		eventually(t, "one side waits", func() bool { return b.waiting.number() == 1 })
		second := b.meet(t, meetingName, letters[1:])
		if line := second.line(); line != "switched" {
			t.Fatalf("the joining side was told %q", line)
		}
		first.write("ping")
		second.read("ping")
		first.ch.CloseWrite()
		answered(first, second)
		if line := first.line(); line != "" {
			t.Errorf("the waiting side was told %q", line)
		}
	}
}

// A newer session takes the place of an older one with the same letter, which is told so; one under another name stays.
func TestMeetReplaces(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	other := b.meet(t, strings.Repeat("f", 32), "a")
	old := b.meet(t, meetingName, "a")
	eventually(t, "two sides wait", func() bool { return b.waiting.number() == 2 })
	newer := b.meet(t, meetingName, "a")
	old.refused("has taken your place")
	c := b.meet(t, meetingName, "b")
	if line := c.line(); line != "switched" {
		t.Fatalf("the joining side was told %q", line)
	}
	newer.ch.CloseWrite()
	answered(newer, c)
	if n := b.waiting.number(); n != 1 {
		t.Errorf("%d sides wait, want the other meeting's one", n)
	}
	other.conn.Close()
	eventually(t, "nobody waits", func() bool { return b.waiting.number() == 0 })
}

// Two sides that come at the same moment are always joined, whichever was
// first by a hair.
func TestMeetAtOnce(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	for i := range gittest.Rounds(20, 200) {
		name := fmt.Sprintf("%032x", i)
		pair := []*peer{b.dial(t).session(), b.dial(t).session()}
		var wait sync.WaitGroup
		for j, p := range pair {
			wait.Go(func() {
				if _, err := p.ch.SendRequest("exec", true, command{key: Key{name, "ab"[j : j+1]}}.marshal()[:]); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		pair[0].ch.CloseWrite()
		answered(pair[0], pair[1])
		pair[0].conn.Close()
		pair[1].conn.Close()
	}
}

// Meetings count like tokens: one too many pushes out the oldest of its crowd.
func TestMeetLimits(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.MaxWaiting = 1 })
	p := b.meet(t, meetingName, "a")
	eventually(t, "one side waits", func() bool { return b.waiting.number() == 1 })
	_, token := b.wait(t)
	p.refused("too many are waiting here, most of them from your network")
	b.meet(t, meetingName, "b")
	eventually(t, "the other one has gone", func() bool { return b.counted(tooManyWaiting) == 2 })
	b.run(t, token).refused("nobody is waiting")
}
