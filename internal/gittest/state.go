package gittest

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Files has the mode of every file and directory below a directory, and the checksum of each file's content.
type Files map[string]string

// Files returns those of the repository's git directory.
func (r *Repo) Files() Files {
	r.t.Helper()
	files := make(Files)
	root := r.Git("rev-parse", "--absolute-git-dir")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		files[path] = info.Mode().String()
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			files[path] += fmt.Sprintf(" %d bytes %x", len(content), sha256.Sum256(content))
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return files
}

// Changed returns the files of before that have changed or are gone now, and those that are new.
func (before Files) Changed(now Files) (changed, added []string) {
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if now[path] != before[path] {
			changed = append(changed, path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(now)) {
		if _, was := before[path]; !was {
			added = append(added, path)
		}
	}
	return changed, added
}

// Children returns the processes that this one has started and not waited for, including zombies.
func Children(t testing.TB) []string {
	t.Helper()
	out, err := exec.Command("ps", "-A", "-o", "ppid=,pid=,stat=,comm=").Output()
	if err != nil {
		t.Fatalf("ps: %v", err)
	}
	var children []string
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) >= 4 && fields[0] == strconv.Itoa(os.Getpid()) && fields[3] != "ps" {
			children = append(children, strings.Join(fields[1:], " "))
		}
	}
	return children
}
