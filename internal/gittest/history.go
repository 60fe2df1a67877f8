package gittest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// History makes commits on main by git fast-import: source files in directories, of some thousand bytes each. A commit
// edits a few lines of one or two files, and now and then adds one.
func History(t testing.TB, r *Repo, seed uint64, files, commits int) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 1))
	words := strings.Fields("if return static const struct list node char int for while err buf len name path ref tree blob commit")
	line := func() string {
		var b strings.Builder
		for range 3 + rnd.IntN(8) {
			fmt.Fprintf(&b, "%s_%d ", words[rnd.IntN(len(words))], rnd.IntN(300))
		}
		return b.String() + "\n"
	}
	var paths []string
	content := make(map[string][]string)
	add := func() string {
		path := fmt.Sprintf("dir%d/sub%d/file%d.c", rnd.IntN(8), rnd.IntN(5), len(paths))
		paths = append(paths, path)
		for range 40 + rnd.IntN(200) {
			content[path] = append(content[path], line())
		}
		return path
	}
	var in strings.Builder
	for i := range commits {
		var changed []string
		if i == 0 {
			for range files {
				changed = append(changed, add())
			}
		} else {
			for range 1 + rnd.IntN(2) {
				path := paths[rnd.IntN(len(paths))]
				lines := content[path]
				at := rnd.IntN(len(lines))
				content[path] = slices.Replace(slices.Clone(lines), at, min(at+rnd.IntN(3), len(lines)), line(), line())
				changed = append(changed, path)
			}
			if i%20 == 0 {
				changed = append(changed, add())
			}
		}
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter C O Mitter <c@example.com> %d +0000\ndata <<E\nchange %d\n%s\nE\n", 1700000000+i*60, i, line())
		slices.Sort(changed)
		for _, path := range slices.Compact(changed) {
			text := strings.Join(content[path], "")
			fmt.Fprintf(&in, "M 100644 inline %s\ndata %d\n%s\n", path, len(text), text)
		}
	}
	r.Git("config", "pack.threads", "1") // with several, a pack's size is a matter of chance
	r.GitIn(in.String(), "fast-import", "--quiet")
	r.Git("repack", "-adq")
	r.Git("config", "uploadpack.allowAnySHA1InWant", "true")
}
