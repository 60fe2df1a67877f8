package app

import (
	"bufio"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"aig/internal/pairing"
)

// meeting returns two transports that lead to each other: what goes into one comes out of the other.
func meeting(t *testing.T) (a, b string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lead := func(to, from string) string {
		return fmt.Sprintf("cat <'%s/%s' & exec cat >'%s/%s'", dir, from, dir, to)
	}
	return lead("a", "b"), lead("b", "a")
}

// pair has Alice invite, and Bob accept with the code that change makes of hers.
func pair(t *testing.T, alice, bob *person, o PairOptions, change func(code string) string) (ofAlice, ofBob outcome) {
	t.Helper()
	a, b := alice.config(), bob.config()
	a.Transport, b.Transport = meeting(t)
	a.Report, b.Report = ReportSummary, ReportSummary
	r, w := pipe(t)
	a.Stderr = w
	o.Alone, o.Side, o.Name = true, pairing.Invite, "bob"
	inviting := o
	waitA := start(t, a, nil, func(ctx context.Context, c Config) error {
		defer w.Close()
		return Pair(ctx, c, inviting)
	})
	said := bufio.NewReader(r)
	line, err := said.ReadString('\n')
	code, ok := strings.CutPrefix(strings.TrimSpace(line), "tell bob this code: ")
	if err != nil || !ok {
		t.Fatalf("%v: %q", err, line)
	}
	rest := make(chan string, 1)
	go func() {
		var all strings.Builder
		said.WriteTo(&all)
		rest <- all.String()
	}()
	b.Git.Env = append(b.Git.Env, "AIG_CODE="+change(code))
	o.Side, o.Name = pairing.Accept, "alice"
	ofBob = start(t, b, nil, func(ctx context.Context, c Config) error { return Pair(ctx, c, o) })()
	ofAlice = waitA()
	ofAlice.stderr = line + <-rest
	return ofAlice, ofBob
}

// After a pairing each side has a remote for the other, with trust of its own, and both have synchronised. A remote whose name
// is taken stays as it is, and a wrong code changes nothing.
func TestPair(t *testing.T) {
	alice, bob := newPerson(t), newPerson(t)
	alice.Commit("a", "of Alice")
	bob.Commit("b", "of Bob")
	same := func(code string) string { return code }
	a, b := pair(t, alice, bob, PairOptions{}, same)
	if a.err != nil || b.err != nil {
		t.Fatalf("%v\n%s\n%v\n%s", a.err, a.stderr, b.err, b.stderr)
	}
	if a.stdout != "= 0\n> 3\n< 3\n.\n" || alice.Objects() != bob.Objects() {
		t.Errorf("no sync:\n%s", a.stdout)
	}
	if got := alice.Git("config", "remote.bob.aigTrust"); got != bob.fingerprint {
		t.Errorf("Alice trusts %s", got)
	}
	peers := start(t, bob.config(), nil, Peers)()
	if peers.err != nil || !like(peers.stdout, "alice  "+alice.fingerprint+"  cat <*") {
		t.Errorf("%v\n%s", peers.err, peers.stdout)
	}

	c := alice.config()
	c.Transport = "true"
	if err := Pair(t.Context(), c, PairOptions{Side: pairing.Invite, Name: "bob", Alone: true}); err == nil || !strings.Contains(err.Error(), "--replace") {
		t.Errorf("a name that is taken: %v", err)
	}

	before := alice.Git("config", "--list")
	a, b = pair(t, alice, bob, PairOptions{Replace: true, NoSync: true}, func(code string) string {
		for range 10 { // another one whose check digit is right
			secret, err := pairing.NewSecret()
			if err != nil {
				t.Fatal(err)
			}
			if other := (pairing.Code{Secret: secret}).String(); other != code {
				return other
			}
		}
		return ""
	})
	if a.err == nil || b.err == nil || alice.Git("config", "--list") != before {
		t.Errorf("a wrong code: %v, %v", a.err, b.err)
	}
	if a, b = pair(t, alice, bob, PairOptions{Replace: true, NoSync: true}, same); a.err != nil || b.err != nil || a.stdout != "" {
		t.Errorf("again: %v, %v\n%s", a.err, b.err, a.stdout)
	}
}

// The sync after a pairing heeds the configuration as any other does.
func TestPairHeedsConfiguration(t *testing.T) {
	alice, bob := newPerson(t), newPerson(t)
	alice.Commit("a", "of Alice")
	alice.GitIn("of no commit", "hash-object", "-w", "--stdin")
	alice.Git("config", "aig.give", "reachable")
	a, b := pair(t, alice, bob, PairOptions{}, func(code string) string { return code })
	if a.err != nil || b.err != nil || a.stdout != "= 0\n> 3\n< 0\n.\n" {
		t.Errorf("%v, %v\n%s", a.err, b.err, a.stdout)
	}
}

// A pairing that can't succeed is refused before anything starts.
func TestPairRefuses(t *testing.T) {
	p := newPerson(t)
	for want, change := range map[string]func(*Config, *PairOptions){
		`"-x" can't be the name of a remote: git allows no - at the beginning, no spaces`: func(_ *Config, o *PairOptions) { o.Name = "-x" },
		`"a b" can't be the name of a remote`:                                             func(_ *Config, o *PairOptions) { o.Name = "a b" },
		"there is no transport":                                                           func(c *Config, _ *PairOptions) { c.Transport = "" },
		"over -":                                                                          func(c *Config, _ *PairOptions) { c.Transport = "-" },
		"leave out --code":                                                                func(c *Config, _ *PairOptions) { c.Git.Env = append(c.Git.Env, "AIG_CODE=17e58-"+secret(t)) },
	} {
		c, o := p.config(), PairOptions{Side: pairing.Accept, Name: "alice", Alone: true}
		c.Transport = "true"
		change(&c, &o)
		if err := start(t, c, nil, func(ctx context.Context, c Config) error { return Pair(ctx, c, o) })().err; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, not one that says %q", err, want)
		}
	}
}

func secret(t *testing.T) string {
	t.Helper()
	s, err := pairing.NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	return pairing.Code{Secret: s}.String()
}
