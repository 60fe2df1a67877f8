package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"aig/internal/gittest"
	"aig/internal/oid"
)

const people = "author A <a@a> 1112911993 +0000\ncommitter A <a@a> 1112911993 +0000\n\nmessage\n"

// literally stores an object as it is.
func literally(r *gittest.Repo, kind, content string) string {
	return r.GitIn(content, "hash-object", "-t", kind, "--literally", "-w", "--stdin")
}

// wrongLinks make objects that call another one what it isn't. Each is given a repository with a blob, a tree and a commit.
var wrongLinks = map[string]func(r *gittest.Repo, blob, tree, commit string) string{
	"commit, of a blob for a tree": func(r *gittest.Repo, blob, _, _ string) string {
		return literally(r, "commit", "tree "+blob+"\n"+people)
	},
	"commit, of a commit for a tree": func(r *gittest.Repo, _, _, commit string) string {
		return literally(r, "commit", "tree "+commit+"\n"+people)
	},
	"commit, of a tree for a parent": func(r *gittest.Repo, _, tree, _ string) string {
		return literally(r, "commit", "tree "+tree+"\nparent "+tree+"\n"+people)
	},
	"tag, of a commit for a tree": func(r *gittest.Repo, _, _, commit string) string {
		return literally(r, "tag", "object "+commit+"\ntype tree\ntag v1\ntagger A <a@a> 1112911993 +0000\n\nmessage\n")
	},
	"tree, of a blob for a tree": func(r *gittest.Repo, blob, _, _ string) string {
		return literally(r, "tree", string(gittest.TreeEntry("40000", "dir", unhex(blob))))
	},
	"tree, of a tree for a blob": func(r *gittest.Repo, _, tree, _ string) string {
		return literally(r, "tree", string(gittest.TreeEntry("100644", "file", unhex(tree))))
	},
}

func unhex(name string) []byte {
	b := make([]byte, len(name)/2)
	fmt.Sscanf(name, "%x", &b)
	return b
}

// refuses checks that a gave all but bad, that b has refused bad, and that both know which object it is.
func refuses(t *testing.T, a, b *side, bad string) {
	t.Helper()
	var omitted *OmittedError
	if !errors.As(a.err, &omitted) || omitted.Ours != 1 || omitted.Theirs != 0 {
		t.Fatalf("error of the side that has it: %v", a.err)
	}
	if !errors.As(b.err, &omitted) || omitted.Ours != 0 || omitted.Theirs != 1 {
		t.Fatalf("error of the side that refuses it: %v", b.err)
	}
	for _, s := range []*side{a, b} {
		if !slices.ContainsFunc(s.warnings, func(w string) bool { return strings.Contains(w, bad) }) {
			t.Errorf("warnings: %q", s.warnings)
		}
	}
	if strings.Contains(b.repo.Objects(), bad) {
		t.Error("it is in the store")
	}
	if missing := lacks(b.repo, a.repo); missing != bad {
		t.Errorf("the other side lacks %q", missing)
	}
	b.repo.MustBeSound()
	b.repo.Git("gc", "-q", "--prune=now")
}

// lacks returns the objects that the other repository has and r doesn't.
func lacks(r, other *gittest.Repo) string {
	have := strings.Fields(r.Objects())
	var missing []string
	for _, name := range strings.Fields(other.Objects()) {
		if !slices.Contains(have, name) {
			missing = append(missing, name)
		}
	}
	return strings.Join(missing, " ")
}

// pairOf returns two repositories with the same blob, tree and commit.
func pairOf(t *testing.T) (a, b *side, blob, tree, commit string) {
	a, b = &side{repo: gittest.New(t)}, &side{repo: gittest.New(t)}
	commit = a.repo.Commit("file", "content\n")
	talk(t, a, b)
	mustAgree(t, a, b)
	b.repo.Git("update-ref", "refs/heads/main", commit)
	return a, b, a.repo.Git("rev-parse", commit+":file"), a.repo.Git("rev-parse", commit+"^{tree}"), commit
}

// An object that calls one of the receiver's objects what it isn't is refused and named, and everything else arrives.
func TestWrongLinkToOurs(t *testing.T) {
	t.Parallel()
	for name, link := range wrongLinks {
		t.Run(name, func(t *testing.T) {
			a, b, blob, tree, commit := pairOf(t)
			bad := link(a.repo, blob, tree, commit)
			a.repo.Blobs("sound", 20)
			talk(t, a, b)
			refuses(t, a, b, bad)
		})
	}
}

// The same when the two come together.
func TestWrongLinkTogether(t *testing.T) {
	t.Parallel()
	for name, link := range wrongLinks {
		t.Run(name, func(t *testing.T) {
			a, b := &side{repo: gittest.New(t)}, &side{repo: gittest.New(t)}
			commit := a.repo.Commit("file", "content\n")
			bad := link(a.repo, a.repo.Git("rev-parse", commit+":file"), a.repo.Git("rev-parse", commit+"^{tree}"), commit)
			a.repo.Blobs("sound", 20)
			talk(t, a, b)
			refuses(t, a, b, bad)
		})
	}
}

// The same when the link came in an earlier run, without its target: the target is then refused, in whichever direction it
// goes, and the way out is to drop the link.
func TestWrongLinkBeforeItsTarget(t *testing.T) {
	t.Parallel()
	for name, link := range wrongLinks {
		t.Run(name, func(t *testing.T) {
			a, b, c := &side{repo: gittest.New(t)}, &side{repo: gittest.New(t)}, &side{repo: gittest.New(t)}
			commit := c.repo.Commit("file", "content\n")
			blob, tree := c.repo.Git("rev-parse", commit+":file"), c.repo.Git("rev-parse", commit+"^{tree}")
			link(a.repo, blob, tree, commit)
			talk(t, a, b)
			if name == "commit, of a tree for a parent" { // which contradicts itself
				if a.err == nil || b.err == nil {
					t.Error("it was taken")
				}
				return
			}
			mustAgree(t, a, b) // a missing object is no error
			talk(t, c, b)
			for _, s := range []*side{b, c} {
				var omitted *OmittedError
				if !errors.As(s.err, &omitted) || omitted.Theirs < 1 || omitted.Ours < 1 {
					t.Fatal(s.err)
				}
				s.repo.MustBeSound()
			}
			if !slices.ContainsFunc(b.warnings, func(w string) bool { return strings.Contains(w, "git gc --prune=now") }) {
				t.Errorf("warnings: %q", b.warnings)
			}
			b.repo.Git("gc", "-q", "--prune=now")
			b, c = &side{repo: b.repo}, &side{repo: c.repo}
			talk(t, c, b)
			mustAgree(t, c, b)
		})
	}
}

// Two links that contradict each other can't both be right, even if neither side has what they name: git would die of either.
func TestLinksContradict(t *testing.T) {
	t.Parallel()
	absent := strings.Repeat("12", 20)
	for _, together := range []bool{true, false} {
		a, b := &side{repo: gittest.New(t)}, &side{repo: gittest.New(t)}
		literally(a.repo, "commit", "tree "+absent+"\n"+people)
		if !together {
			talk(t, a, b)
			mustAgree(t, a, b)
		}
		literally(a.repo, "tree", string(gittest.TreeEntry("100644", "file", unhex(absent))))
		a, b = &side{repo: a.repo}, &side{repo: b.repo}
		talk(t, a, b)
		var omitted *OmittedError
		if !errors.As(b.err, &omitted) || omitted.Theirs != 1 {
			t.Errorf("together %v: %v", together, b.err)
		}
		b.repo.Git("fsck", "--strict", "--no-dangling")
	}
}

// Objects that git's checks reject are named on both sides, with the check's name and what to set, however many there are; all
// others arrive.
func TestRejectedObjects(t *testing.T) {
	t.Parallel()
	a, b := &side{repo: gittest.New(t)}, &side{repo: gittest.New(t)}
	a.repo.Commit("file", "content\n")
	empty := a.repo.GitIn("", "hash-object", "-w", "--stdin")
	var bad []string
	for i := range 5 {
		bad = append(bad, literally(a.repo, "tree", string(gittest.TreeEntry("0100644", fmt.Sprint("file", i), unhex(empty)))))
	}
	a.repo.Blobs("sound", 50)
	talk(t, a, b)
	var omitted *OmittedError
	if !errors.As(a.err, &omitted) || omitted.Ours != len(bad) || !errors.As(b.err, &omitted) || omitted.Theirs != len(bad) {
		t.Fatalf("%v; %v", a.err, b.err)
	}
	slices.Sort(bad)
	if missing := lacks(b.repo, a.repo); missing != strings.Join(bad, " ") {
		t.Errorf("lacks %s, want %s", missing, bad)
	}
	for _, s := range []*side{a, b} {
		all := strings.Join(s.warnings, "\n")
		for _, name := range bad {
			if !strings.Contains(all, name) || !strings.Contains(all, "zeroPaddedFilemode") {
				t.Errorf("%s is not named: %s", name, all)
			}
		}
	}
	if !strings.Contains(strings.Join(b.warnings, ""), "fetch.fsck.zeroPaddedFilemode") {
		t.Errorf("%q", b.warnings)
	}
	// The next run leaves the same ones out, and nothing more is sent.
	a, b = &side{repo: a.repo}, &side{repo: b.repo}
	talk(t, a, b)
	if len(a.sent) != 0 || !errors.As(a.err, &omitted) || omitted.Ours != len(bad) {
		t.Errorf("%d sent again; %v", len(a.sent), a.err)
	}
}

// A tree with more links than a pack may have is named and left out, like any other refused object; the others arrive.
func TestTooManyLinks(t *testing.T) {
	a, b, _, _, _ := pairOf(t)
	var tree []byte
	name := make([]byte, 20)
	for i := range uint32(maxClaims + 1) {
		binary.BigEndian.PutUint32(name, i)
		tree = append(tree, gittest.TreeEntry("100644", fmt.Sprintf("%07d", i), name)...)
	}
	huge := literally(a.repo, "tree", string(tree))
	a.repo.Commit("other", "content\n")
	talk(t, a, b)
	refuses(t, a, b, huge)
}

// What an empty store receives is whole if everything that it names has come. The heads are the commits that aren't the parent of
// another, even if a tag names them.
func TestWhole(t *testing.T) {
	t.Parallel()
	origin := gittest.New(t)
	for _, content := range []string{"1", "2", "3"} {
		origin.Commit("file", content)
	}
	origin.Git("tag", "-a", "-m", "tag", "v1", "HEAD~1")
	lost := origin.Git("commit-tree", "-p", "HEAD~2", "-m", "lost", "HEAD^{tree}")
	origin.Git("tag", "-a", "-m", "tag", "v2", lost)
	shallow := *origin
	shallow.Dir = t.TempDir()
	origin.Git("clone", "-q", "--depth=2", "file://"+origin.Dir, shallow.Dir)
	some := gittest.New(t)
	some.Blobs("blob", 1)
	for name, c := range map[string]struct {
		from, to *gittest.Repo
		keeps    bool
		whole    bool
	}{
		"a first copy": {from: origin, to: gittest.New(t), whole: true},
		"into a store": {from: origin, to: some},
		"of a shallow": {from: &shallow, to: gittest.New(t)},
		"with a rest":  {from: origin, to: gittest.New(t), keeps: true},
	} {
		a, b := &side{repo: c.from}, &side{repo: c.to}
		pipeA, pipeB := gittest.Loopback(t)
		oA, oB := a.options(t, t.Context()), b.options(t, t.Context())
		oB.Server = true
		if c.keeps {
			oA.Offer = func(_ context.Context, _ *oid.List, lacks []uint32) ([]uint32, error) { return lacks[1:], nil }
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			a.run(t.Context(), t, pipeA, oA)
		}()
		b.run(t.Context(), t, pipeB, oB)
		<-done
		if a.err != nil || b.err != nil {
			t.Fatal(a.err, b.err)
		}
		slices.Sort(b.heads)
		want := c.from.Heads(b.received...)
		slices.Sort(want)
		if b.whole != c.whole || !slices.Equal(b.heads, want) || len(want) == 0 {
			t.Errorf("%s: whole %v, heads %v, want %v", name, b.whole, b.heads, want)
		}
	}
}
