package identity

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"aig/internal/sshtest"
)

// patience bounds every wait of these tests; reaching it is a failure.
const patience = 30 * time.Second

// home makes an empty home directory and an environment without agent, askpass
// program or display.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	for _, name := range []string{"SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "WAYLAND_DISPLAY"} {
		t.Setenv(name, "")
	}
	if err := os.Mkdir(filepath.Join(dir, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// run runs a program of openssh-client.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s(it is in Debian's package openssh-client)", name, args, err, output)
	}
	return string(output)
}

// keygen makes a key pair with ssh-keygen and returns the private key's file.
func keygen(t *testing.T, passphrase string, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	// One round of the passphrase's hash is as good as sixteen here, and faster.
	run(t, "ssh-keygen", append([]string{"-q", "-a", "1", "-C", "a comment", "-N", passphrase, "-f", file}, args...)...)
	return file
}

// fingerprint returns a key's fingerprint according to ssh-keygen.
func fingerprint(t *testing.T, file string) string {
	t.Helper()
	fields := strings.Fields(run(t, "ssh-keygen", "-lf", file))
	if len(fields) < 2 {
		t.Fatalf("ssh-keygen -lf prints %q", fields)
	}
	return fields[1]
}

// fingerprintOf returns the fingerprint of a loaded key.
func fingerprintOf(signer ssh.Signer) string { return ssh.FingerprintSHA256(signer.PublicKey()) }

// startAgent starts an SSH agent that holds the keys, and points SSH_AUTH_SOCK
// at it.
func startAgent(t *testing.T, keys ...string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	cmd := exec.Command("ssh-agent", "-D", "-a", socket)
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (ssh-agent is in Debian's package openssh-client)", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for deadline := time.Now().Add(patience); ; {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the agent doesn't come up: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Setenv("SSH_AUTH_SOCK", socket)
	for _, key := range keys {
		run(t, "ssh-add", "-q", key)
	}
}

// load1 loads a key, and fails the test if it asks a question.
func load1(t *testing.T, file string) ssh.Signer {
	t.Helper()
	return loadWith(t, file, unasked(t))
}

// unasked returns a prompt that must not be called.
func unasked(t *testing.T) Prompt {
	return func(_ context.Context, prompt string) ([]byte, error) {
		t.Errorf("asked %q", prompt)
		return nil, errors.New("nobody is there")
	}
}

func loadWith(t *testing.T, file string, prompt Prompt) ssh.Signer {
	t.Helper()
	signer, err := Load(t.Context(), file, prompt)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// answers returns a prompt that answers with one passphrase after the other, and
// the list of its questions.
func answers(passphrases ...string) (Prompt, *[]string) {
	var asked []string
	return func(_ context.Context, prompt string) ([]byte, error) {
		asked = append(asked, prompt)
		if len(asked) > len(passphrases) {
			return nil, errors.New("asked too often")
		}
		return []byte(passphrases[len(asked)-1]), nil
	}, &asked
}

// prove checks that the key can be used as host key and as user key, in an SSH
// handshake with the other, that both sides see the keys with the right
// fingerprints, and that only the wanted algorithms sign.
func prove(t *testing.T, id, other ssh.Signer) {
	t.Helper()
	for _, pair := range [][2]ssh.Signer{{id, other}, {other, id}} {
		if err := handshake(t, pair[0], pair[1]); err != nil {
			t.Error(err)
		}
	}
}

func handshake(t *testing.T, server, client ssh.Signer) error {
	t.Helper()
	// Not net.Pipe: both sides begin by writing, and it has no buffer.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	near.SetDeadline(time.Now().Add(patience))
	far.SetDeadline(time.Now().Add(patience))

	serverConfig := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if got := ssh.FingerprintSHA256(key); got != fingerprintOf(client) {
				return nil, errors.New("the server sees the client's key as " + got)
			}
			return nil, nil
		},
		PublicKeyAuthAlgorithms: []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384,
			ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512},
	}
	serverConfig.AddHostKey(server)
	serverErr := make(chan error, 1)
	go func() {
		conn, _, _, err := ssh.NewServerConn(far, serverConfig)
		if err == nil {
			conn.Close()
		}
		serverErr <- err
	}()
	conn, _, _, err := ssh.NewClientConn(near, "peer", &ssh.ClientConfig{
		User: "peer",
		Auth: []ssh.AuthMethod{ssh.PublicKeys(client)},
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if got := ssh.FingerprintSHA256(key); got != fingerprintOf(server) {
				return errors.New("the client sees the server's key as " + got)
			}
			return nil
		},
		HostKeyAlgorithms: serverConfig.PublicKeyAuthAlgorithms,
	})
	if err == nil {
		conn.Close()
	} else {
		near.Close()
	}
	return errors.Join(err, <-serverErr)
}

// sha1Agent is an agent from before RFC 8332.
type sha1Agent struct{ agent.ExtendedAgent }

func (a sha1Agent) SignWithFlags(key ssh.PublicKey, data []byte, _ agent.SignatureFlags) (*ssh.Signature, error) {
	return a.ExtendedAgent.Sign(key, data)
}

// startFakeAgent serves one key from a sha1Agent.
func startFakeAgent(t *testing.T, key any) {
	t.Helper()
	ring := agent.NewKeyring().(agent.ExtendedAgent)
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	serveAgent(t, sha1Agent{ring})
}

// tokenAgent is an agent with a FIDO token.
type tokenAgent struct {
	agent.ExtendedAgent
	token sshtest.Token
}

func (a tokenAgent) List() ([]*agent.Key, error) {
	return []*agent.Key{{Format: ssh.KeyAlgoSKED25519, Blob: a.token.PublicKey().Marshal(), Comment: "token"}}, nil
}

func (a tokenAgent) SignWithFlags(_ ssh.PublicKey, data []byte, _ agent.SignatureFlags) (*ssh.Signature, error) {
	return a.token.Sign(nil, data)
}

func (a tokenAgent) Sign(_ ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	return a.token.Sign(nil, data)
}

// serveAgent serves an agent on a socket, and points SSH_AUTH_SOCK at it.
func serveAgent(t *testing.T, served agent.Agent) {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSH_AUTH_SOCK", filepath.Join(dir, "s"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			agent.ServeAgent(served, conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
}
