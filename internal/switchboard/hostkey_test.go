package switchboard

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// A missing key is made, for its owner's eyes only, and found again.
func TestHostKeyMade(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "directory")
	file := filepath.Join(dir, "key")
	made, _, err := HostKey(file)
	if err != nil {
		t.Fatal(err)
	}
	if kind := made.PublicKey().Type(); kind != ssh.KeyAlgoED25519 {
		t.Errorf("the key is of type %s", kind)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	found, _, err := HostKey(file)
	if err != nil || !bytes.Equal(found.PublicKey().Marshal(), made.PublicKey().Marshal()) {
		t.Errorf("another key was found: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left in the directory: %v, %v", entries, err)
	}
}

// Everybody with the same private key, in whatever format, gets the same cluster key, and nobody else does.
func TestClusterKey(t *testing.T) {
	t.Parallel()
	seen := make(map[string]string)
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		file := filepath.Join(t.TempDir(), kind)
		if out, err := exec.Command("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", file).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		_, first, err := HostKey(file)
		if err != nil || len(first) != 32 {
			t.Fatalf("%s: %d bytes, %v", kind, len(first), err)
		}
		if other := seen[string(first)]; other != "" {
			t.Errorf("%s and %s have the same", kind, other)
		}
		seen[string(first)] = kind
		if kind == "ed25519" {
			continue // which OpenSSH writes only in its own format
		}
		if out, err := exec.Command("ssh-keygen", "-q", "-p", "-m", "PEM", "-P", "", "-N", "", "-f", file).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if _, again, err := HostKey(file); err != nil || !bytes.Equal(first, again) {
			t.Errorf("%s in another form: another key, %v", kind, err)
		}
	}
}

// Many that start at once agree on one key.
func TestHostKeyRace(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	keys := make([]string, 16)
	var wait sync.WaitGroup
	for i := range keys {
		wait.Go(func() {
			if key, _, err := HostKey(file); err != nil {
				t.Error(err)
			} else {
				keys[i] = ssh.FingerprintSHA256(key.PublicKey())
			}
		})
	}
	wait.Wait()
	for _, key := range keys {
		if key != keys[0] {
			t.Errorf("%s and %s", key, keys[0])
		}
	}
}

func TestHostKeyRefused(t *testing.T) {
	t.Parallel()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	open, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "made by ssh-keygen")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	locked, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		text []byte
		mode os.FileMode
		want string
	}{
		{"locked", locked, 0o600, "passphrase"},
		{"readable by all", pem.EncodeToMemory(open), 0o644, "chmod 600"},
		{"writable by a group", pem.EncodeToMemory(open), 0o660, "chmod 600"},
		{"garbage", []byte("garbage"), 0o600, "can't be used"},
		{"empty", nil, 0o600, "can't be used"},
		{"huge", bytes.Repeat([]byte("x"), 1<<20), 0o600, "too large"},
	} {
		file := filepath.Join(dir, c.name)
		if err := errors.Join(os.WriteFile(file, c.text, c.mode), os.Chmod(file, c.mode)); err != nil { // whatever the umask
			t.Fatal(err)
		}
		if _, _, err := HostKey(file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if text, err := os.ReadFile(file); err != nil || !bytes.Equal(text, c.text) {
			t.Errorf("%s: the file has changed: %v", c.name, err)
		}
	}
	pipe := filepath.Join(dir, "pipe")
	if out, err := exec.Command("mkfifo", "-m", "600", pipe).CombinedOutput(); err != nil {
		t.Fatalf("mkfifo: %v\n%s", err, out)
	}
	if _, _, err := HostKey(pipe); err == nil || !strings.Contains(err.Error(), "regular") {
		t.Errorf("a pipe: %v", err)
	}
	if _, _, err := HostKey(dir); err == nil || !strings.Contains(err.Error(), "regular") {
		t.Errorf("a directory: %v", err)
	}
	if _, _, err := HostKey(filepath.Join(dir, "empty", "key")); err == nil {
		t.Error("a file as a directory")
	}
}

// A key that a group may read is accepted if it is root's, and nobody else's.
func TestHostKeyOfRoot(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	if _, _, err := HostKey(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	root := os.Getuid() == 0
	if _, _, err := HostKey(file); (err == nil) != root {
		t.Errorf("root: %v, %v", root, err)
	}
	if root {
		if err := os.Chown(file, 1, 0); err != nil {
			t.Fatal(err)
		}
		if _, _, err := HostKey(file); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("another one's: %v", err)
		}
	}
}

// Keys that nobody should trust are refused, and a good RSA key signs with SHA-2
// alone.
func TestWeakHostKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, bits := range []string{"1024", "2048"} {
		file := filepath.Join(dir, bits)
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "rsa", "-b", bits, "-N", "", "-f", file).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v\n%s", err, out)
		}
	}
	if _, _, err := HostKey(filepath.Join(dir, "1024")); err == nil || !strings.Contains(err.Error(), "1024 bits") {
		t.Errorf("1024 bits: %v", err)
	}
	key, _, err := HostKey(filepath.Join(dir, "2048"))
	if err != nil {
		t.Fatal(err)
	}
	b := startBoard(t, func(o *Options) { o.HostKey = key })
	for algorithm, want := range map[string]bool{ssh.KeyAlgoRSA: false, ssh.KeyAlgoRSASHA256: true, ssh.KeyAlgoRSASHA512: true} {
		conn, err := ssh.Dial("tcp", b.addr, &ssh.ClientConfig{
			HostKeyAlgorithms: []string{algorithm},
			HostKeyCallback:   ssh.FixedHostKey(key.PublicKey()),
		})
		if (err == nil) != want {
			t.Errorf("%s: %v", algorithm, err)
		}
		if err == nil {
			conn.Close()
		}
	}
}

// Nothing is offered that x/crypto considers insecure.
func TestAlgorithms(t *testing.T) {
	t.Parallel()
	b := startBoard(t, nil)
	insecure := ssh.InsecureAlgorithms()
	try := func(change func(*ssh.ClientConfig)) {
		t.Helper()
		config := &ssh.ClientConfig{HostKeyCallback: ssh.FixedHostKey(b.opt.HostKey.PublicKey())}
		change(config)
		if conn, err := ssh.Dial("tcp", b.addr, config); err == nil {
			t.Errorf("agreed: %+v", config.Config)
			conn.Close()
		}
	}
	try(func(c *ssh.ClientConfig) { c.Ciphers = insecure.Ciphers })
	try(func(c *ssh.ClientConfig) { c.KeyExchanges = insecure.KeyExchanges })
	try(func(c *ssh.ClientConfig) {
		c.MACs = insecure.MACs
		c.Ciphers = []string{ssh.CipherAES128CTR}
	})
	if conn, err := ssh.Dial("tcp", b.addr, &ssh.ClientConfig{HostKeyCallback: ssh.FixedHostKey(b.opt.HostKey.PublicKey())}); err != nil {
		t.Error(err)
	} else {
		conn.Close()
	}
}
