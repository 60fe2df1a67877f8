package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
)

// driftApart copies a store twice, and has each side commit that many changes on top. With flat, each change edits
// one file at the top level, and so makes three objects.
func driftApart(ctx context.Context, base repo, dir string, aliceCommits, bobCommits int, flat bool) (pair, error) {
	p, err := pair{base, base}.copyTo(dir)
	if err != nil {
		return pair{}, err
	}
	if err := drift(ctx, p.alice, "alice", aliceCommits, flat); err != nil {
		return pair{}, err
	}
	return p, drift(ctx, p.bob, "bob", bobCommits, flat)
}

// drift commits small changes to existing files, in the name of one side.
func drift(ctx context.Context, r repo, side string, commits int, flat bool) error {
	if commits == 0 {
		return nil
	}
	branch, err := r.lines(ctx, "symbolic-ref", "HEAD")
	if err != nil {
		return err
	}
	// Commits older than their parents would send git's walks through the whole history.
	newest, err := r.lines(ctx, "log", "-1", "--format=%ct", "HEAD")
	if err != nil {
		return err
	}
	date, err := strconv.Atoi(newest[0])
	if err != nil {
		return err
	}
	files, err := textFiles(ctx, r, flat)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s has no text file to change", r)
	}
	seed := fnv.New64a()
	io.WriteString(seed, side)
	random := rand.New(rand.NewPCG(seed.Sum64(), uint64(commits)))
	changes := make([][]int, commits)
	for i := range changes {
		changes[i] = []int{random.IntN(len(files))}
		// A neighbour in the list is mostly a neighbour in the tree too.
		if next := changes[i][0] + 1; !flat && next < len(files) && random.IntN(2) == 0 {
			changes[i] = append(changes[i], next)
		}
	}
	contents, err := readFiles(ctx, r, files, changes)
	if err != nil {
		return err
	}
	return r.pour(ctx, func(w io.Writer) error {
		out := bufio.NewWriter(w)
		for i, change := range changes {
			fmt.Fprintf(out, "commit %s\n", branch[0])
			writeCommitHead(out, date+(i+1)*commitDistance, fmt.Sprintf("change %d by %s\n", i, side))
			if i == 0 {
				fmt.Fprintf(out, "from %s^0\n", branch[0])
			}
			for _, n := range change {
				editLines(random, contents[n], fmt.Sprintf("%s.%d.%d", side, i, n))
				text := strings.Join(contents[n], "\n")
				fmt.Fprintf(out, "M 100644 inline %s\ndata %d\n%s\n", files[n].path, len(text), text)
			}
			fmt.Fprintln(out)
		}
		return out.Flush()
	}, "fast-import", "--quiet")
}

type textFile struct{ oid, path string }

// textFiles lists the files of HEAD that can be changed, with flat only those at the top level.
func textFiles(ctx context.Context, r repo, flat bool) ([]textFile, error) {
	const largest = 64 << 10 // bytes; nobody edits more by hand
	lines, err := r.lines(ctx, "-c", "core.quotePath=false", "ls-tree", "-r", "-l", "HEAD")
	if err != nil {
		return nil, err
	}
	var files []textFile
	for _, line := range lines {
		about, path, _ := strings.Cut(line, "\t")
		fields := strings.Fields(about) // mode, type, name, size
		if fields[0] != "100644" || path[0] == '"' || flat && strings.Contains(path, "/") {
			continue
		}
		if size, err := strconv.Atoi(fields[3]); err != nil || size == 0 || size > largest {
			continue
		}
		files = append(files, textFile{fields[2], path})
	}
	return files, nil
}

// readFiles reads the files that will be changed, as lines.
func readFiles(ctx context.Context, r repo, files []textFile, changes [][]int) (map[int][]string, error) {
	contents := map[int][]string{}
	var order []int
	var names, out bytes.Buffer
	for _, change := range changes {
		for _, n := range change {
			if _, ok := contents[n]; !ok {
				contents[n] = nil
				order = append(order, n)
				fmt.Fprintln(&names, files[n].oid)
			}
		}
	}
	if err := r.git(ctx, &names, &out, "cat-file", "--batch"); err != nil {
		return nil, err
	}
	for _, n := range order {
		head, err := out.ReadString('\n')
		if err != nil {
			return nil, err
		}
		var size int
		if _, err := fmt.Sscanf(head, files[n].oid+" blob %d\n", &size); err != nil {
			return nil, fmt.Errorf("git cat-file said %q: %w", head, err)
		}
		contents[n] = strings.Split(string(out.Next(size)), "\n")
		out.Next(1)
	}
	return contents, nil
}

// halves returns two stores that have nothing in common, each with half of that many objects.
func halves(ctx context.Context, work string, objects int) (pair, error) {
	alice, err := generated(ctx, work, 2, objects/2)
	if err != nil {
		return pair{}, err
	}
	bob, err := generated(ctx, work, 3, objects/2)
	return pair{alice, bob}, err
}

// emptyAgainst returns a pair in which only Bob has objects.
func emptyAgainst(ctx context.Context, full repo, dir string) (pair, error) {
	empty, err := create(ctx, filepath.Join(dir, "empty.git"))
	return pair{empty, full}, err
}
