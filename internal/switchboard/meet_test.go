package switchboard

import (
	"crypto/rand"
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
		eventually(t, "one side waits", func() bool { return b.waitingSides() == 1 })
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

// A newer session takes the place of an older one of the same letter, and
// that is told so; another name's stays where it is.
func TestMeetReplaces(t *testing.T) {
	t.Parallel()
	b := startBoard(t, func(o *Options) { o.MaxWaiting = 2 })
	other := b.meet(t, strings.Repeat("f", 32), "a")
	old := b.meet(t, meetingName, "a")
	eventually(t, "two sides wait", func() bool { return b.waitingSides() == 2 })
	newer := b.meet(t, meetingName, "a") // in the room of the old one
	old.refused("has taken your place")
	c := b.meet(t, meetingName, "b")
	if line := c.line(); line != "switched" {
		t.Fatalf("the joining side was told %q", line)
	}
	newer.ch.CloseWrite()
	answered(newer, c)
	if n := b.waitingSides(); n != 1 {
		t.Errorf("%d sides wait, want the other meeting's one", n)
	}
	other.conn.Close()
	eventually(t, "nobody waits", func() bool { return b.waitingSides() == 0 })
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
				if _, err := p.ch.SendRequest("exec", true, command{meeting: name, letter: "ab"[j : j+1]}.marshal()[:]); err != nil {
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

// Meetings count like tokens: the most that wait, the most links.
func TestMeetLimits(t *testing.T) {
	o := DefaultOptions()
	o.MaxWaitingPerSource, o.MaxLinksPerSource = 1, 1
	r := newRendezvous(&o, rand.Reader)
	w, joined, err := r.meet(meetingName, "a", nil, sourceA)
	if joined || err != nil {
		t.Fatal(joined, err)
	}
	_, _, err = r.meet(meetingName[1:]+"0", "a", nil, sourceA)
	mustRefuse(t, err, tooManyOfSource)
	_, err = r.add(nil, sourceA, 0)
	mustRefuse(t, err, tooManyOfSource)

	got, joined, err := r.meet(meetingName, "b", nil, sourceB)
	if got != w || !joined || err != nil {
		t.Fatal(got, joined, err)
	}
	again, joined, err := r.meet(meetingName, "b", nil, sourceB)
	if joined || err != nil {
		t.Fatal(joined, err)
	}
	_, _, err = r.meet(meetingName, "a", nil, sourceA)
	mustRefuse(t, err, tooManyLinksOfSource)
	r.release(w, sourceB)
	if got, joined, err := r.meet(meetingName, "a", nil, sourceA); got != again || !joined || err != nil {
		t.Error("a refused link has spent the wait:", got, joined, err)
	}
}
