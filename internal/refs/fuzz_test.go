package refs

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/ref"
)

// FuzzChanges: whatever paths a tree holds, they come back unchanged.
func FuzzChanges(f *testing.F) {
	f.Add("M\x00a file\x00D\x00dir/\n\x1b\xff\x00")
	f.Add("M\x00A\x00A")
	f.Fuzz(func(t *testing.T, said string) {
		parse := func(said string) (changes, error) {
			found := make(changes)
			read := found.reader()
			for field := range strings.SplitAfterSeq(said, "\x00") {
				if field, whole := strings.CutSuffix(field, "\x00"); whole {
					if err := read([]byte(field)); err != nil {
						return nil, err
					}
				}
			}
			return found, nil
		}
		found, err := parse(said)
		if err != nil {
			if ref.HasControl(err.Error()) {
				t.Errorf("the error is %q", err)
			}
			return
		}
		var again strings.Builder
		for _, path := range slices.Sorted(maps.Keys(found)) {
			again.WriteString(string([]byte{found[path]}) + "\x00" + path + "\x00")
		}
		// If a path comes twice, the last letter counts.
		if once, err := parse(again.String()); err != nil || !maps.Equal(once, found) || again.Len() > len(said) {
			t.Errorf("%q became %q, %v", said, again.String(), err)
		}
	})
}

// FuzzHideRefs: whatever transfer.hideRefs says, we hide the references that git upload-pack hides, and no others.
func FuzzHideRefs(f *testing.F) {
	for _, values := range []string{"refs/heads/a", "refs/heads\n!refs/heads/main", "^refs/tags/\n!refs/tags/v1", "HEAD", "!", "^", "", "refs/heads/main//", "!^refs/heads/a/b"} {
		f.Add(values)
	}
	r := gittest.New(f)
	commit := r.Commit("file", "content")
	names := []string{"HEAD", "refs/heads/a/b", "refs/heads/ab", "refs/heads/main", "refs/heads/main2", "refs/tags/v1"}
	r.Git("symbolic-ref", "HEAD", "refs/heads/main")
	for _, name := range names[1:] {
		r.Git("update-ref", name, commit)
	}
	f.Fuzz(func(t *testing.T, values string) {
		if len(values) > 500 || strings.Contains(values, "\x00") {
			return // the environment can't hold it
		}
		env := slices.Clone(r.Env)
		all := strings.Split(values, "\n")
		for i, value := range all {
			key := []string{"transfer.hideRefs", "uploadpack.hideRefs"}[i%2]
			env = append(env, "GIT_CONFIG_KEY_"+strconv.Itoa(i)+"="+key, "GIT_CONFIG_VALUE_"+strconv.Itoa(i)+"="+value)
		}
		g := git.Git{Dir: r.Dir, Env: append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(len(all)))}
		hidden, err := readHidden(t.Context(), &git.Repo{Git: g})
		if err != nil {
			t.Fatal(err)
		}
		c := g.Command(t.Context(), nil, "upload-pack", "--advertise-refs", ".")
		out, err := c.Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			told := bytes.Contains(out, []byte(" "+name+"\n")) || bytes.Contains(out, []byte(" "+name+"\x00"))
			if told == hidden.hides(name) {
				t.Errorf("%q: git tells %s: %v, and we hide it: %v", all, name, told, !told)
			}
		}
	})
}
