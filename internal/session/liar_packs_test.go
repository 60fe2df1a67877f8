package session

import (
	"encoding/hex"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"aig/internal/gittest"
)

// made is a handwritten pack and the names of its objects.
type made struct {
	gittest.Pack
	names []string
}

func (m *made) object(kind byte, content string) []byte {
	name := m.Object(kind, []byte(content))
	m.names = append(m.names, hex.EncodeToString(name))
	return name
}

// announced returns the names of the objects of all packs, as a side would announce them.
func announced(packs ...*made) (names []string) {
	for _, m := range packs {
		names = append(names, m.names...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// bombs returns a pack of n deltas that each produce an object of size bytes.
func bombs(n, size int) *made {
	m := new(made)
	const baseSize = 1 << 20
	content := make([]byte, size)
	base := m.Offset()
	m.object(gittest.PackBlob, string(make([]byte, baseSize)))
	for i := range n {
		text := fmt.Sprintf("%08d", i)
		instructions := [][]byte{gittest.Insert(text)}
		for left := size - len(text); left > 0; left -= baseSize {
			instructions = append(instructions, gittest.Copy(0, uint32(min(left, baseSize))))
		}
		m.OfsDelta(uint64(m.Offset()-base), gittest.Delta(baseSize, uint64(size), instructions...))
		copy(content, text)
		m.names = append(m.names, hex.EncodeToString(m.Name(gittest.PackBlob, content)))
	}
	return m
}

const hostileModules = "[submodule \"a\"]\n\tpath = a\n\turl = \"-\x1b[31m\\nfatal: \"\n"

// A peer's packs are malformed, or hold what git's checks reject, or need more than is allowed, each through a whole
// conversation. The peer is told why, the store is as it was, and what the next peer gives goes in.
func TestTortureLiarsBadPacks(t *testing.T) {
	v := newVictims(t, 20)
	// A tree whose .gitmodules was refused stays, as in a partial store, and git fsck would complain of that.
	v.repo.Git("config", "fsck.gitmodulesMissing", "ignore")
	v.open(v.repo)
	leaves := func(l *liar) {
		l.judged()
		l.conn.CloseWrite()
	}
	// refused returns the tale of one refused pack.
	refused := func(name, why string, m *made, pack []byte) tale {
		return tale{name: name, refused: why, want: "the pipe ended", tell: func(l *liar) {
			l.give(announced(m)...)
			l.pack(0, uint32(len(m.names)), pack)
			leaves(l)
		}}
	}
	blob := func(contents ...string) *made {
		m := new(made)
		for _, c := range contents {
			m.object(gittest.PackBlob, c)
		}
		return m
	}
	tree := func(mode, name string, object []byte) *made {
		m := new(made)
		m.object(gittest.PackTree, string(gittest.TreeEntry(mode, name, object)))
		return m
	}
	some := make([]byte, 20)
	some[0] = 1
	good := blob("one\n", "two\n")
	whole := good.Bytes()
	var unknown, behind, absent, wild gittest.Pack
	unknown.Entry(5, 4, nil, gittest.Deflate([]byte("one\n")))
	unknown.Object(gittest.PackBlob, []byte("two\n"))
	behind.Entry(gittest.PackBlob, 5, nil, gittest.Deflate([]byte("one\n")))
	behind.Object(gittest.PackBlob, []byte("two\n"))
	absent.Object(gittest.PackBlob, []byte("one\n"))
	absent.RefDelta(some, gittest.Delta(1, 1, gittest.Copy(0, 1)))
	one := wild.Object(gittest.PackBlob, []byte("one\n"))
	wild.RefDelta(one, gittest.Delta(4, 9, gittest.Copy(0, 9)))
	// Sizes in more bytes than git reads; index-pack minds none.
	longBlob, longTree, longDelta := &made{Pack: gittest.Pack{Pad: 12}}, &made{Pack: gittest.Pack{Pad: 8}}, &made{}
	longBlob.object(gittest.PackBlob, "one\n")
	longTree.object(gittest.PackTree, string(gittest.TreeEntry("100644", "file", some)))
	base := longDelta.object(gittest.PackBlob, "a base that is long enough\n")
	longDelta.Pad = 80
	longDelta.RefDelta(base, gittest.Delta(27, 20, gittest.Copy(0, 20)))
	longDelta.names = append(longDelta.names, hex.EncodeToString(longDelta.Name(gittest.PackBlob, []byte("a base that is long "))))
	empty := &made{}
	loop := &gittest.Pack{}
	a, b := loop.Name(gittest.PackBlob, []byte("one\n")), loop.Name(gittest.PackBlob, []byte("two\n"))
	loop.RefDelta(b, gittest.Delta(4, 4, gittest.Insert("one\n")))
	loop.RefDelta(a, gittest.Delta(4, 4, gittest.Insert("two\n")))

	modules := blob(hostileModules)
	file, err := hex.DecodeString(modules.names[0])
	if err != nil {
		t.Fatal(err)
	}
	both := tree("100644", ".gitmodules", file)
	both.object(gittest.PackBlob, hostileModules)
	again := blob("three\n")

	v.tellAll(t, "bad packs", []tale{
		refused("a wrong checksum", "corrupted", good, append(slices.Clone(whole[:len(whole)-20]), some...)),
		refused("a pack that is cut", "early EOF", good, whole[:len(whole)-21]),
		refused("a pack with something behind", "after the end", good, append(slices.Clone(whole), "\npack\t"...)),
		refused("an unknown type", "unknown object type 5", good, unknown.Bytes()),
		refused("an object's size", "bad object", good, behind.Bytes()),
		refused("a base that is absent", "unresolved delta", good, absent.Bytes()),
		refused("two that are each other's base", "unresolved delta", good, loop.Bytes()),
		refused("a delta that copies too much", "failed to apply delta", good, wild.Bytes()),
		refused("a blob with a long size", "git can't read", longBlob, longBlob.Bytes()),
		refused("a tree with a long size", "git can't read", longTree, longTree.Bytes()),
		refused("a delta with a long size", "git can't read", longDelta, longDelta.Bytes()),
		refused("no object", "announces 0 objects", good, empty.Bytes()),
		refused("a tree with .git in it", "hasDotgit", tree("40000", ".git", some), tree("40000", ".git", some).Bytes()),
		refused("a tree with .git for HFS+ in it", "hasDotgit", tree("40000", ".g\u200cit", some), tree("40000", ".g\u200cit", some).Bytes()),
		refused("a tree with .. in it", "hasDotdot", tree("40000", "..", some), tree("40000", "..", some).Bytes()),
		refused("a hostile .gitmodules", "gitmodulesUrl: ", both, both.Bytes()),
		{name: "a hostile .gitmodules, the tree before", refused: "gitmodulesUrl: ", want: "the pipe ended", stores: true, tell: func(l *liar) {
			first := tree("100644", ".gitmodules", file)
			l.give(announced(first, modules)...)
			l.pack(0, 1, first.Bytes())
			l.judged()
			l.pack(1, 1, modules.Bytes())
			leaves(l)
		}},
		{name: "an object twice, in two packs", refused: "has already come or been left out", want: "the pipe ended", stores: true, tell: func(l *liar) {
			l.give(announced(again, good)...)
			l.pack(0, 1, again.Bytes())
			l.judged()
			l.pack(1, 1, again.Bytes())
			leaves(l)
		}},
		{name: "a good pack after all that", stores: true, tell: func(l *liar) {
			l.give(announced(good)...)
			l.pack(0, 2, whole)
			l.judged()
			l.part(0)
		}},
	})
	if len(v.names()) < 22 {
		t.Errorf("the good pack's objects are not there: %q", v.names())
	}
}

// A peer needs more than the user allows: the conversation ends with the name of the setting, on both sides.
func TestTortureLiarsBeyondLimits(t *testing.T) {
	small, large := new(made), new(made)
	small.object(gittest.PackBlob, "good\n")
	for i := range 200 {
		large.object(gittest.PackBlob, fmt.Sprintf("%0100d", i))
	}
	for setting, c := range map[string]struct {
		value string
		pack  *made
	}{
		"aig.maxMemory":    {"64m", bombs(1, 100<<20)},
		"aig.maxInputSize": {"1k", large},
	} {
		t.Run(setting, func(t *testing.T) {
			if setting == "aig.maxMemory" && runtime.GOOS != "linux" {
				gittest.Skip(t, "aig.maxMemory is Linux's alone")
			}
			v := newVictims(t, 20)
			v.repo.Git("config", setting, c.value)
			v.repo.Git("config", "pack.threads", "1")
			v.open(v.repo)
			lie := tale{want: setting, within: lieTimeout, tell: func(l *liar) {
				l.give(announced(c.pack)...)
				l.pack(0, uint32(len(c.pack.names)), c.pack.Bytes())
				l.judged()
			}}
			grown := peak(t)
			out := v.hear(t, lie, false, lieTimeout) // in real time, since git runs
			out.memory = grown()
			v.check(t, lie, out)
			figures(t, "packs beyond "+setting, []outcome{out}, 0)
			v.open(v.repo)
			v.tellAll(t, "a good pack after that", []tale{{name: "good", stores: true, tell: func(l *liar) {
				l.give(announced(small)...)
				l.pack(0, 1, small.Bytes())
				l.judged()
				l.part(0)
			}}})
		})
	}
}

// A peer that waits while we index something large keeps hearing that we are alive: it does not give up, however short its
// timeout is compared to that.
func TestTortureLongIndexing(t *testing.T) {
	a, b := &side{repo: gittest.New(t)}, &side{repo: gittest.New(t)}
	m := bombs(gittest.Rounds(4, 400), 20<<20)
	b.repo.Git("config", "pack.threads", "1")
	a.repo.GitIn(string(m.Bytes()), "index-pack", "--stdin")
	pipeA, pipeB := gittest.Loopback(t)
	oA, oB := a.options(t, t.Context()), b.options(t, t.Context())
	oB.Server = true
	oA.Timeout = time.Duration(gittest.Rounds(3, 5)) * time.Second
	oB.Timeout = oA.Timeout
	if !gittest.Torture { // little takes long then for another reason
		gittest.Instead(t, "index-pack", fmt.Sprintf(`sleep %d; exec "$git" "$@"`, 2*oA.Timeout/time.Second))
	}
	done := make(chan struct{})
	start := time.Now()
	go func() {
		defer close(done)
		a.run(t.Context(), t, pipeA, oA)
	}()
	b.run(t.Context(), t, pipeB, oB)
	<-done
	took := time.Since(start)
	if took < oA.Timeout {
		t.Errorf("it took %s, and shows nothing", took)
	}
	if a.err != nil || b.err != nil || len(b.received) != len(m.names) {
		t.Errorf("%v; %v; received %d of %d", a.err, b.err, len(b.received), len(m.names))
	}
	gittest.Figures(t, "indexing beyond the timeout", 1, "it took %.1f s, with a timeout of %s", took.Seconds(), oA.Timeout)
}
