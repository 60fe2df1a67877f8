package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// source is a commit's files, without git.
type source struct {
	dir, version, commit string
	time                 time.Time // when it was committed: every file that is made gets this time
}

// export unpacks HEAD of a clone, so that nothing uncommitted can get into the release files.
func export(repo, dir string) (source, error) {
	head, err := output(repo, nil, "git", "log", "-1", "--format=%H %ct")
	if err != nil {
		return source{}, err
	}
	commit, seconds, _ := strings.Cut(strings.TrimSpace(head), " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return source{}, err
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		return source{}, err
	}
	tar := dir + ".tar"
	if _, err := output(repo, nil, "git", "archive", "--format=tar", "-o", tar, commit); err != nil {
		return source{}, err
	}
	if _, err := output(dir, nil, "tar", "-xf", tar); err != nil {
		return source{}, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "internal/version/version.go"))
	if err != nil {
		return source{}, err
	}
	version := regexp.MustCompile(`(?m)^const Version = "([0-9.]+)"$`).FindSubmatch(text)
	if version == nil {
		return source{}, errors.New("internal/version has no version")
	}
	return source{dir: dir, version: string(version[1]), commit: commit, time: time.Unix(unix, 0).UTC()}, nil
}

// fill lays out an archive's content: programs in bin, manuals and completions in share, and the documents.
func fill(stage string, src source, goos, goarch string, modules []module) error {
	if err := os.MkdirAll(stage, 0o777); err != nil {
		return err
	}
	for _, program := range []string{"git-aig-sync", "git-remote-aig", "aig-switchboard"} {
		file := filepath.Join(stage, "bin", program)
		if goos == "windows" {
			file += ".exe"
		}
		env := []string{"CGO_ENABLED=0", "GOOS=" + goos, "GOARCH=" + goarch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=", "GOWORK=off"}
		if _, err := output(src.dir, env, "go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w -buildid=", "-o", file, "./cmd/"+program); err != nil {
			return err
		}
	}
	for _, c := range []struct{ pattern, dir, name string }{
		{"README.md", "", ""},
		{"CHANGELOG.md", "", ""},
		{"LICENSE", "", ""},
		{"docs/*.md", "docs", ""},
		{"docs/*.svg", "docs", ""},
		{"docs/*.csv", "docs", ""},
		{"docs/*.json", "docs", ""},
		// docs/protocol.md links to it.
		{"internal/reconcile/testdata/vectors.json", "internal/reconcile/testdata", ""},
		{"docs/man/*.1", "share/man/man1", ""},
		{"docs/man/*.5", "share/man/man5", ""},
		{"docs/man/*.8", "share/man/man8", ""},
		// bash-completion loads a file named like the command.
		{"docs/completion/git-aig-sync.bash", "share/bash-completion/completions", "git-aig-sync"},
		{"docs/completion/_git-aig-sync", "share/zsh/site-functions", ""},
		{"docs/completion/git-aig-sync.fish", "share/fish/vendor_completions.d", ""},
		{"docs/completion/conf.fish", "share/fish/vendor_conf.d", "git-aig-sync.fish"},
	} {
		files, err := filepath.Glob(filepath.Join(src.dir, c.pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			name := c.name
			if name == "" {
				name = filepath.Base(file)
			}
			if err := write(filepath.Join(stage, c.dir, name), data); err != nil {
				return err
			}
		}
	}
	return write(filepath.Join(stage, "THIRD-PARTY"), notices(modules))
}

func write(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o666)
}

// output runs a command and returns its standard output; an error includes its standard error.
func output(dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return string(out), nil
}

// files returns the paths of the files below a directory, with slashes, in order.
func files(dir string) ([]string, error) {
	var names []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, name)
		}
		return err
	})
	return names, err
}
