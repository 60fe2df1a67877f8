package git

import (
	"errors"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"aig/internal/gittest"
)

// Outside a repository there is one error, and git's own words are kept for the rest.
func TestOpenElsewhere(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(t.Context(), Git{Dir: dir, Env: append(gittest.Env(t), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))}); err == nil || err.Error() != "not a git repository (or any of the parent directories)" {
		t.Errorf("outside: %v", err)
	}
	_, err := Open(t.Context(), Git{Dir: dir, Env: append(gittest.Env(t), "GIT_DIR="+dir)})
	if err == nil || !strings.Contains(err.Error(), "not a git repository") {
		t.Errorf("bad GIT_DIR: %v", err)
	}
	_, err = Open(t.Context(), Git{Dir: dir, Env: []string{"PATH=" + dir}})
	if err == nil {
		t.Error("a repository was found without git")
	}
}

// Configuration is read as git reads it: unset, set, typed, with several values, and with line ends in them.
func TestConfig(t *testing.T) {
	for _, settings := range []bool{false, true} {
		testConfig(t, settings)
	}
}

func testConfig(t *testing.T, settings bool) {
	r := gittest.New(t)
	g := Git{Dir: r.Dir, Env: r.Env}
	fresh := func() {
		if settings {
			g.Settings = new(Settings)
		}
	}
	fresh()
	if v, ok, err := g.Config(t.Context(), "aig.identity", "path"); ok || err != nil {
		t.Errorf("unset: %q, %v, %v", v, ok, err)
	}
	r.Git("config", "aig.identity", "~/key\nx")
	r.Git("config", "remote.A.b C.aigTrust", "of a remote")
	fresh()
	if v, ok, err := g.Config(t.Context(), "Remote.A.b C.aigtrust", ""); !ok || err != nil || v != "of a remote" {
		t.Errorf("subsection: %q, %v, %v", v, ok, err)
	}
	if v, ok, err := g.Config(t.Context(), "remote.a.b c.aigTrust", ""); ok || err != nil {
		t.Errorf("another subsection: %q, %v, %v", v, ok, err)
	}
	if v, ok, err := g.Config(t.Context(), "aig.identity", "path"); !ok || err != nil || !strings.HasSuffix(v, "/key\nx") || v[0] != '/' {
		t.Errorf("path: %q, %v, %v", v, ok, err)
	}
	r.Git("config", "--add", "aig.trust", "a")
	r.Git("config", "--add", "aig.trust", "b")
	fresh()
	if v, err := g.ConfigAll(t.Context(), "aig.trust", ""); err != nil || !slices.Equal(v, []string{"a", "b"}) {
		t.Errorf("several: %q, %v", v, err)
	}
	r.Git("config", "aig.maxMemory", "perhaps")
	fresh()
	if _, err := Open(t.Context(), g); err == nil || !strings.Contains(err.Error(), "aig.maxmemory") {
		t.Errorf("a bad number: %v", err)
	}
}

// What ties git to one repository does not get into a transport's environment; the rest does.
func TestWithoutLocalEnv(t *testing.T) {
	env := []string{"HOME=/x", "GIT_DIR=/y", "GIT_OBJECT_DIRECTORY=/z", "GIT_SSH=ssh", "GIT_CONFIG_PARAMETERS='a.b=c'"}
	got, err := Git{Env: gittest.Env(t)}.WithoutLocalEnv(t.Context(), env)
	if err != nil || !slices.Equal(got, []string{"HOME=/x", "GIT_SSH=ssh"}) {
		t.Errorf("%q, %v", got, err)
	}
}

// Sizes are written as git writes them; an invalid one is an error that names the variable.
func TestConfiguredSizes(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int64{"0": 0, "7": 7, "2k": 2 << 10, "3M": 3 << 20, "1g": 1 << 30, "-1": -1, "much": -1} {
		to := gittest.New(t)
		to.Git("config", "aig.maxMemory", value)
		s, err := Open(t.Context(), Git{Dir: to.Dir, Env: to.Env})
		switch {
		case want < 0:
			if err == nil || !strings.Contains(strings.ToLower(err.Error()), "aig.maxmemory") {
				t.Errorf("%s: %v", value, err)
			}
		case err != nil:
			t.Errorf("%s: %v", value, err)
		case s.maxMemory != want:
			t.Errorf("%s: %d", value, s.maxMemory)
		}
	}
	r := gittest.New(t)
	s, err := Open(t.Context(), Git{Dir: r.Dir, Env: r.Env})
	if err != nil {
		t.Fatal(err)
	}
	if want := machineMemory() / 4; s.maxMemory != want || runtime.GOOS == "linux" && want < 64<<20 {
		t.Errorf("aig.maxMemory is %d by default, a quarter of the machine's is %d", s.maxMemory, want)
	}
	for n, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1024: "1.00 KiB", 1536: "1.50 KiB", 512 << 20: "512.00 MiB",
		5<<30 - 1: "5.00 GiB", 3 << 40: "3072.00 GiB"} {
		if got := ByteSize(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

// A child that is out of memory has aig.maxMemory named only if that is what limits it.
func TestOutOfMemory(t *testing.T) {
	for limit, named := range map[int64]bool{1 << 30: true, 1 << 20: false} {
		c := Git{maxMemory: 64 << 20}.Command(t.Context(), nil, "diff-tree")
		c.LimitMemory(limit)
		io.WriteString(&c.stderr, "fatal: Out of memory, malloc failed (tried to allocate 9 bytes)\n")
		err := c.explain(io.ErrUnexpectedEOF)
		if failed := new(Error); !errors.As(err, &failed) || !failed.OutOfMemory() {
			t.Errorf("%v", err)
		}
		if strings.Contains(err.Error(), "aig.maxMemory") != named {
			t.Errorf("limited to %d: %v", limit, err)
		}
	}
}
