// Package identity finds the key by which this side is known, and says which
// keys the other side may have.
//
// A key is an SSH key as OpenSSH's users have it: a private key in a file,
// perhaps under a passphrase, or in the SSH agent. Ed25519, ECDSA on the NIST
// curves and RSA from 2048 bits are taken, the last with SHA-2 signatures only.
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

// Options say which key is wanted.
type Options struct {
	// File is a private key, or a public key whose private key the SSH agent
	// holds. Empty means ~/.ssh/id_ed25519 if that exists, else the first key
	// of the agent that can be used.
	File string

	// Prompt asks for a passphrase. It may be called up to three times, and
	// gives up by an error or an empty answer. Nil means [AskPassphrase].
	Prompt func(ctx context.Context, prompt string) ([]byte, error)
}

// Identity is a key that can sign.
type Identity struct {
	signer ssh.Signer
	cancel context.CancelFunc
}

// Signer returns the key, for use as an SSH host key or user key. Signing by a
// key of the agent takes as long as the agent does, which may ask its user,
// but a minute at most, and is cut short by Close and by the end of Load's
// context.
func (id *Identity) Signer() ssh.Signer { return id.signer }

// Fingerprint returns the key's fingerprint, as `ssh-keygen -lf` prints it.
func (id *Identity) Fingerprint() string {
	return ssh.FingerprintSHA256(id.signer.PublicKey())
}

// Close gives the key up.
func (id *Identity) Close() error {
	id.cancel()
	return nil
}

// Load finds the key and makes it ready to sign: asks for the passphrase if
// that is what it takes. A key under a passphrase that the agent holds is used
// from there, and nothing is asked.
//
// Passphrases are waited for without limit; ctx bounds that.
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
			return nil, fmt.Errorf("own key: %s is a public key, and from the SSH agent: %w", k.publicName, err)
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

// PublicFingerprint returns the fingerprint that [Load] would find, without
// asking for a passphrase wherever the public key can be had otherwise: from
// the private key's own file in OpenSSH's format, from FILE.pub beside it, or
// from the agent.
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

// find returns the file to read, or nothing if the agent is to be asked.
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
		return "", fmt.Errorf("own key: %s can't be read: %w", quote(file), reason(err))
	}
	return file, nil
}

// defaultFile returns the name of ~/.ssh/id_ed25519, or nothing for somebody
// without a home.
func defaultFile() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".ssh", "id_ed25519")
}

// noIdentity says what was tried, and how to come by a key.
func noIdentity(agent error) error {
	file := "no home directory"
	if name := defaultFile(); name != "" {
		file = "no " + quote(name)
	}
	return fmt.Errorf("no key of our own: there is %s, and from the SSH agent: %w; "+
		"make a key with ssh-keygen -t ed25519, or name one with --identity", file, agent)
}
