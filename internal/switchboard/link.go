package switchboard

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// copyBuffer is the size of a direction's buffer in bytes: one SSH packet.
	copyBuffer = 32 << 10

	// drainTime is how long an idle link lives on when one side has left and the other has not taken all that it sent.
	drainTime = time.Minute
)

// errLeft is how a link ends if one side left before it got the other's end of file.
var errLeft = errors.New("left early")

// Side is one end of a link: a session of this server, or one at another node.
type Side interface {
	io.Reader                          // what it says, until its end of file; a lost connection may look the same
	io.Writer                          // takes what the other side says
	Tell(line string)                  // writes a line to standard error
	CloseWrite()                       // passes on the other side's end of file, with status 0
	RemoteAddr() net.Addr              // whom it is counted for, or nil if for nobody here
	Gone() <-chan struct{}             // closed when the side has left or its connection is lost
	Lost() error                       // after its end of file, why it was not one; a client's lost connection counts as one
	Finish(status uint32, line string) // ends the side with a line, unless that is empty, and waits until it has left
}

// link carries bytes between two sides.
//
// Each direction runs in a goroutine of its own, the only one to write to its destination meanwhile. An end of file travels only in
// its own direction, and status 0 along with it: a client that has sent its end of file closes its session as soon as it gets the
// other's, and takes no status after that. A later status overrides an earlier one.
type link struct {
	idle       time.Duration // 0 is for ever
	silence    time.Duration // the joining side must have said something by then
	directions [2]*direction // from the side that waited to the one that joined, and back
	began      time.Time
	moved      atomic.Int64 // when a byte moved last, in nanoseconds since began
	over       atomic.Bool  // the sides are being finished: we cause their ends of file
}

// direction is one of the two ways of a link.
type direction struct {
	src, dst Side
	bytes    atomic.Int64
	eof      atomic.Bool // the end of file has been passed on, or is being passed on
	err      error       // why the source was lost, if it was; set before the direction has ended
}

func newLink(waited, joined Side, o *Options) *link {
	return &link{
		idle:       o.IdleTime,
		silence:    o.SilentTime,
		directions: [2]*direction{{src: waited, dst: joined}, {src: joined, dst: waited}},
		began:      time.Now(),
	}
}

// run carries the link until it ends, and finishes both sides. When ctx ends, so does the link, and both are told the cause. The
// error is nil if both sent an end of file.
func (l *link) run(ctx context.Context) error {
	var wait sync.WaitGroup
	ended, left := make(chan *direction, len(l.directions)), make(chan *direction, len(l.directions))
	for _, d := range l.directions {
		wait.Go(func() {
			d.carry(l)
			ended <- d
		})
		wait.Go(func() {
			<-d.src.Gone()
			left <- d
		})
	}
	err := l.watch(ctx, ended, left)
	l.over.Store(true)
	status, line := uint32(0), ""
	if err != nil {
		status = 1
		if err != errLeft {
			line = err.Error()
		}
	}
	for _, d := range l.directions {
		wait.Go(func() { d.src.Finish(status, line) })
	}
	wait.Wait()
	return err
}

// watch returns when the link is over, and why. It receives directions that have ended, and those whose source has left.
func (l *link) watch(ctx context.Context, ended, left <-chan *direction) error {
	over, gone := make(map[*direction]bool), make(map[*direction]bool)
	for {
		rest, err := l.rest(len(gone) > 0)
		if err != nil {
			return err
		}
		select {
		case d := <-ended:
			if over[d] = true; d.err != nil {
				return d.err
			}
		case d := <-left:
			gone[d] = true
			if err := d.src.Lost(); err != nil {
				return err
			}
		case <-time.After(rest):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		there, back := l.directions[0], l.directions[1]
		switch {
		case over[there] && over[back] && there.eof.Load() && back.eof.Load():
			return nil
		case over[there] && over[back],
			gone[there] && over[there] && !back.eof.Load(), // nobody will hear what the other goes on to say
			gone[back] && over[back] && !there.eof.Load():
			return errLeft
		}
	}
}

// rest returns how long the link may live on if nothing moves, or why it must end now.
func (l *link) rest(gone bool) (time.Duration, error) {
	idle := l.idle
	if idle == 0 {
		idle = math.MaxInt64
	}
	if gone {
		idle = min(idle, drainTime)
	}
	age := time.Since(l.began)
	rest := idle - (age - time.Duration(l.moved.Load()))
	if rest <= 0 {
		return 0, &refusal{idleLink, "nothing has moved for " + idle.String()}
	}
	// Both peers speak at once, so a side that takes a token and says nothing only keeps the waiting side from its peer.
	if joined := l.directions[1]; joined.bytes.Load() == 0 && !joined.eof.Load() {
		if rest = min(rest, l.silence-age); rest <= 0 {
			return 0, &refusal{silentSide, "the side that joined has sent nothing in " + l.silence.String() +
				"; perhaps it was somebody else: try again, with a new token"}
		}
	}
	return rest, nil
}

// carry copies until the source's end of file or the destination's end.
func (d *direction) carry(l *link) {
	buf := make([]byte, copyBuffer)
	for {
		n, err := d.src.Read(buf)
		if n > 0 {
			l.touch()
			if _, err := d.dst.Write(buf[:n]); err != nil {
				return
			}
			l.touch()
			d.bytes.Add(int64(n))
		}
		if err != nil {
			break
		}
	}
	if l.over.Load() {
		return // or the end of file would come before the line that says why
	}
	if d.err = d.src.Lost(); d.err != nil {
		return
	}
	// Set before it is done: the destination may leave as soon as it gets the end of file, and has then finished in good order.
	d.eof.Store(true)
	d.dst.CloseWrite()
}

func (l *link) touch() { l.moved.Store(int64(time.Since(l.began))) }

// lastMoved returns when a byte moved last: the quietest link has the lowest.
func (l *link) lastMoved() int64 { return l.began.UnixNano() + l.moved.Load() }
