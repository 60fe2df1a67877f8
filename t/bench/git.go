package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// gitEnv returns the environment of every git: the user's own configuration must not count.
func gitEnv(home string) []string {
	env := []string{"HOME=" + home, "XDG_CONFIG_HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C", "GIT_NO_REPLACE_OBJECTS=1"}
	for _, name := range []string{"PATH", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// repo is a bare repository, by its path.
type repo string

// git runs git in the repository. stdin may be nil.
func (r repo) git(ctx context.Context, stdin io.Reader, stdout io.Writer, args ...string) error {
	// The history to measure may belong to another user.
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "safe.directory=*", "--git-dir", string(r)}, args...)...)
	var complaint bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = gitEnv("/nonexistent"), stdin, stdout, &complaint
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("git %s in %s: %w: %q", strings.Join(args, " "), r, err, strings.TrimSpace(complaint.String()))
	}
	return nil
}

// lines runs git and returns the lines that it prints.
func (r repo) lines(ctx context.Context, args ...string) ([]string, error) {
	var out bytes.Buffer
	if err := r.git(ctx, nil, &out, args...); err != nil {
		return nil, err
	}
	return strings.FieldsFunc(out.String(), func(c rune) bool { return c == '\n' }), nil
}

// pour runs git with what write writes on its standard input.
func (r repo) pour(ctx context.Context, write func(io.Writer) error, args ...string) error {
	read, written := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := write(written)
		written.CloseWithError(err)
		done <- err
	}()
	err := r.git(ctx, read, nil, args...)
	// git may have ended before it read everything.
	read.CloseWithError(errors.New("git reads no more"))
	if wrote := <-done; err == nil {
		err = wrote
	}
	return err
}

// create makes an empty bare repository.
func create(ctx context.Context, path string) (repo, error) {
	r := repo(path)
	if err := os.MkdirAll(path, 0o777); err != nil {
		return r, err
	}
	return r, r.git(ctx, nil, nil, "-c", "init.defaultBranch=main", "init", "-q", "--bare")
}

// objects prints the names of all objects of the store, ascending.
func (r repo) objects(ctx context.Context, w io.Writer) error {
	return r.git(ctx, nil, w, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)", "--buffer")
}

// gitDir returns the repository that a path, perhaps a working tree's, belongs to.
func (r repo) gitDir(ctx context.Context) (repo, error) {
	cmd := exec.CommandContext(ctx, "git", "-c", "safe.directory=*", "-C", string(r), "rev-parse", "--absolute-git-dir")
	cmd.Env = gitEnv("/nonexistent")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s is no git repository that can be read: %w", r, err)
	}
	return repo(strings.TrimSpace(string(out))), nil
}
