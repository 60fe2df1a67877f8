package identity

import (
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Trust is a set of keys, given by their fingerprints. The zero value holds
// none.
type Trust struct {
	fingerprints map[string]bool
}

// ParseTrust makes a set of SHA-256 fingerprints as `ssh-keygen -lf` prints
// them: SHA256: and 43 characters of base64 (RFC 4648, without padding).
func ParseTrust(fingerprints []string) (Trust, error) {
	t := Trust{fingerprints: make(map[string]bool)}
	for _, fp := range fingerprints {
		if err := checkFingerprint(fp); err != nil {
			return Trust{}, err
		}
		t.fingerprints[fp] = true
	}
	return t, nil
}

// Contains tells whether the key is in the set.
func (t Trust) Contains(key ssh.PublicKey) bool {
	return t.fingerprints[ssh.FingerprintSHA256(key)]
}

const prefix = "SHA256:"

func checkFingerprint(fp string) error {
	const ask = "ssh-keygen -lf FILE prints what is wanted, SHA256: and 43 characters"
	digest, ok := strings.CutPrefix(fp, prefix)
	switch {
	case ok && isDigest(digest):
		return nil
	case ok:
		return fmt.Errorf("trusted key %q: damaged fingerprint: %s", fp, ask)
	case isDigest(fp):
		return fmt.Errorf("trusted key %q: not without %s in front", fp, prefix)
	case strings.HasPrefix(fp, "MD5:") || strings.Count(fp, ":") == 15:
		return fmt.Errorf("trusted key %q: an MD5 fingerprint proves nothing: %s", fp, ask)
	case strings.Contains(fp, "ssh-") || strings.HasPrefix(fp, "AAAA"):
		return fmt.Errorf("trusted key %q: a key, and not its fingerprint: %s", fp, ask)
	default:
		return fmt.Errorf("trusted key %q: not a fingerprint: %s", fp, ask)
	}
}

// isDigest tells whether s is a SHA-256 digest in base64, written in the one
// way in which it is also printed.
func isDigest(s string) bool {
	b, err := base64.RawStdEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == 32 && !strings.ContainsAny(s, "\r\n")
}
