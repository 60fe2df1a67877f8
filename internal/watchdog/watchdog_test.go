package watchdog

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// A Read that waits too long closes the pipe, names the phase, and stays failed; the other end sees the close.
func TestStalledReadClosesThePipe(t *testing.T) {
	a, b := net.Pipe()
	c := Watch(a, 10*time.Millisecond, "first")
	c.Phase("the other side's hello")
	var stalled *StalledError
	for range 2 {
		if _, err := c.Read(make([]byte, 1)); !errors.As(err, &stalled) || stalled.Phase != "the other side's hello" {
			t.Fatalf("Read: %v", err)
		}
	}
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Fatalf("other end: %v, want the end of the pipe", err)
	}
}

// A side that is busy between two Reads for longer than the limit is not stalled, and neither is a stopped watch.
func TestOnlyWaitingCounts(t *testing.T) {
	const limit = 20 * time.Millisecond
	a, b := net.Pipe()
	defer b.Close()
	c := Watch(a, limit, "bytes")
	write := func() {
		if _, err := b.Write([]byte{1}); err != nil {
			t.Error(err)
		}
	}
	go write()
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	<-time.After(3 * limit) // busy elsewhere: the very thing that must not count
	c.Stop()
	go func() {
		<-time.After(3 * limit)
		write()
	}()
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatalf("after a busy spell and a stopped watch: %v", err)
	}
}
