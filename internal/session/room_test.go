package session

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/intake"
	"aig/internal/oid"
	"aig/internal/reconcile"
	"aig/internal/wire"
)

// noRoom returns a pipe of 64 KiB each way, without SSH's buffers.
type noRoom struct{ gittest.PipeEnd }

func (noRoom) CloseWrite() error { return nil }

// A peer may send far ahead in the negotiation, and need not read meanwhile. By then we know the difference, and still have to
// send what the peer needs to know it too; but we go on reading all the same, or both would wait for ever.
func TestMuchToTellAndNoRoom(t *testing.T) {
	const common, only = 24_000, 3_000 // only: those that one side alone has, for each side
	secret := []byte("of a test")
	key := newKey(secret)
	random := rand.NewChaCha8([32]byte{})
	ours, theirs := oid.NewList(oid.SHA1), oid.NewList(oid.SHA1)
	for i := range uint32(common + 2*only) {
		name := make([]byte, oid.SHA1.Size())
		random.Read(name)
		name[0], name[1], name[2] = byte(i>>16), byte(i>>8), byte(i) // ascending
		if i < common || i%2 == 0 {
			ours.Append(name)
		}
		if i < common || i%2 == 1 {
			theirs.Append(name)
		}
	}
	setOf := func(names *oid.List) *reconcile.Set { return reconcile.NewSet(key, oid.SHA1.Size(), names.Chunks()...) }
	symbols := symbolsOf(t, setOf(theirs), setOf(ours))
	repo := gittest.New(t)
	store, err := intake.Open(t.Context(), git.Git{Dir: repo.Dir, Env: repo.Env})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		a, b := gittest.Pipe()
		peer := make(chan error, 1)
		go func() {
			out, in := wire.NewWriter(b), wire.NewReader(b)
			hello := wire.Hello{Oldest: 1, Newest: 1, Format: "sha1", Direction: wire.Both, Objects: common + only, Agent: "test"}
			err := out.Write(wire.TypeHello, hello.Append(nil))
			for len(symbols) > 0 && err == nil {
				part := symbols[:min(len(symbols), 112*18)] // a whole number of symbols of either kind
				symbols = symbols[len(part):]
				err = out.Write(wire.TypeSymbols, part)
			}
			for range 15_000 / 100 { // our estimate allows that many
				if err == nil {
					err = out.Write(wire.TypeSymbols, make([]byte, 100*reconcile.SymbolSize))
				}
			}
			for err == nil {
				var f wire.Frame
				if f, err = in.Next(); f.Type == wire.TypeCommon {
					err = out.Write(wire.TypeAbort, []byte("enough"))
					break
				}
			}
			peer <- err
		}()
		_, err := Run(t.Context(), noRoom{a}, Options{
			Store: store, Direction: wire.Both, Secret: secret, Timeout: time.Minute, Agent: "test",
			Objects: func(context.Context) (*oid.List, error) { return ours, nil },
			Common:  func(uint64) {}, Warn: func(string) {},
		})
		var said *PeerError
		if !errors.As(err, &said) || said.Reason != "enough" {
			t.Errorf("%v", err)
		}
		a.Close()
		if err := <-peer; err != nil {
			t.Errorf("the peer: %v", err)
		}
		b.Close()
	})
}

// symbolsOf returns the symbols of a set that another set needs to know the difference.
func symbolsOf(t *testing.T, set, other *reconcile.Set) (symbols []byte) {
	t.Helper()
	a := reconcile.NewExchange(set, other.Len(), false)
	b := reconcile.NewExchange(other, set.Len(), false)
	for !a.Finished() || !b.Finished() {
		for _, pair := range [][2]*reconcile.Exchange{{a, b}, {b, a}} {
			batch, mode, n := pair[0].Next(nil, reconcile.FirstBlock)
			if n == 0 {
				continue
			}
			if mode != reconcile.Symbols {
				t.Fatal("lists")
			}
			if pair[0] == a {
				symbols = append(symbols, batch...)
			}
			if err := pair[1].Receive(mode, batch); err != nil {
				t.Fatal(err)
			}
		}
	}
	return symbols
}
