package identity

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
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
	algorithms string // that it may sign with
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

// checkSigner checks which algorithms a signer uses, and that it refuses ssh-rsa,
// which has SHA-1.
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

// Every kind of key loads from its file and from the agent, has the fingerprint
// that ssh-keygen prints, and serves as host key and as user key.
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
				if got := fingerprintOf(id); got != want {
					t.Errorf("fingerprint %s, want %s", got, want)
				}
				if got, err := PublicFingerprint(t.Context(), name, unasked(t)); err != nil || got != want {
					t.Errorf("fingerprint %s, %v, want %s", got, err, want)
				}
				checkSigner(t, id, kind.algorithms)
				prove(t, id, other)
			}
		})
	}
}

// The passphrase is asked for, again if it was wrong, and unlocks keys in every
// format; the fingerprint alone needs none.
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
			if got, err := PublicFingerprint(t.Context(), file, unasked(t)); err != nil || got != want {
				t.Errorf("fingerprint %s, %v, want %s", got, err, want)
			}
			prompt, asked := answers("wrong", "wronger", "Passwort für Bob")
			id := loadWith(t, file, prompt)
			question := "Enter passphrase for key '" + file + "': "
			if got := strings.Join(*asked, "|"); got != strings.Join([]string{question, question, question}, "|") {
				t.Errorf("asked %q", got)
			}
			if got := fingerprintOf(id); got != want {
				t.Errorf("fingerprint %s, want %s", got, want)
			}
			checkSigner(t, id, kind.algorithms)
			prove(t, id, other)

			// Without the public key beside it, only the old format has to ask.
			if err := os.Remove(file + ".pub"); err != nil {
				t.Fatal(err)
			}
			prompt, asked = answers("Passwort für Bob")
			if got, err := PublicFingerprint(t.Context(), file, prompt); err != nil || got != want {
				t.Errorf("fingerprint %s, %v, want %s", got, err, want)
			}
			if must := strings.HasSuffix(kind.name, "PEM"); must != (len(*asked) == 1) {
				t.Errorf("asked %q", *asked)
			}
		})
	}
}

// A wrong passphrase can be given three times at most, and never makes an old PEM
// file, which can't tell noise from a key for certain, look damaged.
func TestWrongPassphrase(t *testing.T) {
	home(t)
	for _, args := range [][]string{{"-t", "ed25519"}, {"-t", "ecdsa", "-m", "PEM"}} {
		file := keygen(t, "right", args...)
		prompt, asked := answers("a", "b", "c", "right")
		_, err := Load(t.Context(), file, prompt)
		if err == nil || !strings.Contains(err.Error(), "wrong one was given 3 times") || len(*asked) != 3 {
			t.Errorf("asked %d times: %v", len(*asked), err)
		}
	}
	file := keygen(t, "right", "-t", "ecdsa", "-m", "PEM")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 { // one in 256 yields valid padding
		passphrase := strconv.Itoa(i)
		if _, err := unlock(content, []byte(passphrase)); err != x509.IncorrectPasswordError {
			t.Fatalf("with passphrase %q: %v", passphrase, err)
		}
	}
	if _, err := unlock(content, []byte("right")); err != nil {
		t.Errorf("with the right passphrase: %v", err)
	}
}

// To give no passphrase is to give up.
func TestNoPassphrase(t *testing.T) {
	home(t)
	file := keygen(t, "right", "-t", "ed25519")
	prompt, asked := answers("", "right")
	_, err := Load(t.Context(), file, prompt)
	if err == nil || !strings.Contains(err.Error(), "none was given") || len(*asked) != 1 {
		t.Errorf("asked %d times: %v", len(*asked), err)
	}
	cause := errors.New("the user has left")
	_, err = Load(t.Context(), file, func(context.Context, string) ([]byte, error) { return nil, cause })
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), file) {
		t.Errorf("error %v", err)
	}
}

// Without a file, our key is ~/.ssh/id_ed25519 if there is one, else the agent's if it has just one that can be used, else
// ~/.ssh/id_ecdsa or id_rsa.
func TestDefault(t *testing.T) {
	dir := home(t)
	want := func(file string) {
		t.Helper()
		id := load1(t, "")
		if got, want := fingerprintOf(id), fingerprint(t, file); got != want {
			t.Errorf("fingerprint %s, want %s", got, want)
		}
		if got, err := PublicFingerprint(t.Context(), "", unasked(t)); err != nil || got != fingerprintOf(id) {
			t.Errorf("fingerprint %s, %v, want %s", got, err, fingerprintOf(id))
		}
		prove(t, id, id)
	}
	file := func(name string) string { return filepath.Join(dir, ".ssh", name) }
	run(t, "ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", file("id_rsa"))
	want(file("id_rsa"))
	run(t, "ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", file("id_ecdsa"))
	want(file("id_ecdsa"))
	first := keygen(t, "", "-t", "ecdsa")
	startAgent(t, keygen(t, "", "-t", "rsa", "-b", "1024"), first)
	want(first)
	run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file("id_ed25519"))
	want(file("id_ed25519"))
}

// We don't guess which of the agent's keys is ours: the error names all, and each can be chosen.
func TestSeveralKeysOfTheAgent(t *testing.T) {
	home(t)
	files := []string{keygen(t, "", "-t", "ecdsa"), keygen(t, "", "-t", "ed25519")}
	startAgent(t, files...)
	_, err := Load(t.Context(), "", unasked(t))
	for _, file := range files {
		if err == nil || !strings.Contains(err.Error(), fingerprint(t, file)+" (a comment)") || !strings.Contains(err.Error(), "--identity") {
			t.Errorf("error %v", err)
		}
		id := load1(t, fingerprint(t, file))
		if fingerprintOf(id) != fingerprint(t, file) {
			t.Errorf("chosen %s, got %s", fingerprint(t, file), fingerprintOf(id))
		}
		prove(t, id, id)
	}
	if _, err := Load(t.Context(), "SHA256:x", unasked(t)); err == nil || !strings.Contains(err.Error(), "doesn't hold SHA256:x") {
		t.Errorf("error %v", err)
	}
}

// We expand ~ where no shell does, as in AIG_IDENTITY and --identity=~/key.
func TestTilde(t *testing.T) {
	dir := home(t)
	run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, "key"))
	if got, want := fingerprintOf(load1(t, "~/key")), fingerprint(t, filepath.Join(dir, "key")); got != want {
		t.Errorf("fingerprint %s, want %s", got, want)
	}
}

// If there is no key at all, the error says what was tried and how to get one.
func TestNoIdentity(t *testing.T) {
	dir := home(t)
	check := func(want ...string) {
		t.Helper()
		_, err := Load(t.Context(), "", unasked(t))
		_, err2 := PublicFingerprint(t.Context(), "", unasked(t))
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

// ssh-keygen and we agree on the fingerprint of a key that ssh-keygen didn't make.
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
	if got, want := fingerprintOf(load1(t, file)), fingerprint(t, file); got != want {
		t.Errorf("fingerprint %s, want %s", got, want)
	}
}
