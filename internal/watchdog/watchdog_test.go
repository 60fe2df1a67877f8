package watchdog

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const limit = time.Minute

// stalledAfter calls f in a bubble with a clock of its own, and checks that it fails with a *StalledError within three
// ticks of want, and that the other end of the pipe is closed then.
func stalledAfter(t *testing.T, want time.Duration, f func(c *Conn, other net.Conn) error) *StalledError {
	t.Helper()
	var stalled *StalledError
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		c := Watch(a, limit, "bytes")
		start := time.Now()
		err := f(c, b)
		if took := time.Since(start); !errors.As(err, &stalled) || took < want || took > want+3*limit/ticks {
			t.Errorf("after %s: %v; want it after %s", took, err, want)
		}
		if _, err := io.Copy(io.Discard, b); err != nil {
			t.Errorf("the other end: %v", err)
		}
		time.Sleep(limit) // the other goroutines find their pipe closed
	})
	if t.Failed() {
		t.FailNow()
	}
	return stalled
}

func read(c *Conn) (err error) {
	for err == nil {
		_, err = c.Read(make([]byte, 4096))
	}
	return err
}

// drip sends so many bytes at every interval until the pipe is closed.
func drip(w io.Writer, n int, every time.Duration) {
	for {
		if _, err := w.Write(make([]byte, n)); err != nil {
			return
		}
		time.Sleep(every)
	}
}

// A Read that waits too long closes the pipe, names the phase, and every call after it fails likewise.
func TestStalledRead(t *testing.T) {
	stalled := stalledAfter(t, limit, func(c *Conn, _ net.Conn) error {
		c.Phase("the other side's hello")
		err := read(c)
		if _, again := c.Write([]byte{1}); again != err {
			t.Errorf("a Write afterwards: %v", again)
		}
		return err
	})
	if stalled.Phase != "the other side's hello" || stalled.Writing || stalled.Came != 0 {
		t.Errorf("%+v", stalled)
	}
}

// A byte a second is no sign of life, and neither is anything below 1,024 bytes within the limit; more is.
func TestTrickleIsNoLife(t *testing.T) {
	stalled := stalledAfter(t, limit, func(c *Conn, other net.Conn) error {
		go drip(other, 1, time.Second)
		return read(c)
	})
	if stalled.Came < 50 || stalled.Came > 90 {
		t.Errorf("%+v", stalled)
	}
	stalledAfter(t, 19*limit, func(c *Conn, other net.Conn) error {
		go func() {
			for range 19 * 60 {
				other.Write(make([]byte, 20)) // 1,200 in a minute
				time.Sleep(time.Second)
			}
		}()
		return read(c)
	})
}

// A whole message is a sign of life, however short.
func TestMessagesAreLife(t *testing.T) {
	stalledAfter(t, 10*limit, func(c *Conn, other net.Conn) error {
		go func() {
			for range 9 {
				time.Sleep(limit * 9 / 10)
				other.Write([]byte{1})
			}
			time.Sleep(limit * 9 / 10)
			other.Write([]byte{1})
		}()
		for {
			if _, err := c.Read(make([]byte, 1)); err != nil {
				return err
			}
			c.Heard()
		}
	})
}

// A peer that never reads ends a Write at the limit, whatever it sends meanwhile.
func TestStalledWrite(t *testing.T) {
	stalled := stalledAfter(t, limit, func(c *Conn, other net.Conn) error {
		var reading sync.WaitGroup
		defer reading.Wait()
		reading.Go(func() {
			for {
				if _, err := c.Read(make([]byte, 4096)); err != nil {
					return
				}
				c.Heard()
			}
		})
		go drip(other, 2000, time.Second)
		_, err := c.Write(make([]byte, 100))
		return err
	})
	if !stalled.Writing {
		t.Errorf("%+v", stalled)
	}
}

// What moves, moves: a Write of much to a peer that takes a piece of it now and then is not stalled until it stops.
func TestSlowWrite(t *testing.T) {
	stalledAfter(t, 10*limit*9/10+limit, func(c *Conn, other net.Conn) error {
		go func() {
			for range 10 {
				time.Sleep(limit * 9 / 10)
				io.ReadFull(other, make([]byte, piece))
			}
		}()
		n, err := c.Write(make([]byte, 20*piece))
		if n != 10*piece {
			t.Errorf("%d bytes written, want %d", n, 10*piece)
		}
		return err
	})
}

// A peer that says that it reads is given time, but not for ever.
func TestPatience(t *testing.T) {
	stalledAfter(t, Patience*limit, func(c *Conn, other net.Conn) error {
		done := make(chan struct{})
		defer close(done)
		go func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(time.Second):
					c.PeerReads()
				}
			}
		}()
		_, err := c.Write(make([]byte, 100))
		return err
	})
}

// The time in which this side is busy itself, and can't hear the peer, does not count; being busy for moments does.
func TestOwnBusyTime(t *testing.T) {
	stalledAfter(t, 5*limit+limit-limit/ticks, func(c *Conn, other net.Conn) error {
		c.Busy(true)
		time.AfterFunc(5*limit, func() { c.Busy(false) })
		_, err := c.Write(make([]byte, 100))
		return err
	})
	stalledAfter(t, limit, func(c *Conn, other net.Conn) error {
		done := make(chan struct{})
		defer close(done)
		go func() {
			for busy := true; ; busy = !busy {
				c.Busy(busy)
				select {
				case <-done:
					return
				case <-time.After(time.Second):
				}
			}
		}()
		_, err := c.Write(make([]byte, 100))
		return err
	})
}

// A side that is busy between two Reads for longer than the limit is not stalled, and neither is a stopped watch.
func TestOnlyWaitingCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		c := Watch(a, limit, "bytes")
		for range 3 {
			go b.Write([]byte{1})
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * limit) // busy elsewhere
		}
		c.Stop()
		go func() {
			time.Sleep(3 * limit)
			b.Write([]byte{1})
		}()
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatalf("after a stopped watch: %v", err)
		}
	})
}

// Idle says whether a Read has got nothing since it was asked last.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		c := Watch(a, limit, "bytes")
		want := func(idle bool, when string) {
			t.Helper()
			synctest.Wait()
			if c.Idle() != idle {
				t.Errorf("%s: idle is %v", when, !idle)
			}
		}
		want(false, "before a Read")
		go read(c)
		want(false, "a Read has begun since")
		want(true, "it waits")
		want(true, "it goes on waiting")
		go b.Write([]byte{1})
		want(false, "a byte has come")
		want(true, "none has come since")
		b.Close()
	})
}
