package t

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"aig/internal/gittest"
	"aig/internal/version"
)

// Each program says its version, commit and Go, whether `go install` builds it in a clone or from a `git archive`, in which Go
// finds no commit.
func TestVersionNamesTheCommit(t *testing.T) {
	run := func(dir, name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=auto", "GOBIN="+filepath.Join(dir, "bin"), "GIT_CONFIG_GLOBAL=/dev/null")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	if _, err := os.Stat("../.git"); err != nil {
		gittest.Skip(t, "not a git clone")
	}
	clone, archive := t.TempDir(), t.TempDir()
	run("..", "git", "clone", "-q", "--no-tags", ".", clone)
	head := strings.TrimSpace(run(clone, "git", "rev-parse", "HEAD"))
	run(clone, "git", "archive", "-o", filepath.Join(archive, "a.tar"), "HEAD")
	run(archive, "tar", "-xf", "a.tar")
	for _, dir := range []string{clone, archive} {
		run(dir, "go", "install", "./cmd/...")
		for _, program := range []string{"git-aig-sync", "git-remote-aig", "aig-switchboard"} {
			got := run(dir, filepath.Join(dir, "bin", program), "--version")
			if !strings.HasPrefix(got, program+" ") || !strings.HasSuffix(got, " ("+head+", "+runtime.Version()+")\n") {
				t.Errorf("%s --version: %q", program, got)
			}
		}
	}
}

// The programs' version is the newest in the CHANGELOG, and has a date there.
func TestVersionIsTheNewest(t *testing.T) {
	text, err := os.ReadFile("../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	newest := regexp.MustCompile(`(?m)^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$`).FindSubmatch(text)
	if newest == nil || string(newest[1]) != version.Version {
		t.Errorf("the programs say %s, CHANGELOG.md %q", version.Version, newest)
	}
}
