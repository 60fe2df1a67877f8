package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"aig/internal/ref"
)

// FuzzTrust checks that every trusted fingerprint is in its only valid form, that every digest in that form is accepted, and
// that refused text is shown quoted.
func FuzzTrust(f *testing.F) {
	f.Add("SHA256:HNCFidlr9bjqhTpvhLvAZw5qfGVDEMwLtEFn1oFk+OQ", make([]byte, 32))
	f.Add("SHA256:HNCFidlr9bjqhTpvhLvAZw5qfGVDEMwLtEFn1oFk+OR", bytes.Repeat([]byte{0xff}, 32))
	f.Add("SHA256:HNCFidlr9bjqhTpvhLvAZw5qfGVDEMwLtEFn1oFk+OQ=", []byte("short"))
	f.Add("MD5:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff", []byte{})
	f.Add("ssh-ed25519 AAAA\x1b[2J\n", []byte{})
	f.Add(lockedPublic+"256 SHA256:HNCFidlr9bjqhTpvhLvAZw5qfGVDEMwLtEFn1oFk+OQ a b (ED25519)\n", []byte{})
	f.Fuzz(func(t *testing.T, text string, digest []byte) {
		trust := make(Trust)
		if err := trust.add(text, false); err != nil && ref.HasControl(err.Error()) {
			t.Errorf("the error is %q", err)
		}
		for fp := range trust {
			sum, err := base64.RawStdEncoding.DecodeString(strings.TrimPrefix(fp, prefix))
			if again := prefix + base64.RawStdEncoding.EncodeToString(sum); err != nil || len(sum) != 32 || again != fp {
				t.Errorf("%q was taken, which is %q, %v", fp, again, err)
			}
		}
		if len(digest) == 32 {
			if _, err := ParseTrust([]string{prefix + base64.RawStdEncoding.EncodeToString(digest)}); err != nil {
				t.Error(err)
			}
		}
	})
}

// locked is an Ed25519 key with the passphrase "of a test", as ssh-keygen writes it but for the first and the last line,
// and lockedPublic is its public key.
const (
	locked = "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABCT6TKZs/" +
		"6+apkJIMoZ61t9AAAAAQAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIAvpqzbDuGXGZkyP" +
		"L74k38KS7VFZNXtgJWidg87ShCL7AAAAkCV/h9i4DWMpW5D6jaaBTIfFH74AjVSrSBccil" +
		"VWG2CpUUKYCtXwZT3T+3NVe8PJUho4cM2eKMqWDlUQrW/c293GeRQOLWXO6ZlHFnfKvz6G" +
		"KPtQnkqGe5k2h/nFkEnB+sK6AsehVNaOBsrrDrHNTWOdKm5VSWaaSpC5cfzOzW8GdKl7Hq" +
		"MgK8eECVii6HxV8w=="
	lockedPublic = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAvpqzbDuGXGZkyPL74k38KS7VFZNXtgJWidg87ShCL7 of a test\n"
)

// FuzzKeyFile checks that, whatever a key's file and the public key's file beside it hold, the outcome is a usable key, by
// its algorithm and length, or an error without a control character.
func FuzzKeyFile(f *testing.F) {
	lockedBody, err := base64.StdEncoding.DecodeString(locked)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("OPENSSH PRIVATE KEY", lockedBody, []byte(lockedPublic))
	f.Add("", []byte(lockedPublic), []byte{})
	ecKey, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), append(make([]byte, 31), 7))
	if err != nil {
		f.Fatal(err)
	}
	for _, key := range []any{ed25519.NewKeyFromSeed(make([]byte, 32)), ecKey} {
		block, err := ssh.MarshalPrivateKey(key, "of a test")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(block.Type, block.Bytes, []byte{})
	}
	for _, bits := range []uint{2048, 1024} {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		public, err := ssh.NewPublicKey(&rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537})
		if err != nil {
			f.Fatal(err)
		}
		f.Add("", ssh.MarshalAuthorizedKey(public), []byte{})
	}
	f.Add("DSA PRIVATE KEY", []byte{}, []byte{})
	f.Add(encryptedPKCS8, []byte{0x30, 0}, []byte("sk-ssh-ed25519@openssh.com AAAA\x1b"))
	file := filepath.Join(f.TempDir(), "key")
	f.Fuzz(func(t *testing.T, kind string, body, public []byte) {
		content := body
		if kind != "" {
			content = pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: body})
		}
		for name, content := range map[string][]byte{file: content, file + ".pub": public} {
			if err := os.WriteFile(name, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		k, err := readKeyFile(file)
		if err != nil {
			if ref.HasControl(err.Error()) {
				t.Errorf("the error is %q", err)
			}
			return
		}
		if k.public != nil {
			if _, err := algorithms(k.public); err != nil {
				t.Errorf("a key that can't be used: it %v", err)
			}
			again, err := ssh.ParsePublicKey(k.public.Marshal())
			if err != nil || ssh.FingerprintSHA256(again) != ssh.FingerprintSHA256(k.public) {
				t.Errorf("the public key became another one: %v", err)
			}
		}
		if k.ready != nil {
			signature, err := k.ready.Sign(rand.Reader, []byte("data"))
			if err != nil || k.public.Verify([]byte("data"), signature) != nil {
				t.Errorf("a key that does not sign: %v", err)
			}
		}
	})
}
