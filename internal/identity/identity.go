// Package identity finds our key, and says which keys the peer may have.
//
// Keys are OpenSSH's: in a file, perhaps under a passphrase, or in the SSH agent.
// They may be Ed25519, ECDSA on the NIST curves, or RSA of at least 2048 bits
// with SHA-2 signatures.
package identity

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"
)

// Options say which key to load.
type Options struct {
	// File is a private key, or a public key whose private key the SSH agent
	// holds. Empty means ~/.ssh/id_ed25519 if that exists, else the first key
	// of the agent that can be used.
	File string

	// Prompt asks for a passphrase, up to three times. An error or an empty
	// answer gives up. Nil means [AskPassphrase].
	Prompt func(ctx context.Context, prompt string) ([]byte, error)
}

// Identity is a key that can sign.
type Identity struct {
	signer ssh.Signer
	cancel context.CancelFunc
}

// Signer returns the key, for use as an SSH host key or user key. The agent may
// take a minute at most to sign, since it may ask its user. Close and the end of
// Load's context cut that short.
func (id *Identity) Signer() ssh.Signer { return id.signer }

// Fingerprint returns the key's fingerprint, as `ssh-keygen -lf` prints it.
func (id *Identity) Fingerprint() string {
	return ssh.FingerprintSHA256(id.signer.PublicKey())
}

// Close ends the use of the key.
func (id *Identity) Close() error {
	id.cancel()
	return nil
}

// Load finds the key and makes it ready to sign. It asks for the passphrase if
// the key has one and the agent doesn't hold the key. Only ctx bounds how long it
// waits for the user.
func Load(ctx context.Context, o Options) (*Identity, error) {
	if o.Prompt == nil {
		o.Prompt = AskPassphrase
	}
	ctx, cancel := context.WithCancel(ctx)
	signer, err := load(ctx, o)
	if err != nil {
		cancel()
		return nil, err
	}
	return &Identity{signer: signer, cancel: cancel}, nil
}

func load(ctx context.Context, o Options) (ssh.Signer, error) {
	file, err := find(o.File)
	if err != nil {
		return nil, err
	}
	agent := environmentAgent()
	if file == "" {
		key, err := agent.first(ctx)
		if err != nil {
			return nil, noIdentity(err)
		}
		return agent.signer(ctx, key)
	}
	k, err := readKeyFile(file)
	if err != nil {
		return nil, err
	}
	switch {
	case k.private == nil:
		if err := agent.holds(ctx, k.public); err != nil {
			return nil, fmt.Errorf("your key: %s is a public key, and from the SSH agent: %w", k.publicName, err)
		}
		return agent.signer(ctx, k.public)
	case k.ready != nil:
		return k.ready, nil
	case k.public != nil && agent.holds(ctx, k.public) == nil:
		return agent.signer(ctx, k.public)
	default:
		return k.decrypt(ctx, o.Prompt)
	}
}

// PublicFingerprint returns the fingerprint of the key that [Load] would return.
// It asks for a passphrase only if the public key is neither in the private key's
// file (OpenSSH's format), nor in FILE.pub beside it, nor in the agent.
func PublicFingerprint(ctx context.Context, o Options) (string, error) {
	file, err := find(o.File)
	if err != nil {
		return "", err
	}
	if file == "" {
		key, err := environmentAgent().first(ctx)
		if err != nil {
			return "", noIdentity(err)
		}
		return ssh.FingerprintSHA256(key), nil
	}
	k, err := readKeyFile(file)
	if err != nil {
		return "", err
	}
	if k.public != nil {
		return ssh.FingerprintSHA256(k.public), nil
	}
	id, err := Load(ctx, o)
	if err != nil {
		return "", err
	}
	defer id.Close()
	return id.Fingerprint(), nil
}

// find returns the file to read, or "" for the agent's key.
func find(file string) (string, error) {
	if file != "" {
		return file, nil
	}
	file = defaultFile()
	if file == "" {
		return "", nil
	}
	_, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("your key: %s can't be read: %w", quote(file), reason(err))
	}
	return file, nil
}

// defaultFile returns the name of ~/.ssh/id_ed25519, or "" without a home.
func defaultFile() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".ssh", "id_ed25519")
}

// noIdentity returns an error that says what was tried and how to get a key.
func noIdentity(agent error) error {
	file := "no home directory"
	if name := defaultFile(); name != "" {
		file = "no " + quote(name)
	}
	return fmt.Errorf("no key of our own: there is %s, and from the SSH agent: %w; "+
		"make a key with ssh-keygen -t ed25519, or name one with --identity", file, agent)
}
