package app

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/ref"
)

// Whose word an address is decides which trust counts for it. Each case is a source of an address and a place where trust
// may be set.
func TestWhoseWord(t *testing.T) {
	me, bob, mallory := newPerson(t), newPerson(t), newPerson(t)
	const address = "ssh bob git aig-sync -"
	for _, tt := range []struct {
		name          string
		global, local string   // configuration, "key value" a line, in which B and M are fingerprints
		env           []string // the same
		remote        string
		byGit         bool
		submodule     bool
		clone         bool
		wantBob       bool   // is trusted, and Mallory is not; else an error
		want          string // a part of it
	}{
		{name: "an argument, nobody", want: "no peer's key is trusted: start with AIG_TRUST="},
		{name: "an argument, the environment", env: []string{"AIG_TRUST=B"}, wantBob: true},
		{name: "an argument, the original's name", env: []string{"TRUST=B"}, wantBob: true},
		{name: "AIG_TRUST before TRUST", env: []string{"AIG_TRUST=B", "TRUST=M"}, wantBob: true},
		{name: "AIG_TRUST of nobody", global: "aig.trust B", env: []string{"AIG_TRUST=", "TRUST=B"}, want: "no peer's key is trusted"},
		{name: "an argument, aig.trust", global: "aig.trust B", wantBob: true},
		{name: "the environment before aig.trust", local: "aig.trust M", env: []string{"TRUST=B"}, wantBob: true},
		{name: "the narrowest aig.trust", global: "aig.trust M", local: "aig.trust B", wantBob: true},
		{name: "aig.trust taken back", global: "aig.trust B", local: "aig.trust", want: "no peer's key is trusted"},
		{name: "a list begun anew", local: "aig.trust M\naig.trust\naig.trust B", wantBob: true},

		{name: "git, an address, the environment", byGit: true, env: []string{"TRUST=B"}, wantBob: true},
		{name: "git, an address, -c", byGit: true, global: "aig.trust M", env: []string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=aig.trust", "GIT_CONFIG_VALUE_0=B"}, wantBob: true},
		{name: "git, an address, aig.trust alone", byGit: true, global: "aig.trust B", want: "git config --global protocol.aig.allow user"},
		{name: "git, an address, allowed", byGit: true, global: "aig.trust B\nprotocol.aig.allow user", wantBob: true},
		{name: "git, an address, always allowed", byGit: true, global: "aig.trust B\nprotocol.aig.allow Always", wantBob: true},
		{name: "git, an address, all is allowed", byGit: true, global: "aig.trust B\nprotocol.allow always", want: "protocol.aig.allow"},
		{name: "git, an address, GIT_ALLOW_PROTOCOL", byGit: true, global: "aig.trust B", env: []string{"GIT_ALLOW_PROTOCOL=https:aig"}, wantBob: true},
		{name: "git, an address, GIT_ALLOW_PROTOCOL of another", byGit: true, global: "aig.trust B\nprotocol.aig.allow user", env: []string{"GIT_ALLOW_PROTOCOL=https:aigs"}, want: "AIG_TRUST="},

		{name: "a remote, the environment", remote: "bob", byGit: true, env: []string{"TRUST=B"}, want: "git config remote.bob.aigTrust B"},
		{name: "a remote, aig.trust, all is allowed", remote: "bob", byGit: true, global: "aig.trust B\nprotocol.aig.allow always", want: "git config remote.bob.aigTrust B"},
		{name: "a remote by git aig-sync, the environment", remote: "bob", env: []string{"TRUST=B"}, want: `"ssh bob git aig-sync -"`},
		{name: "a remote, nobody", remote: "bob", byGit: true, want: "git config remote.bob.aigTrust SHA256:<"},
		{name: "a remote of its own trust", remote: "bob", byGit: true, local: "remote.bob.aigTrust B", wantBob: true},
		{name: "a remote's own trust before the environment", remote: "bob", local: "remote.bob.aigTrust B", global: "aig.trust M", env: []string{"AIG_TRUST=M"}, wantBob: true},
		{name: "a remote's own trust taken back", remote: "bob", global: "aig.trust B", local: "remote.bob.aigTrust", want: "remote.bob.aigTrust"},
		{name: "a remote, trust in every remote of that name", remote: "bob", byGit: true, global: "remote.bob.aigTrust B", want: "remote.bob.aigTrust"},
		{name: "a remote of the user's", remote: "eve", byGit: true, global: "remote.eve.url aig::true\nremote.eve.aigTrust B", wantBob: true},
		{name: "a remote, -c", remote: "bob", byGit: true, env: []string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=remote.bob.aigTrust", "GIT_CONFIG_VALUE_0=B"}, wantBob: true},

		{name: "a remote whose address is typed by -c", remote: "bob", byGit: true, local: "remote.bob.aigTrust B",
			env: []string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=remote.bob.url", "GIT_CONFIG_VALUE_0=aig::true"}, wantBob: true},
		{name: "a remote and its trust in an included file", remote: "eve", byGit: true, local: "include.path INCLUDED", wantBob: true},

		{name: "a submodule's remote, -c", submodule: true, remote: "bob", byGit: true,
			env: []string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=remote.bob.aigTrust", "GIT_CONFIG_VALUE_0=B"}, want: "remote.bob.aigTrust"},
		{name: "a submodule's remote, trust for it in the superproject's user", submodule: true, remote: "bob", byGit: true, global: "remote.bob.aigTrust B", want: "remote.bob.aigTrust"},
		{name: "a submodule's remote of its own trust", submodule: true, remote: "bob", byGit: true, local: "remote.bob.aigTrust B", wantBob: true},
		{name: "an address in a submodule", submodule: true, byGit: true, env: []string{"TRUST=B"}, want: "submodule"},

		{name: "a clone, the environment", clone: true, remote: "bob", byGit: true, env: []string{"TRUST=B"}, wantBob: true},
		{name: "a clone, aig.trust alone", clone: true, remote: "bob", byGit: true, global: "aig.trust B", want: "protocol.aig.allow"},
		{name: "a clone, allowed", clone: true, remote: "bob", byGit: true, global: "aig.trust B\nprotocol.aig.allow user", wantBob: true},
		{name: "an empty repository that is none", remote: "bob", byGit: true, clone: true, local: "", env: []string{"TRUST=B", "GIT_DIR=.git"}, want: "remote.bob.aigTrust"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			words := strings.NewReplacer(" B", " "+bob.fingerprint, "=B", "="+bob.fingerprint, " M", " "+mallory.fingerprint, "=M", "="+mallory.fingerprint)
			repo := gittest.New(t)
			if !tt.clone {
				repo.Commit("a", "a")
			}
			c := me.config()
			c.Transport, c.Git.Dir = address, repo.Dir
			c.Git.Env = append(repo.Env, "GIT_CONFIG_GLOBAL="+filepath.Join(t.TempDir(), "config"))
			if tt.submodule {
				super := gittest.New(t)
				super.Commit("a", "a")
				super.Git("-c", "protocol.file.allow=always", "submodule", "add", "-q", repo.Dir, "sub")
				c.Git.Dir = filepath.Join(super.Dir, "sub")
			}
			git := &gittest.Repo{}
			*git = *repo
			git.Dir, git.Env = c.Git.Dir, c.Git.Env
			if tt.clone { // as git clone does it
				c.Git.Dir = t.TempDir()
				c.Git.Env = append(c.Git.Env, "GIT_DIR="+filepath.Join(repo.Dir, ".git"))
			}
			git.Git("config", "remote.bob.url", "aig::"+address)
			included := filepath.Join(t.TempDir(), "included")
			git.Git("config", "--file", included, "remote.eve.url", "aig::true")
			git.Git("config", "--file", included, "remote.eve.aigTrust", bob.fingerprint)
			for scope, lines := range map[string]string{"--global": tt.global, "--local": tt.local} {
				for line := range strings.SplitSeq(words.Replace(lines), "\n") {
					if key, value, _ := strings.Cut(strings.ReplaceAll(line, "INCLUDED", included), " "); key != "" {
						git.Git("config", scope, "--add", key, value)
					}
				}
			}
			for _, kv := range tt.env {
				if kv == "GIT_DIR=.git" {
					c.Git.Dir = repo.Dir
				}
				c.Git.Env = append(c.Git.Env, words.Replace(kv))
			}
			trust, err := c.trusted(t.Context(), tt.remote, tt.byGit, io.Discard)
			if want := words.Replace(tt.want); !tt.wantBob {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, not one that says %q", err, want)
				}
				return
			}
			if err != nil || !trust.Contains(publicKey(t, bob)) || trust.Contains(publicKey(t, mallory)) {
				t.Errorf("%v, %v", trust, err)
			}
		})
	}
}

func publicKey(t *testing.T, p *person) ssh.PublicKey {
	t.Helper()
	text, err := os.ReadFile(p.key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A shell is started only if GIT_PROTOCOL_FROM_USER is absent or git reads it as true; git's own reading of booleans is the oracle.
func TestAllowedByEnvironment(t *testing.T) {
	if err := (Config{}).allowedByEnvironment(); err != nil {
		t.Errorf("refused without the variable: %v", err)
	}
	for v, want := range map[string]bool{
		"1": true, "true": true, "TRUE": true, "Yes": true, "on": true,
		"0": false, "": false, "false": false, "No": false, "OFF": false, "00": false, "x": false, "0 ": false, "tru": false, "1\n": false, "\x1b": false,
	} {
		c := Config{Git: git.Git{Env: []string{"GIT_PROTOCOL_FROM_USER=" + v}}}
		err := c.allowedByEnvironment()
		if err != nil && (!strings.Contains(err.Error(), "GIT_PROTOCOL_FROM_USER") || ref.HasControl(err.Error())) {
			t.Errorf("%q: the error is %q", v, err)
		}
		cmd := exec.CommandContext(t.Context(), "git", "-c", "x.y="+v, "config", "--type=bool", "x.y")
		cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1")
		out, _ := cmd.Output() // a value that isn't a boolean fails
		if git := string(out) == "true\n"; (err == nil) != want || git != want {
			t.Errorf("%q: git reads %q, we say %v", v, out, err)
		}
	}
}
