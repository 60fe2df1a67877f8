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
	if err := open(t, to).Vet(t.Context(), []string{tree}); err != nil {
		t.Errorf("missing: %v", err)
	}
	bad := to.GitIn(hostileModules["url is an option"], "hash-object", "-w", "--stdin")
	tree = to.GitIn("100644 blob "+bad+"\t.gitmodules\n", "mktree")
	if err := open(t, to).Vet(context.Background(), []string{bad, tree}); !ofPeer(err) {
		t.Errorf("hostile: %v", err)
	}
	to.Git("config", "fetch.fsckObjects", "false")
	s, err := Open(t.Context(), git.Git{Dir: to.Dir, Env: to.Env})
	if err == nil {
		err = s.Vet(t.Context(), []string{tree})
	}
	if err != nil {
		t.Errorf("no checks: %v", err)
	}
}
