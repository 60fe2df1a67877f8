package t

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every test that skips is counted at the end of `make test`, because gittest.Skip is the only way to skip one.
func TestSkipsAreCounted(t *testing.T) {
	skips := regexp.MustCompile(`\bt\.Skip(f|Now)?\(`)
	looked := 0
	for _, dir := range []string{"../cmd", "../internal", "."} {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if strings.HasPrefix(filepath.Base(path), "trash directory.") { // of a script that runs at the same time
				return fs.SkipDir
			}
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			if call := skips.Find(source); call != nil && path != "skip_test.go" {
				t.Errorf("%s calls %s: gittest.Skip counts it", path, call)
			}
			looked++
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if looked < 10 {
		t.Errorf("only %d files were looked at", looked)
	}
}
