package identity

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/crypto/ssh"

	"aig/internal/ref"
)

// Trust is a set of keys, given by their fingerprints.
type Trust map[string]bool

// ParseTrust returns the set of keys that the texts name, in any form in which keys are handed out: fingerprints, lines of
// `ssh-keygen -lf`, public keys, or files of such lines, like a key's .pub.
func ParseTrust(texts []string) (Trust, error) {
	t := make(Trust)
	for _, text := range texts {
		if err := t.add(text, true); err != nil {
			return nil, fmt.Errorf("trusted key %w", err)
		}
	}
	return t, nil
}

// Contains returns whether the key is in the set.
func (t Trust) Contains(key ssh.PublicKey) bool { return t[ssh.FingerprintSHA256(key)] }

// keygenLine matches a line of `ssh-keygen -lf`: the key's size, its fingerprint, a comment and its type.
var keygenLine = regexp.MustCompile(`^[0-9]+ (SHA256:\S+) .*\([-A-Z0-9]+\)$`)

// add adds the keys that a text names. files says whether it may name files.
func (t Trust) add(text string, files bool) error {
	if strings.TrimSpace(text) == "" {
		return fmt.Errorf("%q: %s", text, none)
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err == nil {
			if err := CheckKey(key); err != nil {
				return fmt.Errorf("%s %w", ssh.FingerprintSHA256(key), err)
			}
			t[ssh.FingerprintSHA256(key)] = true
			continue
		}
		words := strings.Fields(line)
		if keygen := keygenLine.FindStringSubmatch(line); keygen != nil {
			words = keygen[1:]
		} else if files && !strings.Contains(line, prefix) { // a repository may hold a file of any name
			if content, ok := readTrusted(line); ok {
				if err := t.add(content, false); err != nil {
					return fmt.Errorf("in %s: %w", ref.Show(line), err)
				}
				continue
			}
		}
		for _, word := range words {
			if err := checkFingerprint(word); err != nil {
				return err
			}
			t[word] = true
		}
	}
	return nil
}

// readTrusted returns a small file's content, if name is plainly a file name.
func readTrusted(name string) (content string, ok bool) {
	if name = expand(name); filepath.Base(name) == name && filepath.Ext(name) != ".pub" {
		return "", false
	}
	b, err := ReadKeyFile(name, false)
	return string(b), err == nil
}

// expand replaces ~ by the home directory where no shell did.
func expand(name string) string {
	rest, ok := strings.CutPrefix(name, "~/")
	home, err := os.UserHomeDir()
	if !ok || err != nil {
		return name
	}
	return filepath.Join(home, rest)
}

const (
	prefix = "SHA256:"
	none   = "not a SHA-256 fingerprint: ssh-keygen -lf FILE prints one, SHA256: and 43 characters"
)

func checkFingerprint(fp string) error {
	digest, ok := strings.CutPrefix(fp, prefix)
	switch {
	case ok && isDigest(digest):
		return nil
	case isDigest(fp):
		return fmt.Errorf("%q lacks the prefix %s", fp, prefix)
	case strings.HasSuffix(fp, ".pub") || strings.HasPrefix(fp, "~") || filepath.IsAbs(fp):
		return fmt.Errorf("%q: no such file", fp)
	default:
		return fmt.Errorf("%q: %s", fp, none)
	}
}

// isDigest returns whether s is a SHA-256 digest in base64, in exactly the form in which it is printed.
func isDigest(s string) bool {
	b, err := base64.RawStdEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == 32 && !strings.ContainsAny(s, "\r\n")
}
