package session

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/gittest"
	"aig/internal/oid"
	"aig/internal/wire"
)

// large adds an incompressible blob of so many bytes to our store.
func (v *victims) large(bytes int) {
	v.t.Helper()
	content := make([]byte, bytes)
	rand.Read(content)
	file := filepath.Join(v.t.TempDir(), "large")
	if err := os.WriteFile(file, content, 0o666); err != nil {
		v.t.Fatal(err)
	}
	v.repo.Git("hash-object", "-w", file)
	v.open(v.repo)
}

// A peer falls silent while a git of ours works on a pack. The lies are told in real time, since child processes know no other,
// and all at once, since they mostly wait. No child is left, and no goroutine (which TestMain checks).
func TestTortureLiarsSlow(t *testing.T) {
	timeout := time.Duration(gittest.Rounds(2, 60)) * time.Second
	v := newVictims(t, 3)
	v.large(8 << 20) // more than SSH's window and all buffers
	them := newStock(t)
	a := them.names[0]
	// blob is the beginning of a pack of one blob of 2^40 bytes, which never ends.
	blob := []byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01")
	for size, first := uint64(1<<40), true; size > 0; first = false {
		b := byte(size & 0x7f)
		if first {
			b, size = 3<<4|byte(size&15), size>>4
		} else {
			size >>= 7
		}
		if size > 0 {
			b |= 0x80
		}
		blob = append(blob, b)
	}
	blob = append(blob, gittest.Deflate(make([]byte, 1<<20))[:200]...)
	stops := func(last string) func(*liar) {
		return func(l *liar) {
			l.give(a)
			l.say(wire.TypePack, blob)
			l.raw(last)
		}
	}
	silent := "nothing came from the peer for " + timeout.String()
	lies := []tale{
		{name: "never reads our pack", tell: func(l *liar) {
			l.mute = true
			l.common(a)
			l.say(wire.TypePack, blob)
		}, want: silent},
		{name: "a pack that stops", tell: stops(""), want: silent},
		{name: "a pack that stops within a message", tell: stops("fff0P"), want: silent},
	}
	var mu sync.Mutex
	var all []outcome
	failed := 0
	note := func(t *testing.T, out outcome) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, out)
		if t.Failed() {
			failed++
		}
	}
	grown := peak(t)
	var telling sync.WaitGroup // t.Parallel would run no more at once than there are processors
	for i, lie := range lies {
		telling.Go(func() {
			t.Run(lie.name, func(t *testing.T) {
				server := i%2 > 0
				lie.within = timeout + lastWords + 30*time.Second // other processes may be at work here
				out := v.hear(t, lie, server, timeout)
				v.verdict(t, lie, out)
				note(t, out)
			})
		})
	}
	for _, server := range []bool{false, true} {
		telling.Go(func() {
			t.Run("never reads what SSH has to say", func(t *testing.T) {
				out := v.unreadSSH(t, server, timeout)
				v.verdict(t, tale{want: silent, within: timeout + lastWords + 30*time.Second}, out)
				note(t, out)
			})
		})
	}
	telling.Wait()
	if all[0].memory = grown(); all[0].memory > lieMemory {
		t.Errorf("they took %d MiB of memory", all[0].memory>>20)
	}
	v.untouched(t, tale{})
	if left := gittest.Children(t); len(left) > 0 {
		t.Errorf("children left: %v", left)
	}
	figures(t, "silent while a git works, never reads a pack", all, failed)
}

// unreadSSH has a conversation with a peer that makes requests of SSH and never reads the replies.
func (v *victims) unreadSSH(t *testing.T, server bool, timeout time.Duration) (out outcome) {
	ours, liar := v.bare(t, ssh.Config{}, server, lieTimeout)
	resume := liar.pipe.stop()
	var talking sync.WaitGroup
	talking.Go(func() {
		for {
			if _, _, err := liar.SendRequest(esc, false, make([]byte, 1000)); err != nil {
				return
			}
			if _, err := liar.channel.Write([]byte("0005A")); err != nil {
				return
			}
			go liar.OpenChannel(esc, nil) // the reply is never read
			time.Sleep(time.Millisecond)
		}
	})
	start := time.Now()
	_, err := Run(t.Context(), ours, Options{
		Store: v.store, Direction: wire.Both, Secret: ours.SessionID(), Server: ours.Server, Agent: "victim", Timeout: timeout,
		Objects: func(context.Context) (*oid.List, error) { return v.list, nil }, Common: func(uint64) {}, Warn: func(string) {},
	})
	out.err, out.took = err, time.Since(start)
	ours.Close()
	resume()
	liar.Close()
	talking.Wait()
	return out
}
