package identity

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// A set holds the keys whose fingerprints ssh-keygen prints, and no other.
func TestTrust(t *testing.T) {
	home(t)
	var keys []ssh.PublicKey
	var fingerprints []string
	for _, args := range [][]string{{"-t", "ed25519"}, {"-t", "ecdsa"}, {"-t", "rsa", "-b", "2048"}} {
		file := keygen(t, "", args...)
		content, err := os.ReadFile(file + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		key, _, _, _, err := ssh.ParseAuthorizedKey(content)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
		fingerprints = append(fingerprints, fingerprint(t, file))
	}
	trust, err := ParseTrust(fingerprints[:2])
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, true, false} {
		if got := trust.Contains(keys[i]); got != want {
			t.Errorf("%s: %v, want %v", fingerprints[i], got, want)
		}
	}
	nobody, err := ParseTrust(nil)
	if err != nil || nobody.Contains(keys[0]) || Trust(nil).Contains(keys[0]) {
		t.Errorf("a set of none holds a key, or is an error: %v", err)
	}
}

// Every form in which a key is handed out is accepted: ssh-keygen's line, the public key's line and its file, also under ~; and
// it names that key and no other, whatever its comment says.
func TestTrustForms(t *testing.T) {
	dir := home(t)
	file, other := keygen(t, "", "-t", "ed25519", "-C", "Alice's (SHA256:x) key"), keygen(t, "", "-t", "ecdsa")
	line, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(other + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(line)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alice.pub", "her key"} {
		if err := os.WriteFile(filepath.Join(dir, name), line, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lines := filepath.Join(dir, "lines")
	if err := os.WriteFile(lines, []byte(run(t, "ssh-keygen", "-lf", file)+string(second)), 0o600); err != nil {
		t.Fatal(err)
	}
	fp := fingerprint(t, file)
	for name, text := range map[string]string{
		"fingerprint": fp, "with blanks around it": " " + fp + "\n", "two": fp + " " + fingerprint(t, other),
		"ssh-keygen's line": run(t, "ssh-keygen", "-lf", file), "key's line": string(line), "without its comment": string(line[:81]),
		"file": file + ".pub", "file under ~": "~/alice.pub", "file with a blank": "~/her key", "file of lines": lines,
	} {
		trust, err := ParseTrust([]string{text})
		if err != nil || !trust.Contains(key) {
			t.Errorf("%s: %q: %v", name, text, err)
		}
		want := 1
		if name == "two" || name == "file of lines" {
			want = 2
		}
		if len(trust) != want {
			t.Errorf("%s: %d keys are trusted", name, len(trust))
		}
	}
	// A file named like a fingerprint can't replace a key.
	t.Chdir(dir)
	if err := errors.Join(os.MkdirAll(filepath.Dir(fp), 0o700), os.WriteFile(fp, second, 0o600), os.WriteFile("bob", second, 0o600)); err != nil {
		t.Fatal(err)
	}
	if trust, err := ParseTrust([]string{fp}); err != nil || !trust.Contains(key) || len(trust) != 1 {
		t.Errorf("beside a file of the fingerprint's name: %v", err)
	}
	if _, err := ParseTrust([]string{"bob"}); err == nil {
		t.Error("a word was taken for a file")
	}
	for name, refused := range map[string]string{
		"a private key": file, "a weak key": keygen(t, "", "-t", "rsa", "-b", "1024") + ".pub",
	} {
		if _, err := ParseTrust([]string{refused}); err == nil || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Anything else is refused, with a hint on what to do.
func TestParseTrustRefuses(t *testing.T) {
	const good = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
	const none = "not a SHA-256 fingerprint: ssh-keygen -lf FILE"
	if _, err := ParseTrust([]string{good}); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, fingerprint, want string }{
		{"empty", "", none},
		{"bare", good[7:], "lacks the prefix SHA256:"},
		{"MD5", "MD5:d4:1d:8c:d9:8f:00:b2:04:e9:80:09:98:ec:f8:42:7e", none},
		{"MD5, bare", "d4:1d:8c:d9:8f:00:b2:04:e9:80:09:98:ec:f8:42:7e", none},
		{"short", good[:49], none},
		{"long", good + "A", none},
		{"padded", good + "=", none},
		{"not canonical", good[:49] + "V", none},
		{"line end within", good[:20] + "\n" + good[20:], none},
		{"cut by ssh-keygen's line", "256 " + good[:49] + " alice@host (ED25519)", none},
		{"several words of which one is none", good + " alice", none},
		{"two in a comment", "256 x " + good + " (ED25519)", none},
		{"only blanks", " \n", none},
		{"absent file", "/no/such/key.pub", "no such file"},
		{"directory", "/", "no such file"},
		{"other alphabet", strings.ReplaceAll(good, "+", "-"), none},
		{"lower case", "sha256:" + good[7:], none},
		{"key", "ssh-ed25519", none},
		{"key's body", "AAAAC3NzaC1lZDI1NTE5AAAAIO", none},
		{"control characters", "\x1b[2J", `"\x1b[2J"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseTrust([]string{good, test.fingerprint})
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("error %v, want one that says %q", err, test.want)
			}
		})
	}
}
