package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aig/internal/app"
	"aig/internal/command"
	"aig/internal/wire"
)

// Each option sets what it should set.
func TestParse(t *testing.T) {
	yes, no := true, false
	with := func(change func(*app.Config)) app.Config {
		c := app.Config{Transport: "ssh host new", Timeout: app.DefaultTimeout, Direction: wire.Both}
		change(&c)
		return c
	}
	for args, want := range map[string]app.Config{
		"":                                    with(func(c *app.Config) {}),
		"--trust A --trust B":                 with(func(c *app.Config) { c.Trust = []string{"A", "B"} }),
		"--identity F --context w":            with(func(c *app.Config) { c.Identity, c.Context = "F", "w" }),
		"--pull --summary":                    with(func(c *app.Config) { c.Direction, c.Report = wire.Pull, app.ReportSummary }),
		"--report=full":                       with(func(c *app.Config) { c.Report = app.ReportFull }),
		"--push -q":                           with(func(c *app.Config) { c.Direction, c.Quiet = wire.Push, true }),
		"--give=reachable":                    with(func(c *app.Config) { c.Give = app.GiveReachable }),
		"--progress":                          with(func(c *app.Config) { c.Progress = &yes }),
		"--no-progress":                       with(func(c *app.Config) { c.Progress = &no }),
		"--no-refs":                           with(func(c *app.Config) { c.Branches = app.BranchesOff }),
		"--refs=porcelain --wait 2h":          with(func(c *app.Config) { c.Branches, c.Wait = app.BranchPorcelain, 2*time.Hour }),
		"--wait 0":                            with(func(c *app.Config) { c.Wait = -1 }),
		"--pull --no-pull --sum --no-summary": with(func(c *app.Config) {}),
		"--sum --iden F --no-pul --ti=5s":     with(func(c *app.Config) { c.Report, c.Identity, c.Timeout = app.ReportSummary, "F", 5*time.Second }),
		"--no-prog":                           with(func(c *app.Config) { c.Progress = &no }),
		"-q --no-quiet --refs=porcelain --no-refs=false": with(func(c *app.Config) { c.Branches = app.BranchPorcelain }),
		"--timeout 5s --": with(func(c *app.Config) { c.Timeout = 5 * time.Second }),
	} {
		o, err := parse(append(strings.Fields(args), "ssh host new"), app.Config{})
		if o.Progress != nil && want.Progress != nil && *o.Progress == *want.Progress {
			o.Progress = want.Progress
		}
		if err != nil || !equal(o.Config, want) {
			t.Errorf("%s: %v\n%+v, not\n%+v", args, err, o.Config, want)
		}
	}
}

func equal(a, b app.Config) bool {
	trust := strings.Join(a.Trust, " ") == strings.Join(b.Trust, " ")
	return trust && a.Transport == b.Transport && a.Identity == b.Identity && a.Context == b.Context &&
		a.Direction == b.Direction && a.Give == b.Give && a.Report == b.Report && a.Quiet == b.Quiet && a.Progress == b.Progress &&
		a.Branches == b.Branches && a.Wait == b.Wait && a.Timeout == b.Timeout
}

// A command line that makes no sense is refused with the reason.
func TestUsageErrors(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "a transport is needed"},
		{[]string{" "}, "the transport is empty"},
		{[]string{"ssh", "host", "new"}, "quote the transport: git aig-sync 'ssh host new'"},
		{[]string{"-q", "ssh", "-p", "2222", "host", "new"}, "quote the transport: git aig-sync 'ssh -p 2222 host new'"},
		{[]string{"ssh", "-o", "BatchMode=yes", "host", "new"}, "quote the transport: git aig-sync 'ssh -o BatchMode=yes host new'"},
		{[]string{"git", "-C", "../other", "aig-sync", "-"}, "quote the transport: git aig-sync 'git -C ../other aig-sync -'"},
		{[]string{"invite", "bob", "ssh", "host"}, "as in 'ssh host'"},
		{[]string{"--pull", "--push", "t"}, "exclude each other"},
		{[]string{"ssh", "-v", "host", "new"}, "quote the transport: git aig-sync 'ssh -v host new'"},
		{[]string{"-q", "ssh", "-n", "-p", "22", "host"}, "quote the transport: git aig-sync 'ssh -n -p 22 host'"},
		{[]string{"--no-refs", "--refs=porcelain", "t"}, "exclude each other"},
		{[]string{"--give=", "t"}, "is unknown"},
		{[]string{"--refs=", "t"}, "is unknown"},
		{[]string{"--porcelain", "--refs=", "t"}, "exclude each other"},
		{[]string{"--refs=\x1b[2J", "t"}, `"\x1b[2J"`},
		{[]string{"--report=long", "t"}, `"long"`},
		{[]string{"--report=full", "--summary", "t"}, "exclude each other"},
		{[]string{"--pu", "t"}, "--pu"},
		{[]string{"--re", "t"}, "--re"},
		{[]string{"--wait", "-1s", "t"}, "--wait"},
		{[]string{"--timeout", "0", "t"}, "--timeout"},
		{[]string{"--context", "", "t"}, "--context"},
		{[]string{"--fingerprint", "t"}, "take no transport"},
		{[]string{"--unknown", "t"}, "--unknown"},
		{[]string{"help", "nothing"}, `no help on "nothing"`},
	} {
		var usage *command.UsageError
		err := run(t.Context(), tt.args, app.Config{})
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v", tt.args, err)
		}
	}
}

// Help and versions are printed on standard output.
func TestPrinted(t *testing.T) {
	for args, want := range map[string]string{
		"-h": "usage: git aig-sync", "--help": "usage: git aig-sync", "help": "usage: git aig-sync",
		"help help": "usage: git aig-sync help", "--version": "git-aig-sync ",
	} {
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		err = run(t.Context(), strings.Fields(args), app.Config{Stdout: out})
		out.Close()
		text, _ := os.ReadFile(out.Name())
		if err != nil || !strings.HasPrefix(string(text), want) {
			t.Errorf("%s: %v\n%s", args, err, text)
		}
	}
}
