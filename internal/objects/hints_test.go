package objects

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/oid"
)

// tree stores a tree of blobs under the given names, which may hold anything but NUL and a slash.
func tree(r *gittest.Repo, names []string, blobs []string) string {
	var in strings.Builder
	for i, name := range names {
		fmt.Fprintf(&in, "100644 blob %s\t%s\x00", blobs[i], name)
	}
	return r.GitIn(in.String(), "mktree", "-z")
}

// Whatever files are called, exactly what is given is packed: a name is a hint and nothing else, and one that git couldn't
// read as such is not used.
func TestFileNamesInjectNothing(t *testing.T) {
	from, to := gittest.New(t), gittest.New(t)
	secret := from.Blobs("secret", 1)[0]
	base := from.Commit("file", "content")
	names := []string{
		"a\n" + secret, "b\n-" + base, "c\n" + secret + " path", "\n", "\n" + secret, "d\r\n" + secret, "\r", secret, "-" + secret,
		"-" + base, "--all", "'\"`$(x)", " lead", "trail ", "caf\xe9 \xff\xfe", strings.Repeat("x", 5000) + "\n" + secret,
		strings.Repeat("y", 5000), strings.Repeat("z", maxPath), strings.Repeat("w", maxPath+1), strings.Repeat("v", 70000),
	}
	// A blob for each name; some names make hints, and some don't.
	blobs := from.Blobs("blob", len(names))
	commit := from.Git("commit-tree", "-m", "names", "-p", base, tree(from, names, blobs))
	copyObjects(t, from, to, strings.Fields(from.Git("rev-list", "--objects", "--no-object-names", base)))

	s := open(t, from)
	l := list(t, s)
	// The peer lacks the secret too, and must not get it: it is not given.
	give := slices.DeleteFunc(missing(t, l, to), func(i uint32) bool { return hex.EncodeToString(l.At(int(i))) == secret })
	pieces := planned(t, s, l, give, defaultLimits)
	if len(pieces) != 1 || pieces[0].hints == nil || len(pieces[0].Bases) == 0 {
		t.Fatalf("%d pieces, hints: %v", len(pieces), pieces[0].hints != nil)
	}
	hinted := 0
	for _, at := range pieces[0].Index {
		path, known := pieces[0].hints.of(at)
		if known && path != "" {
			hinted++
		}
		if len(path) > maxPath || strings.ContainsAny(path, "\n\r\x00") {
			t.Errorf("%.80q is a hint", path)
		}
	}
	if hinted < 9 {
		t.Errorf("%d objects have a hint", hinted)
	}
	to.Git("config", "fetch.fsck.largePathname", "ignore") // git 2.45 and later take such names for errors
	in, err := receive(t, open(t, to), packPiece(t, s, pieces[0]))
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Install(); err != nil {
		t.Fatal(err)
	}
	to.Git("cat-file", "-e", commit)
	want := strings.ReplaceAll(from.Objects(), secret+"\n", "")
	if got := to.Objects(); got != want {
		t.Errorf("there is\n%s\nwant\n%s", got, want)
	}
}

// A path with a line end is no hint even though git log prints it as it is, and the total lengths of all paths and of what git prints
// are bounded.
func TestHintsAreBounded(t *testing.T) {
	for path, good := range map[string]bool{
		"": true, "dir/file": true, "caf\xe9": true, "a\nb": false, "a\rb": false, "a\x00b": false,
		strings.Repeat("x", maxPath): true, strings.Repeat("x", maxPath+1): false,
	} {
		w := newLogReader(&planner{list: oid.NewList(oid.SHA1), give: []uint32{7}})
		w.addPath(0, []byte(path))
		if got, known := w.hints.of(7); known != good || known && got != path {
			t.Errorf("%.80q: %.80q, %v", path, got, known)
		}
	}
	w := newLogReader(&planner{list: oid.NewList(oid.SHA1), give: []uint32{7}})
	digits := bytes.Repeat([]byte("1"), 1<<16)
	for i := range maxPathBytes/200 + 10 {
		w.addPath(0, fmt.Appendf(nil, "%0200d", i))
	}
	if n := len(w.hints.paths); n > maxPathBytes/200+1 {
		t.Errorf("%d paths", n)
	}
	for range maxLogBytes / len(digits) {
		if err := w.record(digits); err != nil {
			t.Fatal(err)
		}
	}
	if w.record(digits) == nil {
		t.Error("what git prints has no bound")
	}
}

// If git can't compare a commit's tree with its parent's, everything is given all the same.
func TestHintsOfOddStore(t *testing.T) {
	from, to := gittest.New(t), gittest.New(t)
	from.Commit("file", "one\n")
	to.Git("fetch", "-q", from.Dir, "HEAD")
	tree := from.Git("rev-parse", "HEAD^{tree}")
	from.Commit("file", "two\n")
	from.Commit("file", "one\n") // the tree of the first commit again, which the peer has
	file := from.LooseFile(tree)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("garbage"), 0o444); err != nil {
		t.Fatal(err)
	}
	passes(t, from, to, defaultLimits)
}

// Trees that stand for more paths than git can list give as many hints as it has listed in bounded memory, and everything is given.
func TestHintsOfTreeBomb(t *testing.T) {
	from, to := gittest.New(t), gittest.New(t)
	base := from.Commit("file", "content\n")
	to.Git("fetch", "-q", from.Dir, base)
	from.Git("update-ref", "HEAD", from.Git("commit-tree", "-m", "bomb", "-p", base, from.TreeBomb()))
	if pieces := passes(t, from, to, defaultLimits); len(pieces) != 1 {
		t.Errorf("%d pieces", len(pieces))
	}
}

// A partial clone gives what it has, with hints, and fetches nothing; a shallow one too.
func TestPartialAndShallowStoresHaveHints(t *testing.T) {
	t.Parallel()
	origin := gittest.New(t)
	gittest.History(t, origin, 6, 10, 20)
	for _, option := range []string{"--filter=blob:none", "--depth=5"} {
		from, to := origin.IncompleteClone("--branch=main", option), gittest.New(t)
		s := open(t, from)
		l := list(t, s)
		// The peer has the objects of an older commit, as far as they are here.
		has := make(map[string]bool)
		for name := range strings.FieldsSeq(origin.Git("rev-list", "--objects", "--no-object-names", "main~3")) {
			has[name] = true
		}
		var common []string
		for i := range l.Len() {
			if name := hex.EncodeToString(l.At(i)); has[name] {
				common = append(common, name)
			}
		}
		copyObjects(t, from, to, common)
		pieces := passes(t, from, to, defaultLimits)
		if len(pieces) != 1 || pieces[0].hints == nil || len(pieces[0].Bases) == 0 {
			t.Errorf("%s: %d pieces, hints: %v, thin: %v", option, len(pieces), pieces[0].hints != nil, len(pieces[0].Bases) > 0)
		}
	}
}

// An object that vanishes makes its piece fail, with git's reason, and no other piece.
func TestVanishedObject(t *testing.T) {
	from := gittest.New(t)
	blobs := from.Blobs("blob", 40)
	s := open(t, from)
	l := list(t, s)
	give := all(l).Index
	for when, early := range map[string]bool{"before the plan": true, "after the plan": false} {
		if early {
			if err := os.Remove(from.LooseFile(blobs[0])); err != nil {
				t.Fatal(err)
			}
		}
		pieces := planned(t, s, l, give, limits{bytes: 10 * (objectBytes + 20), least: 5 * (objectBytes + 20), share: 1, pieces: 100, named: 1})
		if len(pieces) < 3 {
			t.Fatalf("%s: %d pieces", when, len(pieces))
		}
		if !early {
			if err := os.Remove(from.LooseFile(blobs[0])); err != nil {
				t.Fatal(err)
			}
		}
		failed := 0
		for _, p := range pieces {
			var why *git.Error
			switch err := Pack(t.Context(), s, p, bufio.NewWriter(io.Discard)); {
			case errors.As(err, &why) && strings.Contains(why.Said, blobs[0]):
				failed++
			case err != nil:
				t.Errorf("%s: %v", when, err)
			}
		}
		if failed != 1 {
			t.Errorf("%s: %d pieces failed", when, failed)
		}
		from.Blobs("blob", 40)
	}
}

// Cancelling ends a plan, whatever git is doing for it, and a pack that is being written, and leaves no process behind.
func TestCancelLeavesNoChild(t *testing.T) {
	from, to := gittest.New(t), gittest.New(t)
	from.Commit("file", "one\n")
	to.Git("fetch", "-q", from.Dir, "HEAD")
	from.Commit("file", "two\n")
	l := list(t, open(t, from))
	give := missing(t, l, to)
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("PATH")
	for _, command := range []string{"cat-file --buffer", "log", "pack-objects"} {
		// A git that, for this command, says that it was started and then hangs.
		dir := t.TempDir()
		fifo := filepath.Join(dir, "started")
		if err := exec.Command("mkfifo", fifo).Run(); err != nil { // syscall has no Mkfifo on Windows
			t.Fatal(err)
		}
		script := fmt.Sprintf("#!/bin/sh\ncase \"$* \" in '%s '*) echo >'%s'; exec sleep 1000;; esac\nexec '%s' \"$@\"\n", command, fifo, git)
		if err := os.WriteFile(filepath.Join(dir, "git"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		s := open(t, from)
		t.Setenv("PATH", dir+":"+path)
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() {
			pieces, err := Plan(ctx, s, l, give)
			if err == nil {
				err = Pack(ctx, s, pieces[0], bufio.NewWriter(io.Discard))
			}
			result <- err
		}()
		if _, err := os.ReadFile(fifo); err != nil {
			t.Fatal(err)
		}
		cancel()
		select {
		case err := <-result:
			if err == nil {
				t.Errorf("%s: no error", command)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: hangs", command)
		}
		t.Setenv("PATH", path)
		if left := gittest.Children(t); len(left) > 0 {
			t.Errorf("%s: left processes %q", command, left)
		}
	}
}

// Pack returns the writer's own error, and leaves no process behind.
func TestPackPieceKeepsTheWritersError(t *testing.T) {
	from := gittest.New(t)
	from.Blobs("blob", 1)
	s := open(t, from)
	l := list(t, s)
	mine := errors.New("mine")
	if err := Pack(t.Context(), s, NewPiece(l, all(l).Index), bufio.NewWriter(failingWriter{mine})); err != mine {
		t.Errorf("%v", err)
	}
	if left := gittest.Children(t); len(left) > 0 {
		t.Errorf("left processes %q", left)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }
