package session

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/intake"
	"aig/internal/objects"
	"aig/internal/oid"
	"aig/internal/ref"
	"aig/internal/wire"
)

// FuzzConversation: whatever an authenticated peer says from its hello to its goodbye, the conversation ends and leaves no
// goroutine behind; it succeeds only if all that was announced is in the store; and an error shows nothing raw. The seeds
// are what real peers have said.
func FuzzConversation(f *testing.F) {
	secret := []byte("of a test")
	ours, theirs, many := gittest.New(f), gittest.New(f), gittest.New(f)
	ours.Commit("file", "ours")
	theirs.Commit("file", "theirs")
	many.Blobs("many", 150)
	ctx := f.Context()
	open := func(r *gittest.Repo) *intake.Store {
		store, err := intake.Open(ctx, git.Git{Dir: r.Dir, Env: r.Env})
		if err != nil {
			f.Fatal(err)
		}
		return store
	}
	store := open(ours)
	list, err := objects.List(ctx, store.Repo) // as it is now, whatever comes in
	if err != nil {
		f.Fatal(err)
	}
	options := func(store *intake.Store) Options {
		return Options{
			Store: store, Direction: wire.Both, Secret: secret, Timeout: 20 * time.Second, Agent: "test",
			Objects: func(context.Context) (*oid.List, error) { return list, nil },
			Common:  func(uint64) {}, Warn: func(string) {},
		}
	}
	holding := func(o Options) Options {
		o.Direction = wire.Pull
		o.Hold = func(context.Context, Offer) (*intake.Store, error) { return store, nil }
		o.Store = nil
		return o
	}

	// What each peer says when it talks to us.
	for _, peer := range []*gittest.Repo{ours, theirs, many} {
		for _, hold := range []bool{false, true} {
			o, p := options(store), options(open(peer))
			p.Server, p.Objects, p.Refs = true, nil, listed(ref.Ref{OID: strings.Repeat("0", 40), Name: "HEAD", Target: "refs/heads/main"})
			if hold {
				o = holding(o)
			}
			ear := new(recorder)
			a, b := gittest.Loopback(f)
			ear.Pipe = b
			var talking sync.WaitGroup
			talking.Go(func() {
				if _, err := Run(ctx, ear, p); err != nil {
					f.Error(err)
				}
			})
			_, err := Run(ctx, a, o)
			if err != nil {
				f.Fatal(err)
			}
			talking.Wait()
			a.Close()
			b.Close()
			f.Add(ear.said.Bytes(), hold)
		}
	}
	hello := "0053Hversions 1 1\nobject-format sha1\ndirection both\nobjects 407095\nagent \x1b[2J.1.0\n"
	f.Add([]byte(hello+"0016Y0123456789abcdef01"), false)
	f.Add([]byte("000aXwhy\x1b\n"), true)

	f.Fuzz(func(t *testing.T, says []byte, hold bool) {
		o := options(store)
		if hold {
			o = holding(o)
		}
		before := runtime.NumGoroutine()
		result, err := Run(t.Context(), newMonologue(says), o)
		switch {
		case err == nil && !result.Left:
			here, listErr := objects.List(t.Context(), store.Repo)
			if listErr != nil {
				t.Fatal(listErr)
			}
			for i := range result.Received.Len() {
				name := result.Received.At(i)
				if _, found := here.Search(name); !found {
					t.Errorf("%x was received and is not here", name)
				}
			}
		case err != nil && strings.ContainsFunc(err.Error(), func(c rune) bool { return c < ' ' || c == 0x7f }):
			t.Errorf("the error is %q", err)
		}
		for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
			if time.Now().After(deadline) {
				buf := make([]byte, 1<<16)
				t.Fatalf("%d goroutines, were %d\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
			}
		}
	})
}

// recorder records what a side says.
type recorder struct {
	Pipe
	mu   sync.Mutex
	said bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said.Write(p)
	return r.Pipe.Write(p)
}

// monologue is a peer with a fixed text. It listens only for what a peer would wait for, a pack before its verdict on it and
// our done before its goodbye, and after a moment goes on without it.
type monologue struct {
	rest  []byte // still to be said
	part  []byte // being said
	packs chan struct{}
	done  chan struct{}
}

func newMonologue(says []byte) *monologue {
	return &monologue{rest: says, packs: make(chan struct{}, 1000), done: make(chan struct{}, 1)}
}

func (m *monologue) Read(p []byte) (int, error) {
	if len(m.part) == 0 {
		if len(m.rest) == 0 {
			return 0, io.EOF
		}
		m.part, m.rest = m.rest, nil
		if len(m.part) > 4 {
			if size, err := strconv.ParseUint(string(m.part[:4]), 16, 16); err == nil && size > 4 && int(size) < len(m.part) {
				m.part, m.rest = m.part[:size], m.part[size:]
			}
			var heard <-chan struct{}
			switch wire.Type(m.part[4]) {
			case wire.TypeStored, wire.TypeRefused:
				heard = m.packs
			case wire.TypeBye:
				heard = m.done
			}
			if heard != nil {
				select {
				case <-heard:
				case <-time.After(300 * time.Millisecond):
				}
			}
		}
	}
	n := copy(p, m.part)
	m.part = m.part[n:]
	return n, nil
}

// Write is called with whole frames.
func (m *monologue) Write(p []byte) (int, error) {
	if len(p) > 4 {
		switch wire.Type(p[4]) {
		case wire.TypePackEnd:
			notify(m.packs)
		case wire.TypeDone:
			notify(m.done)
		}
	}
	return len(p), nil
}

func (*monologue) CloseWrite() error { return nil }
func (*monologue) Close() error      { return nil }
