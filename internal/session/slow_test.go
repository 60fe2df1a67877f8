package session

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"aig/internal/gittest"
	"aig/internal/oid"
	"aig/internal/ref"
	"aig/internal/wire"
)

// slowly returns the two ends of a pipe that passes a given number of bytes a second in each direction.
func slowly(rate int) (a, b gittest.PipeEnd) {
	a, near := gittest.Pipe()
	far, b := gittest.Pipe()
	pass := func(to io.WriteCloser, from io.Reader) {
		defer to.Close()
		buf := make([]byte, max(rate/8, 1))
		for {
			n, err := from.Read(buf)
			if _, writeErr := to.Write(buf[:n]); err != nil || writeErr != nil {
				return
			}
			time.Sleep(time.Duration(n) * time.Second / time.Duration(rate))
		}
	}
	go pass(far, near)
	go pass(near, far)
	return a, b
}

// A slow link is not a stuck one: more references than all buffers hold get through both ways, though each write waits longer
// than the timeout for the one before it to pass. It runs in a bubble without SSH, which would stop its clock; the long form
// goes through SSH too, whose window opens in steps of 96 KiB.
func TestTortureSlowLink(t *testing.T) {
	v := newVictims(t, 3)
	told := func(bytes int) (refs []ref.Ref) {
		for i := range bytes / 4000 {
			refs = append(refs, ref.Ref{OID: fmt.Sprintf("%040d", i), Name: fmt.Sprintf("refs/heads/%03940d", i)})
		}
		return refs
	}
	both := func(t *testing.T, ends [2]Pipe, timeout time.Duration, refs []ref.Ref) time.Duration {
		start := time.Now()
		var sides sync.WaitGroup
		for i, end := range ends {
			sides.Go(func() {
				result, err := Run(t.Context(), end, Options{
					Store: v.store, Direction: wire.Both, Secret: []byte("of a test"), Server: i > 0, Timeout: timeout, Agent: "test",
					Objects: func(context.Context) (*oid.List, error) { return v.list, nil },
					Refs:    func(context.Context) ([]ref.Ref, error) { return refs, nil },
					Common:  func(uint64) {}, Warn: func(string) {},
				})
				if err != nil {
					t.Error(err)
					return
				}
				if len(result.PeerRefs) != len(refs) {
					t.Errorf("%d references came of %d", len(result.PeerRefs), len(refs))
				}
			})
		}
		sides.Wait()
		return time.Since(start)
	}
	var took time.Duration
	synctest.Test(t, func(t *testing.T) {
		a, b := slowly(2000)
		took = both(t, [2]Pipe{noRoom{a}, noRoom{b}}, time.Minute, told(2<<20))
		a.Close()
		b.Close()
		time.Sleep(time.Minute) // until the goroutines that pass bytes find their pipe closed
	})
	gittest.Figures(t, "a link of 2,000 bytes a second", 1, "2 MiB each way, whole after %s", took.Round(time.Minute))
	if !gittest.Torture {
		return
	}
	const rate, timeout = 45_000, 4 * time.Second
	a, b := slowly(rate)
	ours, theirs := v.tunnelOver(t, a, b, false)
	took = both(t, [2]Pipe{ours, theirs}, timeout, told(4<<20))
	ours.Close()
	theirs.Close()
	gittest.Figures(t, "a link of 45,000 bytes a second with a timeout of 4 s, through SSH", 1, "4 MiB each way, whole after %s", took.Round(time.Second))
}
