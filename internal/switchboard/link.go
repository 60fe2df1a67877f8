package switchboard

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// copyBuffer is the size of a direction's buffer in bytes: one SSH packet.
	copyBuffer = 32 << 10

	// drainTime is how long a link on which no byte moves lives on when one
	// side is gone and the other has not taken all that it sent.
	drainTime = time.Minute
)

// link carries bytes between two sessions.
//
// Each direction is a goroutine of its own, the only one to write to its
// destination while it runs. An end of file travels in its direction only;
// when both have travelled, the link has ended well. It ends badly when a side
// goes without saying its end of file, or before it has heard the other's.
type link struct {
	counts *counters
	idle   time.Duration // 0 is for ever
	ab, ba *direction    // from the side that waited to the one that joined, and back
	moved  atomic.Int64  // when a byte moved last, in nanoseconds since began
	began  time.Time
	done   chan struct{} // closed by the joining side when run has returned
}

// direction is one of the two ways of a link.
type direction struct {
	src, dst *session
	back     *direction
	bytes    atomic.Int64
	clean    atomic.Bool // the end of file has come, or is just being passed on
}

// outcome is how a direction ended.
type outcome int

const (
	atEOF   outcome = iota // the source's end of file was passed on
	srcLost                // the source's connection broke; all that came was passed on
	srcLeft                // the source closed its session before the other had finished
	dstGone                // the destination takes nothing any more
)

func newLink(a, b *session, idle time.Duration, counts *counters) *link {
	l := &link{
		counts: counts,
		idle:   idle,
		ab:     &direction{src: a, dst: b},
		ba:     &direction{src: b, dst: a},
		began:  time.Now(),
		done:   make(chan struct{}),
	}
	l.ab.back, l.ba.back = l.ba, l.ab
	return l
}

// result is a direction with its outcome.
type result struct {
	*direction
	outcome
}

// run carries the link until it has ended, and both sessions with it. The
// context's end ends it at once. It returns how the link ended, for the log.
func (l *link) run(ctx context.Context) string {
	results := make(chan result, 2)
	var wait sync.WaitGroup
	defer wait.Wait()
	for _, d := range []*direction{l.ab, l.ba} {
		wait.Go(func() { results <- result{d, d.carry(l)} })
	}
	var end string
	// finish ends both sessions and tells each why. Only the first call counts.
	finish := func(status uint32, how string, reason reason, tell map[*session]string, sole *session) {
		if end != "" {
			return
		}
		end = how
		if reason != "" {
			l.counts.add(reason)
		}
		for _, s := range []*session{l.ab.src, l.ba.src} {
			wait.Go(func() { s.finish(status, tell[s], s == sole || status == 0) })
		}
	}
	both := func(line string) map[*session]string {
		return map[*session]string{l.ab.src: line, l.ba.src: line}
	}

	idle := l.idle
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	if idle > 0 {
		timer.Reset(idle)
	}
	goneA, goneB := l.ab.src.gone, l.ba.src.gone
	stopped := ctx.Done()
	// deaf ends the link if the source of d has said its end of file and left,
	// and the other has not finished: nobody will hear what it goes on to say.
	deaf := func(d *direction) {
		if isClosed(d.src.gone) && d.clean.Load() && !d.back.clean.Load() && !isClosed(d.back.src.ended) {
			finish(1, "left early", "", nil, nil)
		}
	}
	left := func(d *direction) {
		// What the other side has not taken yet has at most this long to drain.
		if idle == 0 || idle > drainTime {
			idle = drainTime
			timer.Reset(idle)
		}
		deaf(d)
	}

	for running := 2; running > 0; {
		select {
		case r := <-results:
			running--
			switch {
			case r.outcome == atEOF && r.back.clean.Load():
				// The other direction may be passing its end of file on still;
				// the last of the two finds running at zero.
				if running == 0 {
					finish(0, "well", "", nil, nil)
				}
			case r.outcome == atEOF:
				deaf(r.direction)
			case r.outcome == srcLost:
				finish(1, "connection lost", "", map[*session]string{r.dst: "the other side's connection was lost"}, r.dst)
			case r.outcome == srcLeft:
				finish(1, "left early", "", map[*session]string{r.dst: "the other side has left"}, r.dst)
			case r.outcome == dstGone && r.back.clean.Load():
				finish(1, "left early", "", nil, nil)
			}
		case <-goneA:
			goneA = nil
			left(l.ab)
		case <-goneB:
			goneB = nil
			left(l.ba)
		case <-timer.C:
			if quiet := time.Since(l.began) - time.Duration(l.moved.Load()); quiet < idle {
				timer.Reset(idle - quiet)
				continue
			}
			finish(1, "idle", idleLink, both("nothing has moved for "+idle.String()), nil)
		case <-stopped:
			stopped = nil
			finish(1, "going down", goingDown, both("the switchboard is going down"), nil)
		}
	}
	if end == "" {
		// One said its end of file, and the other went without taking it all.
		finish(1, "left early", "", nil, nil)
	}
	return end
}

// carry copies until the source's end of file or the destination's end.
func (d *direction) carry(l *link) outcome {
	buf := make([]byte, copyBuffer)
	for {
		d.src.client.meter.reading()
		n, err := d.src.channel.Read(buf)
		d.src.client.meter.took(n, n < len(buf))
		if n > 0 {
			l.touch()
			if _, err := d.dst.channel.Write(buf[:n]); err != nil {
				return dstGone
			}
			l.touch()
			d.bytes.Add(int64(n))
			d.dst.client.meter.gave(n)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return srcLost
		}
	}
	<-d.src.ended // within endProof
	if !d.src.inBand {
		return srcLost
	}
	if (d.src.left || isClosed(d.src.gone)) && !d.back.clean.Load() && !isClosed(d.back.src.ended) {
		return srcLeft
	}
	// Said before it is done: the destination may leave as soon as it hears of
	// this, and has then finished in good order.
	d.clean.Store(true)
	d.dst.sendEOF(d.back.clean.Load())
	return atEOF
}

func (l *link) touch() { l.moved.Store(int64(time.Since(l.began))) }

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
