package identity

import (
	"os"
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
	if err != nil || nobody.Contains(keys[0]) || (Trust{}).Contains(keys[0]) {
		t.Errorf("a set of none holds a key, or is an error: %v", err)
	}
}

// What is no fingerprint is refused, and told what it is where that is plain.
func TestParseTrustRefuses(t *testing.T) {
	const good = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
	if _, err := ParseTrust([]string{good}); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, fingerprint, want string }{
		{"empty", "", "not a fingerprint"},
		{"bare", good[7:], "without SHA256:"},
		{"MD5", "MD5:d4:1d:8c:d9:8f:00:b2:04:e9:80:09:98:ec:f8:42:7e", "MD5"},
		{"MD5, bare", "d4:1d:8c:d9:8f:00:b2:04:e9:80:09:98:ec:f8:42:7e", "MD5"},
		{"short", good[:49], "damaged"},
		{"long", good + "A", "damaged"},
		{"padded", good + "=", "damaged"},
		{"not canonical", good[:49] + "V", "damaged"},
		{"line end", good + "\n", "damaged"},
		{"line end within", good[:20] + "\n" + good[20:], "damaged"},
		{"other alphabet", strings.ReplaceAll(good, "+", "-"), "damaged"},
		{"lower case", "sha256:" + good[7:], "not a fingerprint"},
		{"key", "ssh-ed25519", "a key, and not its fingerprint"},
		{"key's body", "AAAAC3NzaC1lZDI1NTE5AAAAIO", "a key, and not its fingerprint"},
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
