// Package t tests the tests and the documents.
package t

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// A Go test, or a script.
	named   = regexp.MustCompile(`\b((?:Test|Fuzz)[A-Z]\w*|t[0-9]{4}-[a-z-]+)\b`)
	word    = regexp.MustCompile("`([A-Za-z]+[$]?)`")
	defined = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\((?:t \*testing\.T|f \*testing\.F)\)`)
)

// The tests that docs/security.md names as evidence exist, also after one is renamed; and it names all torture tests and
// fuzz tests.
func TestSecurityNamesItsTests(t *testing.T) {
	tests := make(map[string]bool)
	for _, dir := range []string{"../cmd", "../internal", "."} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			name := filepath.Base(path)
			if strings.HasPrefix(name, "trash directory.") { // of a script that runs at the same time
				return fs.SkipDir
			}
			if err != nil {
				return err
			}
			if script, ok := strings.CutSuffix(name, ".sh"); ok {
				tests[script] = true
			}
			if !strings.HasSuffix(name, "_test.go") {
				return nil
			}
			source, err := os.ReadFile(path)
			for _, m := range defined.FindAllSubmatch(source, -1) {
				tests[string(m[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	doc, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range named.FindAllSubmatch(doc, -1) {
		names = append(names, string(m[1]))
		if !tests[string(m[1])] {
			t.Errorf("docs/security.md names %s, and there is no such test", m[1])
		}
	}
	if len(names) == 0 {
		t.Error("docs/security.md names no test")
	}
	// The words of the last table select tests of `make torture`, together all of them.
	selected := make(map[string]bool)
	_, table, _ := strings.Cut(string(doc), "\n## What the long form has done\n")
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSuffix(line, " |\n"), " | ")
		for _, m := range word.FindAllStringSubmatch(cells[len(cells)-1], -1) {
			found := false
			for name := range tests {
				if strings.HasPrefix(name, "TestTorture") && regexp.MustCompile(m[1]).MatchString(name) {
					found, selected[name] = true, true
				}
			}
			if !found && len(cells) > 1 {
				t.Errorf("docs/security.md selects the tests of %s, and there are none", m[1])
			}
		}
	}
	for name := range tests {
		if (strings.HasPrefix(name, "TestTorture") || strings.HasPrefix(name, "Fuzz")) && !slices.Contains(names, name) {
			t.Errorf("%s is not in docs/security.md", name)
		}
		if strings.HasPrefix(name, "TestTorture") && !selected[name] {
			t.Errorf("no row of docs/security.md's table of the long form selects %s", name)
		}
	}
}
