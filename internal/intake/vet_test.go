package intake

import (
	"context"
	"encoding/hex"
	"strings"
	"testing"

	"aig/internal/branches"
	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/objects"
	"aig/internal/oid"
)

// A hostile .gitmodules that came in a later run than its tree is found before a command is suggested for a commit of that
// tree, whether the commit came before or after it. A harmless one is not held against the commit, nor is one that never came.
func TestVetBeforeSuggesting(t *testing.T) {
	for name, content := range map[string]string{
		"hostile": hostileModules["url is an option"], "harmless": "[submodule \"a\"]\n\tpath = a\n\turl = https://example.com/a\n",
	} {
		for _, commitFirst := range []bool{false, true} {
			var blobs, trees, commits gittest.Pack
			blob := blobs.Object(gittest.PackBlob, []byte(content))
			tree := trees.Object(gittest.PackTree, gittest.TreeEntry("100644", ".gitmodules", blob))
			commit := commits.Object(gittest.PackCommit, []byte("tree "+hex.EncodeToString(tree)+"\n"+author+committer+"\nx\n"))
			to := gittest.New(t)
			run := func(pack *gittest.Pack, object []byte) branches.Vetting {
				s := open(t, to)
				before, err := objects.List(t.Context(), s.Repo)
				if err != nil {
					t.Fatal(err)
				}
				if err := accept(t, s, pack.Bytes(), []string{hex.EncodeToString(object)}); err != nil {
					t.Fatal(err)
				}
				return branches.Vetting{Before: before, Check: s.Vet}
			}
			run(&trees, tree)
			var v branches.Vetting
			if commitFirst {
				run(&commits, commit)
				v = run(&blobs, blob)
			} else {
				run(&blobs, blob)
				v = run(&commits, commit)
			}
			r := branches.Report{Branches: []branches.Branch{{Theirs: hex.EncodeToString(commit)}}}
			if err := r.Relate(t.Context(), open(t, to).Repo, v); err != nil {
				t.Fatal(err)
			}
			if refused := strings.Contains(r.Branches[0].Unknown, "gitmodulesUrl"); refused != (name == "hostile") || !refused && r.Branches[0].Unknown != "" {
				t.Errorf("%s, the commit first: %v: %+v", name, commitFirst, r.Branches[0])
			}
			if left := to.Quarantines(); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		}
	}
	// A missing file is no error, and without checks there is none either.
	to := gittest.New(t)
	tree := to.GitIn("100644 blob "+strings.Repeat("12", 20)+"\t.gitattributes\n100644 blob "+strings.Repeat("34", 20)+"\t.gitmodules\n", "mktree", "--missing")
	if err := open(t, to).Vet(t.Context(), listOf(t, tree)); err != nil {
		t.Errorf("missing: %v", err)
	}
	bad := to.GitIn(hostileModules["url is an option"], "hash-object", "-w", "--stdin")
	tree = to.GitIn("100644 blob "+bad+"\t.gitmodules\n", "mktree")
	if err := open(t, to).Vet(context.Background(), listOf(t, bad, tree)); !ofPeer(err) {
		t.Errorf("hostile: %v", err)
	}
	to.Git("config", "fetch.fsckObjects", "false")
	s, err := Open(t.Context(), git.Git{Dir: to.Dir, Env: to.Env})
	if err == nil {
		err = s.Vet(t.Context(), listOf(t, tree))
	}
	if err != nil {
		t.Errorf("no checks: %v", err)
	}
}

// listOf returns a list of these objects.
func listOf(t *testing.T, names ...string) *oid.List {
	l := oid.NewList(oid.SHA1)
	name := make([]byte, oid.SHA1.Size())
	for _, digits := range names {
		if err := oid.SHA1.Parse(name, []byte(digits)); err != nil {
			t.Fatal(err)
		}
		l.Append(name)
	}
	return l
}
