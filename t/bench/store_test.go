package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// A history has as many objects as planned: no two versions are alike.
func TestGeneratedHasThePlannedObjects(t *testing.T) {
	dir := t.TempDir()
	for _, size := range []int{1, 500, 3000} {
		made, err := generated(t.Context(), dir, 1, size)
		if err != nil {
			t.Fatal(err)
		}
		var count lineCounter
		if err := made.objects(t.Context(), &count); err != nil {
			t.Fatal(err)
		}
		planned := newHistory(1, size).objects
		if int(count) != planned || planned < size || size > 100 && planned > size+10 {
			t.Errorf("a store of %d: %d objects planned, %d made", size, planned, count)
		}
		if err := made.git(t.Context(), nil, nil, "fsck", "--strict"); err != nil {
			t.Error(err)
		}
	}
}

// Stores made twice from the same seed and size are the same: the names of objects stand for their content.
func TestGeneratedIsTheSameEverywhere(t *testing.T) {
	var stores [2]repo
	for i := range stores {
		var err error
		if stores[i], err = generated(t.Context(), t.TempDir(), 7, 1000); err != nil {
			t.Fatal(err)
		}
	}
	c, err := pair{stores[0], stores[1]}.compare(t.Context())
	if err != nil || c.alice+c.bob != 0 || c.both < 1000 {
		t.Errorf("two stores of one seed: %+v, %v", c, err)
	}
}

func TestDriftOfThreeChangesIsNineObjects(t *testing.T) {
	base, err := generated(t.Context(), t.TempDir(), 1, 1000)
	if err != nil {
		t.Fatal(err)
	}
	before := listing(t, base)
	p, err := driftApart(t.Context(), base, t.TempDir(), 3, 3, true)
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.compare(t.Context())
	if err != nil || c.alice != 9 || c.bob != 9 || c.both != newHistory(1, 1000).objects {
		t.Errorf("%+v, %v", c, err)
	}
	if !bytes.Equal(before, listing(t, base)) {
		t.Error("what happened to the copies happened to the store")
	}
}

// verify finds a store that lacks something, and one that has too much.
func TestVerify(t *testing.T) {
	base, err := generated(t.Context(), t.TempDir(), 1, 500)
	if err != nil {
		t.Fatal(err)
	}
	p, err := driftApart(t.Context(), base, t.TempDir(), 1, 1, true)
	if err != nil {
		t.Fatal(err)
	}
	want, err := p.compare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.verify(t.Context(), want); err == nil {
		t.Error("two stores that differ passed")
	}
	for _, step := range []struct{ to, from repo }{{p.alice, p.bob}, {p.bob, p.alice}} {
		if err := step.to.git(t.Context(), nil, nil, "fetch", "-q", string(step.from), "main"); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.verify(t.Context(), want); err != nil {
		t.Error(err)
	}
	if err := p.bob.git(t.Context(), strings.NewReader("one more"), nil, "hash-object", "-w", "--stdin"); err != nil {
		t.Fatal(err)
	}
	if err := p.verify(t.Context(), want); err == nil {
		t.Error("a store with one more object passed")
	}
}

// Both sides of a split are connected, and share their past.
func TestSplit(t *testing.T) {
	base := topicsAndMerges(t)
	p, err := split(t.Context(), base, t.TempDir(), 20)
	if err != nil {
		t.Fatal(err)
	}
	for _, side := range []repo{p.alice, p.bob} {
		if err := side.git(t.Context(), nil, nil, "fsck", "--strict"); err != nil {
			t.Error(err)
		}
	}
	if err := p.alice.git(t.Context(), nil, nil, "fetch", "-q", string(p.bob), "+refs/heads/*:refs/bob/*"); err != nil {
		t.Fatal(err)
	}
	for side, arguments := range map[string][]string{
		"Bob's":   {"rev-list", "--glob=refs/bob/*", "--not", "--branches", "--glob=refs/common/*"},
		"Alice's": {"rev-list", "--branches", "--not", "--glob=refs/bob/*", "--glob=refs/common/*"},
	} {
		commits, err := p.alice.lines(t.Context(), arguments...)
		if err != nil || len(commits) < 8 || len(commits) > 12 {
			t.Errorf("%s own commits: %d (%v), want about 10", side, len(commits), err)
		}
	}
}

func TestNoSplitOfALine(t *testing.T) {
	base, err := generated(t.Context(), t.TempDir(), 1, 2000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := split(t.Context(), base, t.TempDir(), 20); !errors.Is(err, errNoSplit) {
		t.Errorf("a history without merges was split: %v", err)
	}
}

// Each half of a scattered store lacks what the other has.
func TestScatter(t *testing.T) {
	base, err := generated(t.Context(), t.TempDir(), 1, 10000)
	if err != nil {
		t.Fatal(err)
	}
	p, err := scatter(t.Context(), base, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.compare(t.Context())
	if total := newHistory(1, 10000).objects; err != nil || c.both != 0 || c.alice != 8192 || c.bob != total-8192 {
		t.Errorf("%+v of %d, %v", c, total, err)
	}
}

// topicsAndMerges makes a history of merged topics of two commits, each forked twenty merges back.
func topicsAndMerges(t *testing.T) repo {
	t.Helper()
	r, err := create(t.Context(), filepath.Join(t.TempDir(), "topics.git"))
	if err != nil {
		t.Fatal(err)
	}
	err = r.pour(t.Context(), func(w io.Writer) error {
		commit := func(branch string, mark int, from, merge string) {
			fmt.Fprintf(w, "commit %s\nmark :%d\n", branch, mark)
			writeCommitHead(w, startOfTime+mark, "change\n")
			fmt.Fprint(w, from, merge)
			fmt.Fprintf(w, "M 100644 inline file%d\ndata 2\n%d\n\n", mark, mark%10)
		}
		commit("refs/heads/main", 1, "", "")
		for i := 1; i < 60; i++ {
			fork := fmt.Sprintf("from :%d\n", max(1, (i-20)*3+1))
			topic := fmt.Sprintf("refs/heads/t%d", i)
			commit(topic, i*3-1, fork, "")
			commit(topic, i*3, "", "")
			commit("refs/heads/main", i*3+1, fmt.Sprintf("from :%d\n", i*3-2), fmt.Sprintf("merge :%d\n", i*3))
		}
		return nil
	}, "fast-import", "--quiet")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func listing(t *testing.T, r repo) []byte {
	t.Helper()
	var names bytes.Buffer
	if err := r.objects(context.Background(), &names); err != nil {
		t.Fatal(err)
	}
	return names.Bytes()
}
