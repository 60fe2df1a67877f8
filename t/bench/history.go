package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
)

// history is a made-up project: a growing tree of text files three levels deep, and commits that each edit a few lines
// in a few files of one directory. It has five to six objects a commit, as git's own history has. It is linear. The same
// seed and size give the same objects everywhere.
type history struct {
	seed    uint64
	objects int
	files   []int // how many versions each has
	commits []madeCommit
}

type madeCommit []edit

// edit is the version of a file that a commit brings.
type edit struct{ file, version int }

const (
	topFiles       = 10            // files at the top level
	groupFiles     = 12            // files in a directory at the bottom
	topDirs        = 20            // directories at the top
	firstFiles     = 40            // files of the first commit
	tagDistance    = 200           // commits from one tag to the next
	startOfTime    = 1_000_000_000 // date of the first commit, in seconds since 1970
	commitDistance = 600           // seconds from one commit to the next
)

// newHistory plans a history of at least that many objects, and hardly more.
func newHistory(seed uint64, objects int) *history {
	h := &history{seed: seed}
	r := rand.New(rand.NewPCG(seed, 1))
	var first madeCommit
	trees := map[string]bool{}
	for range firstFiles {
		first = append(first, h.touch(len(h.files)))
		path := filePath(len(h.files) - 1)
		for {
			i := strings.LastIndexByte(path, '/')
			if i < 0 {
				break
			}
			path = path[:i]
			trees[path] = true
		}
	}
	h.commits = append(h.commits, first)
	h.objects = 2 + len(trees) + len(first)
	for h.objects < objects {
		var c madeCommit
		newest := len(h.files) - 1
		switch n := r.IntN(20); {
		case n == 0:
			c = append(c, h.touch(len(h.files)))
		case n == 1:
			c = append(c, h.touch(r.IntN(topFiles)))
		case n < 11: // the newer files change more often
			c = h.touchGroup(r, newest-r.IntN(1+newest/8))
		default:
			c = h.touchGroup(r, topFiles+r.IntN(newest+1-topFiles))
		}
		h.commits = append(h.commits, c)
		h.objects += 2 + len(c)
		if c[0].file >= topFiles {
			h.objects += 2
		}
	}
	return h
}

// touch makes the next version of a file, or a new file.
func (h *history) touch(file int) edit {
	if file == len(h.files) {
		h.files = append(h.files, 0)
	}
	h.files[file]++
	return edit{file, h.files[file] - 1}
}

// touchGroup edits a file and up to two of its neighbours.
func (h *history) touchGroup(r *rand.Rand, file int) madeCommit {
	if file < topFiles {
		return madeCommit{h.touch(file)}
	}
	c := madeCommit{h.touch(file)}
	start := topFiles + (file-topFiles)/groupFiles*groupFiles
	for range max(0, r.IntN(5)-2) {
		other := start + r.IntN(groupFiles)
		if other < len(h.files) && other != file && (len(c) < 2 || c[1].file != other) {
			c = append(c, h.touch(other))
		}
	}
	return c
}

func filePath(file int) string {
	if file < topFiles {
		return fmt.Sprintf("top%d.txt", file)
	}
	group := (file - topFiles) / groupFiles
	// Each name is unique: git looks for a delta's base among files of similar names.
	return fmt.Sprintf("dir%02d/part%03d/%s%d.txt", group%topDirs, group/topDirs, words[file%len(words)], file)
}

// write writes the history as a stream for git fast-import: the versions of each file one after the other, so that each
// becomes a delta of the one before, then the commits.
func (h *history) write(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<20)
	marks := make([]int, len(h.files)) // of each file's first version
	mark := 0
	for file, versions := range h.files {
		marks[file] = mark + 1
		r := rand.New(rand.NewPCG(h.seed, uint64(file)<<8|2))
		lines := firstVersion(r)
		for version := range versions {
			editLines(r, lines, fmt.Sprintf("v%d.%d.%d", h.seed, file, version))
			mark++
			text := strings.Join(lines, "\n")
			fmt.Fprintf(out, "blob\nmark :%d\ndata %d\n%s\n", mark, len(text), text)
		}
	}
	reasons := rand.New(rand.NewPCG(h.seed, 4))
	for i, c := range h.commits {
		fmt.Fprintf(out, "commit refs/heads/main\n")
		message := []string{fmt.Sprintf("change %d of history %d\n", i, h.seed)}
		for range reasons.IntN(12) {
			message = append(message, textLine(reasons))
		}
		writeCommitHead(out, startOfTime+i*commitDistance, strings.Join(message, "\n")+"\n")
		for _, e := range c {
			fmt.Fprintf(out, "M 100644 :%d %s\n", marks[e.file]+e.version, filePath(e.file))
		}
		if i%tagDistance == tagDistance-1 {
			fmt.Fprintf(out, "\nreset refs/tags/t%d.%d\nfrom refs/heads/main\n", h.seed, i)
		}
		fmt.Fprintln(out)
	}
	return out.Flush()
}

// writeCommitHead writes who committed, when (in seconds since 1970) and why.
func writeCommitHead(out io.Writer, date int, message string) {
	fmt.Fprintf(out, "committer A U Thor <author@example.com> %d +0000\ndata %d\n%s", date, len(message), message)
}

// words are what the files consist of: such text compresses about as well as source code.
var words = func() []string {
	r := rand.New(rand.NewPCG(3, 3))
	all := make([]string, 1500)
	for i := range all {
		word := make([]byte, 3+r.IntN(8))
		for j := range word {
			word[j] = "etaoinshrdlucmfwypvbgkqjxz"[min(r.IntN(26), r.IntN(26))]
		}
		all[i] = string(word)
	}
	return all
}()

func firstVersion(r *rand.Rand) []string {
	lines := make([]string, 30+r.IntN(200))
	for i := range lines {
		lines[i] = textLine(r)
	}
	return lines
}

func textLine(r *rand.Rand) string {
	line := make([]string, 3+r.IntN(6))
	for i := range line {
		line[i] = words[min(r.IntN(len(words)), r.IntN(len(words)))]
	}
	return strings.Join(line, " ")
}

// editLines replaces up to six lines, one of them by a line with a word that no other version has.
func editLines(r *rand.Rand, lines []string, unique string) {
	for range r.IntN(6) {
		lines[r.IntN(len(lines))] = textLine(r)
	}
	lines[r.IntN(len(lines))] = textLine(r) + " " + unique
}
