package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The same commit gives the same bytes from two clones, with another umask, time zone and directory. With AIG_DIST=all that is for every
// system, and the second time with nothing cached; otherwise, to be cheap, for linux/amd64.
func TestReproducible(t *testing.T) {
	if _, err := os.Stat("../../.git"); err != nil {
		t.Fatal("what is handed out is built from a commit: run this test in a clone")
	}
	targets, cache := "linux/amd64", ""
	if os.Getenv("AIG_DIST") == "all" {
		targets, cache = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,freebsd/amd64,freebsd/arm64,windows/amd64,windows/arm64", t.TempDir()
	}
	program := filepath.Join(t.TempDir(), "dist")
	command(t, nil, "go", "build", "-o", program, ".")
	// HEAD may move while this runs: build what is cloned now.
	origin := filepath.Join(t.TempDir(), "origin")
	command(t, nil, "git", "clone", "-q", "--no-tags", "../..", origin)
	head := strings.TrimSpace(command(t, nil, "git", "-C", origin, "rev-parse", "HEAD"))
	var outs []string
	for i, env := range [][]string{
		{"TZ=UTC"},
		{"TZ=Asia/Kathmandu", "HOSTNAME=elsewhere", "TMPDIR=" + t.TempDir(), "SOURCE_DATE_EPOCH=1"},
	} {
		clone, out := filepath.Join(t.TempDir(), strings.Repeat("deeper/", i), "clone"), filepath.Join(t.TempDir(), "out")
		command(t, nil, "git", "clone", "-q", "--no-tags", origin, clone)
		if i == 1 && cache != "" {
			env = append(env, "GOCACHE="+cache)
		}
		umask := []string{"022", "077"}[i]
		command(t, env, "sh", "-c", `umask "$0" && exec "$@"`, umask, program, "-C", clone, "-o", out, "-targets", targets)
		outs = append(outs, out)
	}
	names, err := files(outs[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		first, err := os.ReadFile(filepath.Join(outs[0], name))
		if err != nil {
			t.Fatal(err)
		}
		second, err := os.ReadFile(filepath.Join(outs[1], name))
		if err != nil || !bytes.Equal(first, second) {
			t.Errorf("%s differs (%v)", name, err)
		}
	}
	if want := 2 + len(strings.Split(targets, ",")); len(names) < want {
		t.Errorf("only these files were made: %q", names)
	}
	checkContents(t, outs[0], head)
}

// checkContents checks what a Linux user gets.
func checkContents(t *testing.T, out, head string) {
	command(t, nil, "sh", "-c", `cd "$0" && sha256sum --quiet -c SHA256SUMS`, out)
	found, err := filepath.Glob(filepath.Join(out, "aig-*-linux-amd64.tar.gz"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	dir := t.TempDir()
	contents := untar(t, found[0], dir)
	for _, want := range []string{
		"bin/git-aig-sync", "bin/git-remote-aig", "bin/aig-switchboard", "share/man/man1/git-aig-sync.1", "share/man/man8/aig-switchboard.8",
		"README.md", "LICENSE", "CHANGELOG.md", "THIRD-PARTY",
	} {
		if contents[want] == nil {
			t.Errorf("the archive has no %s", want)
		}
	}
	// The documents' links also work in the archive.
	link := regexp.MustCompile(`(?:\]\(|src="|srcset=")([^)#:"\s]+)[)#"\s]`) // a target with a colon is outside
	for name, text := range contents {
		if !strings.HasSuffix(name, ".md") {
			continue
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			if target := filepath.Join(filepath.Dir(name), string(m[1])); contents[target] == nil {
				t.Errorf("%s links to %s, which the archive doesn't have", name, m[1])
			}
		}
	}
	if got := command(t, nil, filepath.Join(dir, "bin/git-aig-sync"), "--version"); !strings.Contains(got, head) {
		t.Errorf("--version says %q", got)
	}
	var spdx struct {
		Packages []struct{ Name, LicenseDeclared string }
	}
	found, err = filepath.Glob(filepath.Join(out, "*.spdx.json"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &spdx); err != nil {
		t.Fatal(err)
	}
	licences := make(map[string]string)
	for _, p := range spdx.Packages {
		licences[p.Name] = p.LicenseDeclared
	}
	if licences["aig"] != "ISC" || licences["std"] != "BSD-3-Clause" || licences["golang.org/x/crypto"] != "BSD-3-Clause" {
		t.Errorf("the list of licences: %v", licences)
	}
}

// untar unpacks an archive without its top directory, and returns the files' contents.
func untar(t *testing.T, file, dir string) map[string][]byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	contents := make(map[string][]byte)
	for r := tar.NewReader(z); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return contents
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(header.Name, "/")
		contents[name] = data
		if err := write(filepath.Join(dir, name), data); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), os.FileMode(header.Mode)); err != nil {
			t.Fatal(err)
		}
	}
}

func command(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
