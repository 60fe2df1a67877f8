package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aig/internal/app"
	"aig/internal/command"
)

// Help and version are printed; arguments that git would not give are a usage error; an address that is no command is refused.
func TestRun(t *testing.T) {
	for args, want := range map[string]string{"-h": "usage: git-remote-aig", "--help": "usage: git-remote-aig", "--version": "git-remote-aig "} {
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		err = run(t.Context(), []string{args}, app.Config{Stdout: out})
		out.Close()
		text, _ := os.ReadFile(out.Name())
		if err != nil || !strings.HasPrefix(string(text), want) {
			t.Errorf("%s: %v\n%s", args, err, text)
		}
	}
	var usage *command.UsageError
	for _, args := range [][]string{nil, {"origin"}, {"origin", "true", "more"}} {
		if err := run(t.Context(), args, app.Config{}); !errors.As(err, &usage) {
			t.Errorf("%q: %v", args, err)
		}
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := run(t.Context(), []string{"origin", "-"}, app.Config{Stdin: null}); err == nil || !strings.Contains(err.Error(), "aig::-") {
		t.Errorf("%v", err)
	}
}
