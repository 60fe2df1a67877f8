package identity

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"aig/internal/sshtest"
)

// If the agent holds a key that has a passphrase, nobody is asked for it; if it
// doesn't, or there is no agent, we ask.
func TestPassphraseAndAgent(t *testing.T) {
	home(t)
	for _, args := range [][]string{{"-t", "ed25519"}, {"-t", "rsa", "-b", "2048", "-m", "PEM"}, {"-t", "ecdsa", "-m", "PKCS8"}} {
		file := keygen(t, "", args...)
		startAgent(t, keygen(t, "", "-t", "ed25519"), file)
		run(t, "ssh-keygen", "-q", "-p", "-N", "right", "-f", file, "-m", "RFC4716")
		if len(args) > 2 { // back to its own format, which -p would otherwise change
			run(t, "ssh-keygen", append([]string{"-q", "-p", "-P", "right", "-N", "right", "-f", file}, args[len(args)-2:]...)...)
		}
		id := load1(t, file)
		if got, want := fingerprintOf(id), fingerprint(t, file+".pub"); got != want {
			t.Errorf("fingerprint %s, want %s", got, want)
		}
		prove(t, id, id)
	}

	file := keygen(t, "right", "-t", "ed25519")
	for _, socket := range []string{os.Getenv("SSH_AUTH_SOCK"), "", filepath.Join(t.TempDir(), "none")} {
		t.Setenv("SSH_AUTH_SOCK", socket)
		prompt, asked := answers("right")
		loadWith(t, file, prompt)
		if len(*asked) != 1 {
			t.Errorf("asked %d times", len(*asked))
		}
	}
}

// A public key whose private half only the agent has is found by the private
// key's file name, as with ssh -i.
func TestPublicKeyOnly(t *testing.T) {
	home(t)
	file := keygen(t, "", "-t", "ed25519")
	startAgent(t, keygen(t, "", "-t", "ed25519"), file)
	want := fingerprint(t, file)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got := fingerprintOf(load1(t, file)); got != want {
		t.Errorf("fingerprint %s, want %s", got, want)
	}
	if got, err := PublicFingerprint(t.Context(), file, unasked(t)); err != nil || got != want {
		t.Errorf("fingerprint %s, %v, want %s", got, err, want)
	}
}

// A locked agent looks empty to us, so the error mentions locks too.
func TestAgentLocked(t *testing.T) {
	dir := home(t)
	file := keygen(t, "", "-t", "ed25519")
	startAgent(t, file)
	id := load1(t, file+".pub")
	script := filepath.Join(dir, "askpass")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho lock\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSH_ASKPASS", script)
	t.Setenv("SSH_ASKPASS_REQUIRE", "force")
	run(t, "ssh-add", "-x")
	if _, err := Load(t.Context(), "", unasked(t)); err == nil || !strings.Contains(err.Error(), "ssh-add -X") {
		t.Errorf("error %v", err)
	}
	if _, err := id.Sign(rand.Reader, []byte("data")); err == nil || !strings.Contains(err.Error(), "the SSH agent doesn't sign") {
		t.Errorf("error %v", err)
	}
	run(t, "ssh-add", "-X")
	if _, err := id.Sign(rand.Reader, []byte("data")); err != nil {
		t.Errorf("error %v", err)
	}
}

// An agent that doesn't answer isn't waited for beyond the context's end.
func TestAgentSilent(t *testing.T) {
	home(t)
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	t.Setenv("SSH_AUTH_SOCK", filepath.Join(dir, "s"))
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.Read(make([]byte, 100)) // the request has come
		cancel(cause)
		conn.Read(make([]byte, 100)) // until the client goes
	}()
	defer func() { <-done }()
	if _, err := Load(ctx, "", unasked(t)); !errors.Is(err, cause) {
		t.Errorf("error %v, want %v", err, cause)
	}
}

// A key from the agent stops signing when the context in which it was loaded ends.
func TestContextOver(t *testing.T) {
	home(t)
	file := keygen(t, "", "-t", "ed25519")
	startAgent(t, file)
	ctx, cancel := context.WithCancel(t.Context())
	id, err := Load(ctx, file+".pub", unasked(t))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := id.Sign(rand.Reader, []byte("data")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// An agent that signs with RSA keys by SHA-1 only is an error.
func TestAgentWithoutSHA2(t *testing.T) {
	home(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	startFakeAgent(t, key)
	id := load1(t, "")
	_, err = id.Sign(rand.Reader, []byte("data"))
	if err == nil || !strings.Contains(err.Error(), `signed with "ssh-rsa" instead of rsa-sha2-512`) {
		t.Errorf("error %v", err)
	}
}

// A key on a FIDO token is used through the agent, found by the name of its file, as host key and as user key; a signature
// made without touching the token is refused.
func TestToken(t *testing.T) {
	dir := home(t)
	served := tokenAgent{agent.NewKeyring().(agent.ExtendedAgent), sshtest.NewToken()}
	serveAgent(t, served)
	file := filepath.Join(dir, "id_ed25519_sk")
	for name, content := range map[string]string{file: opensshFile("none", served.token.PublicKey()), file + ".pub": string(ssh.MarshalAuthorizedKey(served.token.PublicKey()))} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"", file, file + ".pub"} {
		id := load1(t, name)
		if got, want := fingerprintOf(id), fingerprint(t, file+".pub"); got != want {
			t.Errorf("%q: fingerprint %s, want %s", name, got, want)
		}
		prove(t, id, id)
	}
	served.token.Flags = 0
	serveAgent(t, served)
	id := load1(t, "")
	if err := handshake(t, id, id); err == nil {
		t.Error("a signature without a touch was taken")
	}
}
