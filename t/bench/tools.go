package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// step is one command, which reaches the other side through the pipe.
type step struct {
	dir  string
	args []string
	bobs bool // it runs on Bob's side: what it sends goes from Bob to Alice
}

// tool is git aig-sync, or what a user would use instead.
type tool struct {
	name    string
	program string // how the names of its own processes begin
	steps   func(pair) []step
	clones  bool // Alice's repository must not be there yet
	ssh     bool // through OpenSSH, which it would need between two machines; otherwise bare through the pipe
	// finishes checks from its output that it kept its promise; nil if its exit status says it all.
	finishes func(stdout string) error
}

// The host name in the commands below is ignored: the other end of the pipe is the same machine.
const host = "peer"

// gitFetch is two fetches, one on each side, one after the other.
var gitFetch = tool{name: "two git fetches", program: "git", steps: func(p pair) []step {
	fetch := func(from repo) []string {
		return []string{"git", "fetch", "-q", host + ":" + string(from), "+refs/heads/*:refs/remotes/peer/*"}
	}
	return []step{
		{dir: string(p.alice), args: fetch(p.bob)},
		{dir: string(p.bob), args: fetch(p.alice), bobs: true},
	}
}}

// gitFetchAll fetches everything into an empty repository: what to do instead of a clone that broke.
var gitFetchAll = tool{name: "git fetch", program: "git", steps: func(p pair) []step {
	return []step{{dir: string(p.alice), args: []string{"git", "fetch", "-q", host + ":" + string(p.bob), "+refs/*:refs/*"}}}
}}

var gitClone = tool{name: "git clone --mirror", program: "git", clones: true, steps: func(p pair) []step {
	return []step{{
		dir:  filepath.Dir(string(p.alice)),
		args: []string{"git", "clone", "-q", "--mirror", host + ":" + string(p.bob), string(p.alice)},
	}}
}}

// rsyncBoth copies each side's object directory into the other's.
var rsyncBoth = tool{name: "two rsync -a", program: "rsync", steps: func(p pair) []step {
	return []step{
		{dir: string(p.alice), args: rsyncArgs(p.bob)},
		{dir: string(p.bob), args: rsyncArgs(p.alice), bobs: true},
	}
}}

var rsyncOne = tool{name: "rsync -a", program: "rsync", steps: func(p pair) []step {
	return []step{{dir: string(p.alice), args: rsyncArgs(p.bob)}}
}}

var rsyncPartial = tool{name: "rsync -a --partial", program: "rsync", steps: func(p pair) []step {
	return []step{{dir: string(p.alice), args: append(rsyncArgs(p.bob), "--partial")}}
}}

func rsyncArgs(from repo) []string {
	return []string{"rsync", "-a", host + ":" + string(from) + "/objects/", "objects/"}
}

// aigSync is git aig-sync: one command on Alice's side, which starts Bob's through the pipe. Both get the options, if any.
func (b *bench) aigSync(options ...string) tool {
	return tool{
		name:    strings.Join(append([]string{"git aig-sync"}, options...), " "),
		program: "git-aig-sync",
		steps: func(p pair) []step {
			bobs := fmt.Sprintf("cd %s && HOME=%s TRUST=%s exec git aig-sync --summary %s -",
				quote(string(p.bob)), quote(b.bobHome), b.aliceKey, strings.Join(options, " "))
			return []step{{
				dir:  string(p.alice),
				args: append(append([]string{"git", "aig-sync", "--summary"}, options...), `aig-test-pipe $AIG_BENCH_LINK --count "$AIG_BENCH_COUNT" --hops "$AIG_BENCH_HOPS" `+quote(bobs)),
			}}
		},
		finishes: func(stdout string) error {
			if !strings.HasSuffix(stdout, "\n.\n") {
				return fmt.Errorf("it ended without its promise: its report is %q", stdout)
			}
			return nil
		},
	}
}

// sshLike is what git and rsync take for ssh: everything after the host goes to a shell at the other end of the pipe.
const sshLike = `#!/bin/sh
while :; do
	case $1 in
	-o | -p | -l) shift 2 ;;
	-*) shift ;;
	*) break ;;
	esac
done
shift
# The options are words.
# shellcheck disable=SC2086
exec aig-test-pipe $AIG_BENCH_LINK --count "$AIG_BENCH_COUNT" --hops "$AIG_BENCH_HOPS" "$*"
`

// overSSH returns the tool as it runs between two machines.
func overSSH(t tool) tool {
	t.name += ", ssh"
	t.ssh = true
	return t
}

// prepareSSH writes a command that is OpenSSH's client with a server of its own behind the pipe, each as the user who
// runs the benchmark, and tries it.
func (b *bench) prepareSSH(ctx context.Context) error {
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		sshd = "/usr/sbin/sshd" // not in a user's PATH
	}
	key := func(home string) string { return filepath.Join(home, ".ssh", "id_ed25519") }
	public, err := os.ReadFile(key(b.bobHome) + ".pub")
	if err != nil {
		return err
	}
	config := fmt.Sprintf("HostKey %s\nAuthorizedKeysFile %s.pub\nUsePAM no\nStrictModes no\nPidFile none\nLogLevel ERROR\n"+
		"SetEnv GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null LC_ALL=C PATH=%s\n", key(b.bobHome), key(b.aliceHome), os.Getenv("PATH"))
	script := fmt.Sprintf(`#!/bin/sh
exec ssh -F none -i %s -o IdentityAgent=none -o UserKnownHostsFile=%s -o ProxyCommand='aig-test-pipe $AIG_BENCH_LINK --count "$AIG_BENCH_COUNT" --hops "$AIG_BENCH_HOPS" "exec %s -i -f %s"' "$@"
`, key(b.aliceHome), filepath.Join(b.runs, "known_hosts"), sshd, filepath.Join(b.runs, "sshd_config"))
	if os.Getuid() == 0 {
		// sshd's privilege separation directory, which exists only if sshd has run as a service.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return err
		}
	}
	b.realSSH = filepath.Join(b.runs, "ssh-real")
	if err := errors.Join(
		os.WriteFile(filepath.Join(b.runs, "known_hosts"), append([]byte(host+" "), public...), 0o666),
		os.WriteFile(filepath.Join(b.runs, "sshd_config"), []byte(config), 0o666),
		os.WriteFile(b.realSSH, []byte(script), 0o777),
	); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, b.realSSH, host, "git --version")
	cmd.Env = append(gitEnv(b.aliceHome), b.linkEnv(link{})...)
	out, err := cmd.CombinedOutput()
	// The pipe must have written its counts, though it may outlive ssh.
	if err = errors.Join(err, reap(ctx)); err == nil {
		err = b.readCounts(step{}, new(measurement))
	}
	if err != nil {
		b.realSSH = ""
		b.notes = append(b.notes, fmt.Sprintf("no rows over ssh: OpenSSH's server could not be started (%v: %q)", err, tail(string(out))))
	}
	return nil
}

// withSSH appends the tool over ssh, if that can run here.
func (b *bench) withSSH(t tool, tools ...tool) []tool {
	if b.realSSH != "" {
		tools = append(tools, overSSH(t))
	}
	return tools
}

// prepareTools makes two people's homes, and the command that stands for ssh.
func (b *bench) prepareTools() error {
	b.aliceHome, b.bobHome = filepath.Join(b.runs, "alice"), filepath.Join(b.runs, "bob")
	b.ssh = filepath.Join(b.runs, "ssh-like")
	var err error
	if b.aliceKey, err = makeKey(b.aliceHome); err != nil {
		return err
	}
	if b.bobKey, err = makeKey(b.bobHome); err != nil {
		return err
	}
	return os.WriteFile(b.ssh, []byte(sshLike), 0o777)
}

// makeKey makes a home with a key in it, and returns the key's fingerprint.
func makeKey(home string) (string, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(home, ".ssh"), 0o700); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(home, ".ssh", "id_ed25519"), pem.EncodeToMemory(block), 0o600); err != nil {
		return "", err
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(home, ".ssh", "id_ed25519.pub"), ssh.MarshalAuthorizedKey(key), 0o666); err != nil {
		return "", err
	}
	return ssh.FingerprintSHA256(key), nil
}

// quote returns any text as one word for a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
