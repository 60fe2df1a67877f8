package session

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aig/internal/gittest"
	"aig/internal/reconcile"
	"aig/internal/ref"
	"aig/internal/wire"
)

// meter is a pipe that counts the bytes read, and breaks at most of them if that is not 0.
type meter struct {
	Pipe
	most, bytes int
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Pipe.Read(p)
	if m.bytes += n; m.most > 0 && m.bytes >= m.most {
		m.Close()
	}
	return n, err
}

// largeFile returns a repository with one commit of a file that git can't compress.
func largeFile(t *testing.T, size int) *gittest.Repo {
	t.Helper()
	r := gittest.New(t)
	content := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(content)
	r.Commit("large", string(content))
	return r
}

// meet has a conversation between two stores over a meter, and returns how many bytes came.
func meet(t *testing.T, from, to *gittest.Repo, most int) (bytes int, got error) {
	t.Helper()
	a, b := &side{repo: from}, &side{repo: to}
	pipeA, pipeB := gittest.Loopback(t)
	oA, oB := a.options(t, t.Context()), b.options(t, t.Context())
	oB.Server = true
	oA.Secret, oB.Secret = []byte(fmt.Sprint(most)), []byte(fmt.Sprint(most))
	m := &meter{Pipe: pipeB, most: most}
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.run(t.Context(), t, pipeA, oA)
	}()
	b.run(t.Context(), t, m, oB)
	<-done
	if most == 0 {
		mustAgree(t, a, b)
		to.MustBeSound()
	}
	return m.bytes, b.err
}

func partials(r *gittest.Repo) []string {
	files, _ := filepath.Glob(filepath.Join(r.ObjectDir(), "tmp_aig_partial_*"))
	return files
}

// mustBeClean fails if anything but objects is left.
func mustBeClean(t *testing.T, r *gittest.Repo) {
	t.Helper()
	if left := append(partials(r), r.Quarantines()...); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

const largeSize = 12 << 20

// A large object whose transfer breaks at nine tenths needs little more than the last tenth the next time.
func TestResumeInsideALargeObject(t *testing.T) {
	t.Parallel()
	from, to := largeFile(t, largeSize), gittest.New(t)
	if _, err := meet(t, from, to, largeSize*9/10); err == nil {
		t.Fatal("the pipe did not break")
	}
	if left := partials(to); len(left) != 1 {
		t.Fatalf("partial packs: %v", left)
	}
	if n, _ := meet(t, from, to, 0); n > largeSize*12/100 {
		t.Errorf("%d bytes came the second time, of %d", n, largeSize)
	}
	mustBeClean(t, to)
}

// A large object arrives however often the link breaks.
func TestResumeAgainAndAgain(t *testing.T) {
	t.Parallel()
	from, to := largeFile(t, largeSize), gittest.New(t)
	const most = largeSize / 8
	for range 9 {
		if _, err := meet(t, from, to, most); err == nil {
			break
		}
	}
	if n, _ := meet(t, from, to, 0); n > most {
		t.Errorf("%d bytes were left", n)
	}
	mustBeClean(t, to)
}

// So does a large file with its versions, which come as deltas in one pack.
func TestResumeOfDeltas(t *testing.T) {
	t.Parallel()
	from, to := largeFile(t, largeSize), gittest.New(t)
	content, err := os.ReadFile(filepath.Join(from.Dir, "large"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		from.Commit("large", fmt.Sprint(i)+string(content))
	}
	from.Git("repack", "-adfq", "--window-memory=0")
	if _, err := meet(t, from, to, largeSize*9/10); err == nil {
		t.Fatal("the pipe did not break")
	}
	if n, _ := meet(t, from, to, 0); n > largeSize*12/100 {
		t.Errorf("%d bytes came the second time, of %d", n, largeSize)
	}
	mustBeClean(t, to)
}

// If the other side now makes a different pack of the object, or what was kept is damaged, all of it comes again.
func TestResumeOfAnotherPack(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(from, to *gittest.Repo){
		"packed otherwise": func(from, _ *gittest.Repo) { from.Git("-c", "pack.compression=0", "repack", "-adFq") },
		"changed":          func(_, to *gittest.Repo) { rewrite(t, partials(to)[0], func(b []byte) { b[len(b)/2] ^= 1 }) },
		"longer": func(_, to *gittest.Repo) {
			f, err := os.OpenFile(partials(to)[0], os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			f.Write(make([]byte, largeSize))
		},
		"unreadable name": func(_, to *gittest.Repo) {
			p := partials(to)[0]
			os.Rename(p, strings.TrimSuffix(p, p[len(p)-2:])+"zz")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := largeFile(t, largeSize), gittest.New(t)
			if _, err := meet(t, from, to, largeSize/2); err == nil {
				t.Fatal("the pipe did not break")
			}
			change(from, to)
			if n, _ := meet(t, from, to, 0); n < largeSize {
				t.Errorf("only %d bytes came", n)
			}
			mustBeClean(t, to)
		})
	}
}

func rewrite(t *testing.T, path string, change func([]byte)) {
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	change(content)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// aig.maxPartial bounds what is kept, and git prune sweeps it. What is beyond the bound comes again.
func TestPartialsAreBounded(t *testing.T) {
	t.Parallel()
	from, to := largeFile(t, largeSize), gittest.New(t)
	for size, want := range map[string]int64{"0": 0, "1m": 1 << 20} {
		to.Git("config", "aig.maxPartial", size)
		if _, err := meet(t, from, to, largeSize/2); err == nil {
			t.Fatal("the pipe did not break")
		}
		var kept int64
		for _, path := range partials(to) {
			if info, err := os.Stat(path); err == nil {
				kept += info.Size()
			}
		}
		if kept != want {
			t.Errorf("aig.maxPartial=%s: %d bytes are kept", size, kept)
		}
	}
	older := filepath.Join(to.ObjectDir(), "tmp_aig_partial_"+strings.Repeat("ab", 20))
	if err := os.WriteFile(older, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	to.Git("config", "aig.maxPartial", "1500k")
	if _, err := meet(t, from, to, largeSize/2); err == nil {
		t.Fatal("the pipe did not break")
	}
	if left := partials(to); len(left) != 1 || left[0] == older {
		t.Errorf("kept: %v", left)
	}
	to.Git("prune", "--expire=now")
	mustBeClean(t, to)
}

// A peer that lies about partial packs gains nothing, and one that doesn't know them gets what it lacks all the same.
func TestTortureLiarsPartials(t *testing.T) {
	v := newVictims(t, 20)
	s := newStock(t)
	a, b := binaryName(s.names[0]), binaryName(s.names[1])
	resumes := func(l *liar) { l.greeting = []string{"both", "push", "agent", "resume 1\nagent"} }
	begin := func(offset uint64, object []byte) []byte {
		return wire.PackBegin{Offset: offset, Object: object}.Append(nil)
	}
	part := wire.Append(nil, wire.Partial{Object: 1, Bytes: 1 << 63})
	lie := func(name, want string, do func(l *liar)) tale {
		return tale{name: name, want: want, tell: func(l *liar) {
			resumes(l)
			common := l.negotiate(s.names...)
			l.until(wire.TypeCommon)
			do(l)
			l.say(wire.TypeCommon, wire.Append(nil, common))
			l.conn.CloseWrite()
		}}
	}
	v.tellAll(t, "partial packs", []tale{
		lie("goes on where nothing is", "continues a pack at byte 5, which we did not offer", func(l *liar) { l.say(wire.TypePackBegin, begin(5, a)) }),
		lie("begins with what was not announced", "was not announced", func(l *liar) { l.say(wire.TypePackBegin, begin(0, make([]byte, 20))) }),
		{name: "begins before it can know what is held", want: "which we did not offer",
			refs: slices.Repeat([]ref.Ref{{Name: "refs/heads/" + strings.Repeat("x", 3900)}}, 1000), // more than SSH's window: we are still telling them
			tell: func(l *liar) {
				resumes(l)
				l.hello(len(s.names))
				set, _ := l.set(s.names)
				batch, mode, _ := reconcile.NewExchange(set, v.list.Len(), false).Next(nil, len(s.names))
				l.say(typeOf[mode], batch)
				l.say(wire.TypePackBegin, begin(5, a))
				time.Sleep(time.Second) // what follows reads, and so lets the other side go on telling
				l.conn.CloseWrite()
			}},
		lie("begins with half a name", "a pack begin of 18 bytes", func(l *liar) { l.say(wire.TypePackBegin, begin(0, a[:10])) }),
		lie("begins twice", "begins a pack inside another", func(l *liar) {
			l.say(wire.TypePackBegin, begin(0, a))
			l.say(wire.TypePackBegin, begin(0, b))
		}),
		lie("begins inside a pack", "begins a pack inside another", func(l *liar) {
			l.say(wire.TypePack, []byte("PACK"))
			l.say(wire.TypePackBegin, begin(0, b))
		}),
		lie("half a partial pack", "a list of partial packs of 47 bytes", func(l *liar) { l.say(wire.TypePartial, part[1:]) }),
		lie("no partial pack", "a list of partial packs of 0 bytes", func(l *liar) { l.say(wire.TypePartial) }),
		lie("twice", "announces its partial packs too late", func(l *liar) {
			l.say(wire.TypePartial, part)
			l.say(wire.TypePartial, part)
		}),
		{name: "after what is common", want: "announces its partial packs too late", tell: func(l *liar) {
			resumes(l)
			l.common(s.names...)
			l.say(wire.TypePartial, part)
			l.conn.CloseWrite()
		}},
		{name: "of objects that nobody has", tell: func(l *liar) {
			l.greeting = []string{"agent", "resume 1\nagent"}
			common := l.negotiate(v.names()...)
			l.say(wire.TypePartial, part)
			l.say(wire.TypeCommon, wire.Append(nil, common))
			l.part(0)
		}},
		{name: "begun, taken back, and given without", stores: true, tell: func(l *liar) {
			resumes(l)
			l.common(s.names...)
			l.until(wire.TypeCommon)
			l.say(wire.TypePackBegin, begin(0, a))
			l.say(wire.TypePack, s.pack(s.names[0])[:20])
			l.say(wire.TypePackDrop)
			l.pack(0, 3, s.pack(s.names...))
			l.part(0)
		}},
	})
	mustBeClean(t, v.repo)
}
