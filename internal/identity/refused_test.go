package identity

import (
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"aig/internal/sshtest"
)

// A key that can't be used is refused in one line that says why and what to do.
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
	securityKey := sshtest.NewToken().PublicKey()
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
		{"damaged", write("damaged", strings.Replace(string(content), "b3BlbnNzaC", "b3BlbnNzaD", 1)), []string{"holds no private key that can be used"}},
		{"cut", write("cut", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n"),
			[]string{"holds no private key that can be used"}},
		{"RSA of 1024 bits", keygen(t, "", "-t", "rsa", "-b", "1024"), []string{"1024 bits", "ssh-keygen -t ed25519"}},
		{"RSA of 1024 bits, passphrase", keygen(t, "right", "-t", "rsa", "-b", "1024"), []string{"1024 bits"}},
		{"RSA of 1024 bits, PEM", keygen(t, "", "-t", "rsa", "-b", "1024", "-m", "PEM"), []string{"1024 bits"}},
		{"DSA", write("dsa", opensshFile("none", dsaKey{})), []string{"holds no private key that can be used", "ssh-keygen -t ed25519"}},
		{"DSA, passphrase", write("dsa-pass", opensshFile("aes256-ctr", dsaKey{})), []string{"unknown key algorithm", "ssh-dss"}},
		{"DSA, PEM", write("dsa-pem", dsaPEM), []string{"unsupported key type", "DSA"}},
		{"DSA, public", write("dsa.pub", string(ssh.MarshalAuthorizedKey(dsaKey{}))), []string{"holds no key that could be read"}},
		{"certificate", plain + "-cert.pub", []string{"is a certificate", "the key itself"}},
		{"security token, public, no agent", write("sk.pub", string(ssh.MarshalAuthorizedKey(securityKey))), []string{"from the SSH agent"}},
		{"security token, no agent", write("sk", opensshFile("none", securityKey)), []string{"from the SSH agent", "SSH_AUTH_SOCK"}},
		{"security token, passphrase, no agent", write("sk-pass", opensshFile("aes256-ctr", securityKey)), []string{"from the SSH agent"}},
		{"PKCS #8, passphrase", keygen(t, "right", "-t", "ecdsa", "-m", "PKCS8"), []string{"PKCS #8", "ssh-keygen -p -f"}},
		{"key agreement", write("ecdh", string(unknown)), []string{"can't be used"}},
		{"public, no agent", plain + ".pub", []string{"can only be used from the SSH agent", "SSH_AUTH_SOCK is not set"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Load(t.Context(), test.file, unasked(t))
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q doesn't say %q", err, want)
				}
			}
			if strings.ContainsAny(err.Error(), "\n\x1b") || !strings.HasPrefix(err.Error(), "your key: ") {
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

// dsaKey is a public key of a kind that x/crypto/ssh doesn't know.
type dsaKey struct{}

func (dsaKey) Type() string                        { return "ssh-dss" }
func (dsaKey) Marshal() []byte                     { return ssh.Marshal(struct{ Type, P string }{"ssh-dss", "p"}) }
func (dsaKey) Verify([]byte, *ssh.Signature) error { return errors.New("a key without a private half") }

const dsaPEM = "-----BEGIN DSA PRIVATE KEY-----\nMAA=\n-----END DSA PRIVATE KEY-----\n"

// opensshFile returns a private key's file for a key whose private part is never
// looked at.
func opensshFile(cipher string, key ssh.PublicKey) string {
	body := ssh.Marshal(struct {
		Cipher, KDF, KDFOptions string
		Keys                    uint32
		Public, Private         []byte
	}{cipher, "none", "", 1, key.Marshal(), make([]byte, 64)})
	return string(pem.EncodeToMemory(&pem.Block{
		Type: "OPENSSH PRIVATE KEY", Bytes: append([]byte("openssh-key-v1\x00"), body...),
	}))
}

// As with ssh, somebody else's file may have any mode.
func TestForeignFile(t *testing.T) {
	file := keygen(t, "", "-t", "ed25519")
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkMode(file, info, os.Getuid(), false); err == nil {
		t.Error("our own is accepted")
	}
	if err := checkMode(file, info, os.Getuid()+1, false); err != nil {
		t.Errorf("somebody else's: %v", err)
	}
}
