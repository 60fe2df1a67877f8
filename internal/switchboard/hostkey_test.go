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
	made, err := HostKey(file)
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
	found, err := HostKey(file)
	if err != nil || !bytes.Equal(found.PublicKey().Marshal(), made.PublicKey().Marshal()) {
		t.Errorf("another key was found: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left in the directory: %v, %v", entries, err)
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
			if key, err := HostKey(file); err != nil {
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
		{"readable", pem.EncodeToMemory(open), 0o640, "chmod 600"},
		{"garbage", []byte("garbage"), 0o600, "can't be used"},
		{"empty", nil, 0o600, "can't be used"},
		{"huge", bytes.Repeat([]byte("x"), 1<<20), 0o600, "can't be used"},
	} {
		file := filepath.Join(dir, c.name)
		if err := errors.Join(os.WriteFile(file, c.text, c.mode), os.Chmod(file, c.mode)); err != nil { // whatever the umask
			t.Fatal(err)
		}
		if _, err := HostKey(file); err == nil || !strings.Contains(err.Error(), c.want) {
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
	if _, err := HostKey(pipe); err == nil || !strings.Contains(err.Error(), "regular") {
		t.Errorf("a pipe: %v", err)
	}
	if _, err := HostKey(dir); err == nil || !strings.Contains(err.Error(), "regular") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := HostKey(filepath.Join(dir, "empty", "key")); err == nil {
		t.Error("a file as a directory")
	}
}
