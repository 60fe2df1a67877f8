package identity

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// kinds are the keys that can be used, as ssh-keygen makes them.
var kinds = []struct {
	name       string
	args       []string
	algorithms string // that may sign
}{
	{"ed25519", []string{"-t", "ed25519"}, "ssh-ed25519"},
	{"P-256", []string{"-t", "ecdsa", "-b", "256"}, "ecdsa-sha2-nistp256"},
	{"P-384", []string{"-t", "ecdsa", "-b", "384"}, "ecdsa-sha2-nistp384"},
	{"P-521", []string{"-t", "ecdsa", "-b", "521"}, "ecdsa-sha2-nistp521"},
	{"RSA", []string{"-t", "rsa", "-b", "2048"}, "rsa-sha2-512 rsa-sha2-256"},
	{"P-256 as PEM", []string{"-t", "ecdsa", "-m", "PEM"}, "ecdsa-sha2-nistp256"},
	{"RSA as PEM", []string{"-t", "rsa", "-b", "2048", "-m", "PEM"}, "rsa-sha2-512 rsa-sha2-256"},
	{"P-256 as PKCS #8", []string{"-t", "ecdsa", "-m", "PKCS8"}, "ecdsa-sha2-nistp256"},
	{"RSA as PKCS #8", []string{"-t", "rsa", "-b", "2048", "-m", "PKCS8"}, "rsa-sha2-512 rsa-sha2-256"},
}

// checkSigner checks which algorithms a signer would use, and that it refuses
// the one that RSA keys had first.
func checkSigner(t *testing.T, signer ssh.Signer, algorithms string) {
	t.Helper()
	multi, ok := signer.(ssh.MultiAlgorithmSigner)
	if !ok {
		t.Fatal("the signer may use any algorithm")
	}
	if got := strings.Join(multi.Algorithms(), " "); got != algorithms {
		t.Errorf("the signer uses %s, want %s", got, algorithms)
	}
	for _, name := range strings.Fields(algorithms) {
		signature, err := multi.SignWithAlgorithm(rand.Reader, []byte("data"), name)
		if err != nil {
			t.Errorf("signing by %s: %v", name, err)
		} else if signature.Format != name || signer.PublicKey().Verify([]byte("data"), signature) != nil {
			t.Errorf("asked for %s, the signature is by %s, or wrong", name, signature.Format)
		}
	}
	if _, err := multi.SignWithAlgorithm(rand.Reader, []byte("data"), ssh.KeyAlgoRSA); err == nil {
		t.Error("it signed by ssh-rsa")
	}
}

// Every kind of key is loaded from its file and from the agent, with the
// fingerprint that ssh-keygen prints, and serves as host key and as user key.
func TestKinds(t *testing.T) {
	home(t)
	startAgent(t)
	other := load1(t, keygen(t, "", "-t", "ed25519"))
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			file := keygen(t, "", kind.args...)
			want := fingerprint(t, file+".pub")
			for _, name := range []string{file, file + ".pub"} {
				if name != file {
					run(t, "ssh-add", "-q", file)
				}
				id := load1(t, name)
				if got := id.Fingerprint(); got != want {
					t.Errorf("fingerprint %s, want %s", got, want)
				}
				if got, err := PublicFingerprint(t.Context(), Options{File: name}); err != nil || got != want {
					t.Errorf("fingerprint %s, %v, want %s", got, err, want)
				}
				checkSigner(t, id.Signer(), kind.algorithms)
				prove(t, id, other)
			}
		})
	}
}

// A passphrase is asked for, again if it was wrong, and opens keys in every
// format; for the fingerprint alone none is asked.
func TestPassphrase(t *testing.T) {
	home(t)
	other := load1(t, keygen(t, "", "-t", "ed25519"))
	for _, kind := range kinds {
		if strings.HasSuffix(kind.name, "PKCS #8") {
			continue // see TestRefused
		}
		t.Run(kind.name, func(t *testing.T) {
			file := keygen(t, "Passwort für Bob", kind.args...)
			want := fingerprint(t, file+".pub")
			if got, err := PublicFingerprint(t.Context(), Options{File: file, Prompt: unasked(t)}); err != nil || got != want {
				t.Errorf("fingerprint %s, %v, want %s", got, err, want)
			}
			prompt, asked := answers("wrong", "wronger", "Passwort für Bob")
			id := loadWith(t, file, prompt)
			question := "Enter passphrase for key '" + file + "': "
			if got := strings.Join(*asked, "|"); got != strings.Join([]string{question, question, question}, "|") {
				t.Errorf("asked %q", got)
			}
			if got := id.Fingerprint(); got != want {
				t.Errorf("fingerprint %s, want %s", got, want)
			}
			checkSigner(t, id.Signer(), kind.algorithms)
			prove(t, id, other)

			// Without the public key beside, only the old format has to ask.
			if err := os.Remove(file + ".pub"); err != nil {
				t.Fatal(err)
			}
			prompt, asked = answers("Passwort für Bob")
			if got, err := PublicFingerprint(t.Context(), Options{File: file, Prompt: prompt}); err != nil || got != want {
				t.Errorf("fingerprint %s, %v, want %s", got, err, want)
			}
			if must := strings.HasSuffix(kind.name, "PEM"); must != (len(*asked) == 1) {
				t.Errorf("asked %q", *asked)
			}
		})
	}
}

// A wrong passphrase is given three times at most, and old PEM files, which
// can't tell noise from a key for certain, never take one for a damaged file.
func TestWrongPassphrase(t *testing.T) {
	home(t)
	for _, args := range [][]string{{"-t", "ed25519"}, {"-t", "ecdsa", "-m", "PEM"}} {
		file := keygen(t, "right", args...)
		prompt, asked := answers("a", "b", "c", "right")
		_, err := Load(t.Context(), Options{File: file, Prompt: prompt})
		if err == nil || !strings.Contains(err.Error(), "wrong one was given 3 times") || len(*asked) != 3 {
			t.Errorf("asked %d times: %v", len(*asked), err)
		}
	}
	file := keygen(t, "right", "-t", "ecdsa", "-m", "PEM")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 { // one in 256 has the padding of a right one
		passphrase := strconv.Itoa(i)
		if _, err := unlock(content, []byte(passphrase)); err != x509.IncorrectPasswordError {
			t.Fatalf("with passphrase %q: %v", passphrase, err)
		}
	}
	if _, err := unlock(content, []byte("right")); err != nil {
		t.Errorf("with the right passphrase: %v", err)
	}
}

// Who gives no passphrase gives up.
func TestNoPassphrase(t *testing.T) {
	home(t)
	file := keygen(t, "right", "-t", "ed25519")
	prompt, asked := answers("", "right")
	_, err := Load(t.Context(), Options{File: file, Prompt: prompt})
	if err == nil || !strings.Contains(err.Error(), "none was given") || len(*asked) != 1 {
		t.Errorf("asked %d times: %v", len(*asked), err)
	}
	cause := errors.New("the user has left")
	_, err = Load(t.Context(), Options{File: file, Prompt: func(context.Context, string) ([]byte, error) { return nil, cause }})
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), file) {
		t.Errorf("error %v", err)
	}
}

// A key under a passphrase that the agent holds is used from there unasked;
// an agent that doesn't, or isn't there, is no obstacle to asking.
func TestPassphraseAndAgent(t *testing.T) {
	home(t)
	for _, args := range [][]string{{"-t", "ed25519"}, {"-t", "rsa", "-b", "2048", "-m", "PEM"}, {"-t", "ecdsa", "-m", "PKCS8"}} {
		file := keygen(t, "", args...)
		startAgent(t, keygen(t, "", "-t", "ed25519"), file)
		run(t, "ssh-keygen", "-q", "-p", "-N", "right", "-f", file, "-m", "RFC4716")
		if len(args) > 2 { // back in its own format, which -p would else change
			run(t, "ssh-keygen", append([]string{"-q", "-p", "-P", "right", "-N", "right", "-f", file}, args[len(args)-2:]...)...)
		}
		id := load1(t, file)
		if got, want := id.Fingerprint(), fingerprint(t, file+".pub"); got != want {
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

// Without a file, it is ~/.ssh/id_ed25519 if there is one, else the agent's
// first key that can be used.
func TestDefault(t *testing.T) {
	dir := home(t)
	want := func(file string) {
		t.Helper()
		id := load1(t, "")
		if got, want := id.Fingerprint(), fingerprint(t, file); got != want {
			t.Errorf("fingerprint %s, want %s", got, want)
		}
		if got, err := PublicFingerprint(t.Context(), Options{}); err != nil || got != id.Fingerprint() {
			t.Errorf("fingerprint %s, %v, want %s", got, err, id.Fingerprint())
		}
		prove(t, id, id)
	}
	first, second := keygen(t, "", "-t", "ecdsa"), keygen(t, "", "-t", "ed25519")
	startAgent(t, keygen(t, "", "-t", "rsa", "-b", "1024"), first, second)
	want(first)

	file := filepath.Join(dir, ".ssh", "id_ed25519")
	run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file)
	want(file)
}

// A public key whose private half only the agent has is found by the private
// key's name, as ssh -i finds it.
func TestPublicKeyOnly(t *testing.T) {
	home(t)
	file := keygen(t, "", "-t", "ed25519")
	startAgent(t, keygen(t, "", "-t", "ed25519"), file)
	want := fingerprint(t, file)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got := load1(t, file).Fingerprint(); got != want {
		t.Errorf("fingerprint %s, want %s", got, want)
	}
	if got, err := PublicFingerprint(t.Context(), Options{File: file}); err != nil || got != want {
		t.Errorf("fingerprint %s, %v, want %s", got, err, want)
	}
}

// What can't be used is refused in one line that says why and what to do.
func TestRefused(t *testing.T) {
	dir := home(t)
	plain := keygen(t, "", "-t", "ed25519")
	write := func(name, content string) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	content, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	open := write("open", string(content))
	if err := os.Chmod(open, 0o640); err != nil {
		t.Fatal(err)
	}
	ca := keygen(t, "", "-t", "ed25519")
	run(t, "ssh-keygen", "-q", "-s", ca, "-I", "me", plain+".pub")
	unknown := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: ecdhKey(t)})

	tests := []struct {
		name, file string
		want       []string
	}{
		{"absent", filepath.Join(dir, "none"), []string{"none can't be read: no such file"}},
		{"directory", dir, []string{"not a regular file"}},
		{"no key", write("text", "Dear Bob,\n"), []string{"holds no key"}},
		{"empty", write("empty", ""), []string{"holds no key"}},
		{"too large", write("large", strings.Repeat("x", maxKeyFile+1)), []string{"too large"}},
		{"readable by others", open, []string{"mode 0640", "chmod 600 " + open}},
		{"control characters", filepath.Join(dir, "a\x1b[2J"), []string{`a\x1b[2J" can't`}},
		{"damaged", write("damaged", strings.Replace(string(content), "b3BlbnNzaC", "b3BlbnNzaD", 1)), []string{"is damaged"}},
		{"cut", write("cut", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n"),
			[]string{"is damaged"}},
		{"RSA of 1024 bits", keygen(t, "", "-t", "rsa", "-b", "1024"), []string{"1024 bits", "ssh-keygen -t ed25519"}},
		{"RSA of 1024 bits, passphrase", keygen(t, "right", "-t", "rsa", "-b", "1024"), []string{"1024 bits"}},
		{"RSA of 1024 bits, PEM", keygen(t, "", "-t", "rsa", "-b", "1024", "-m", "PEM"), []string{"1024 bits"}},
		{"DSA", write("dsa", opensshFile("none", dsaKey(t))), []string{"is a DSA key", "ssh-keygen -t ed25519"}},
		{"DSA, passphrase", write("dsa-pass", opensshFile("aes256-ctr", dsaKey(t))), []string{"is a DSA key"}},
		{"DSA, PEM", write("dsa-pem", dsaPEM), []string{"is a DSA key"}},
		{"DSA, PEM, passphrase", write("dsa-pem-pass", strings.Replace(dsaPEM, "\n", "\nProc-Type: 4,ENCRYPTED\n\n", 1)),
			[]string{"is a DSA key"}},
		{"DSA, public", write("dsa.pub", string(ssh.MarshalAuthorizedKey(dsaKey(t)))), []string{"is a DSA key"}},
		{"certificate", plain + "-cert.pub", []string{"is a certificate", "the key itself"}},
		{"security token, public", write("sk.pub", string(ssh.MarshalAuthorizedKey(securityKey(t)))), []string{"security token"}},
		{"security token", write("sk", opensshFile("none", securityKey(t))), []string{"security token"}},
		{"PKCS #8, passphrase", keygen(t, "right", "-t", "ecdsa", "-m", "PKCS8"), []string{"PKCS #8", "ssh-keygen -p -f"}},
		{"key agreement", write("ecdh", string(unknown)), []string{"can't be used"}},
		{"public, no agent", plain + ".pub", []string{"is a public key", "SSH_AUTH_SOCK is not set"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			id, err := Load(t.Context(), Options{File: test.file, Prompt: unasked(t)})
			if err == nil {
				id.Close()
				t.Fatal("accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q doesn't say %q", err, want)
				}
			}
			if strings.ContainsAny(err.Error(), "\n\x1b") || !strings.HasPrefix(err.Error(), "own key: ") {
				t.Errorf("error %q", err)
			}
		})
	}
}

// ecdhKey returns a PKCS #8 key that agrees on secrets, but can't sign.
func ecdhKey(t *testing.T) []byte {
	t.Helper()
	// An X25519 key (RFC 8410, section 7), with any 32 bytes as its secret.
	return append([]byte{0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20}, make([]byte, 32)...)
}

// securityKey returns a public key as a FIDO token has it (PROTOCOL.u2f in
// OpenSSH's sources), for which no token is needed.
func securityKey(t *testing.T) ssh.PublicKey {
	t.Helper()
	key, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Name        string
		Key         []byte
		Application string
	}{"sk-ssh-ed25519@openssh.com", make([]byte, 32), "ssh:"}))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// dsaKey returns a public key that looks like a DSA key, which today's
// ssh-keygen doesn't make.
func dsaKey(t *testing.T) ssh.PublicKey {
	t.Helper()
	number := func(bits uint) *big.Int { return new(big.Int).SetBit(big.NewInt(1), int(bits)-1, 1) }
	key, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Name       string
		P, Q, G, Y *big.Int
	}{"ssh-dss", number(1024), number(160), number(1000), number(999)}))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

const dsaPEM = "-----BEGIN DSA PRIVATE KEY-----\nMAA=\n-----END DSA PRIVATE KEY-----\n"

// opensshFile returns a private key's file, for a key of which the private part
// is never looked at.
func opensshFile(cipher string, key ssh.PublicKey) string {
	body := ssh.Marshal(struct {
		Cipher, KDF, KDFOptions string
		Keys                    uint32
		Public, Private         []byte
	}{cipher, "none", "", 1, key.Marshal(), make([]byte, 64)})
	return string(pem.EncodeToMemory(&pem.Block{
		Type: opensshFormat, Bytes: append([]byte("openssh-key-v1\x00"), body...),
	}))
}

// Somebody else's file may have the mode that they like, as with ssh.
func TestForeignFile(t *testing.T) {
	home(t)
	if os.Getuid() != 0 {
		t.Log("only root can give a file away; the other half of the rule is in TestRefused")
		return
	}
	file := keygen(t, "", "-t", "ed25519")
	if err := errors.Join(os.Chmod(file, 0o644), os.Chown(file, 65534, -1)); err != nil {
		t.Fatal(err)
	}
	load1(t, file)
}

// Where there is no key at all, the error says what was tried and how to get one.
func TestNoIdentity(t *testing.T) {
	dir := home(t)
	check := func(want ...string) {
		t.Helper()
		_, err := Load(t.Context(), Options{})
		_, err2 := PublicFingerprint(t.Context(), Options{})
		if err == nil || err2 == nil || err.Error() != err2.Error() {
			t.Fatalf("errors %v, %v", err, err2)
		}
		want = append(want, filepath.Join(dir, ".ssh", "id_ed25519"), "ssh-keygen -t ed25519", "--identity")
		for _, want := range want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("error %q doesn't say %q", err, want)
			}
		}
	}
	check("SSH_AUTH_SOCK is not set")

	t.Setenv("SSH_AUTH_SOCK", filepath.Join(dir, "none"))
	check("none answers at SSH_AUTH_SOCK="+filepath.Join(dir, "none"), "no such file")

	startAgent(t)
	check("holds no key", "ssh-add", "locked")

	run(t, "ssh-add", "-q", keygen(t, "", "-t", "rsa", "-b", "1024"))
	check("none of its keys can be used", "1024 bits")
}

// A locked agent isn't an empty one to its user, who is told about locks.
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
	if _, err := Load(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "ssh-add -X") {
		t.Errorf("error %v", err)
	}
	if _, err := id.Signer().Sign(rand.Reader, []byte("data")); err == nil || !strings.Contains(err.Error(), "the SSH agent doesn't sign") {
		t.Errorf("error %v", err)
	}
	run(t, "ssh-add", "-X")
	if _, err := id.Signer().Sign(rand.Reader, []byte("data")); err != nil {
		t.Errorf("error %v", err)
	}
}

// An agent that doesn't answer holds nobody up beyond the context.
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
		conn.Read(make([]byte, 100)) // the question has come
		cancel(cause)
		conn.Read(make([]byte, 100)) // until the client goes
	}()
	defer func() { <-done }()
	if _, err := Load(ctx, Options{}); !errors.Is(err, cause) {
		t.Errorf("error %v, want %v", err, cause)
	}
}

// An identity that has been closed doesn't have the agent sign any more.
func TestClosed(t *testing.T) {
	home(t)
	file := keygen(t, "", "-t", "ed25519")
	startAgent(t, file)
	id := load1(t, file+".pub")
	if err := id.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := id.Signer().Sign(rand.Reader, []byte("data")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// An agent that knows only SHA-1 for RSA keys is found out.
func TestAgentWithoutSHA2(t *testing.T) {
	home(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	startFakeAgent(t, key)
	id := load1(t, "")
	_, err = id.Signer().Sign(rand.Reader, []byte("data"))
	if err == nil || !strings.Contains(err.Error(), `signed by "ssh-rsa" where rsa-sha2-512`) {
		t.Errorf("error %v", err)
	}
}

// ssh-keygen and we agree on the fingerprint of a key that neither has made.
func TestFingerprintOfForeignKey(t *testing.T) {
	dir := home(t)
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "key")
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := load1(t, file).Fingerprint(), fingerprint(t, file); got != want {
		t.Errorf("fingerprint %s, want %s", got, want)
	}
}
