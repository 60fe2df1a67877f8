// Package identity finds our key and parses which keys the peer may have.
//
// Keys are OpenSSH's: in a file, perhaps with a passphrase, or in the SSH agent. They may be Ed25519, ECDSA on the NIST
// curves, both also on a FIDO token that the agent uses, or RSA of at least 2048 bits with SHA-2 signatures.
package identity

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"aig/internal/ref"
)

// Prompt asks for a passphrase, as [AskPassphrase] does. An error or an empty answer gives up.
type Prompt func(ctx context.Context, prompt string) ([]byte, error)

// Load finds our key and makes it ready to sign, as an SSH host key or user key. file is a private key; a public key whose
// private key the SSH agent holds; or the fingerprint of a key that the agent holds. Empty means ~/.ssh/id_ed25519 if that exists,
// else the agent's key if just one can be used, else ~/.ssh/id_ecdsa or id_rsa.
//
// It asks for the passphrase, up to three times, if the key has one and the agent doesn't hold the key. Only ctx limits how long
// it waits for the user. The end of ctx also cuts short a signature by the agent.
func Load(ctx context.Context, file string, prompt Prompt) (ssh.Signer, error) {
	k, err := find(ctx, file)
	if err != nil {
		return nil, err
	}
	if k.ready != nil {
		return k.ready, nil
	}
	if k.public != nil {
		_, err = fromAgent(ctx, ssh.FingerprintSHA256(k.public))
	}
	switch {
	case k.public != nil && err == nil:
		return restrict(&agentSigner{ctx, k.public})
	case k.private == nil:
		return nil, fmt.Errorf("your key: %s can only be used from the SSH agent: %w", k.publicName, err)
	}
	signer, err := k.decrypt(ctx, prompt)
	if err != nil {
		return nil, fmt.Errorf("your key: %s %w", ref.Show(k.name), err)
	}
	return signer, nil
}

// PublicFingerprint returns the fingerprint of the key that [Load] would return. It asks for a passphrase only if the public key
// is neither in the private key's file (OpenSSH's format), nor in FILE.pub beside it, nor in the agent.
func PublicFingerprint(ctx context.Context, file string, prompt Prompt) (string, error) {
	k, err := find(ctx, file)
	if err != nil {
		return "", err
	}
	if k.public != nil {
		return ssh.FingerprintSHA256(k.public), nil
	}
	signer, err := Load(ctx, file, prompt)
	if err != nil {
		return "", err
	}
	return ssh.FingerprintSHA256(signer.PublicKey()), nil
}

// find returns the key's file, or a substitute for a key that only the agent has.
func find(ctx context.Context, file string) (*keyFile, error) {
	if strings.HasPrefix(file, prefix) {
		k, err := fromAgent(ctx, file)
		if err != nil {
			err = fmt.Errorf("your key: from the SSH agent: %w", err)
		}
		return k, err
	}
	if file != "" {
		return readKeyFile(expand(file))
	}
	usual, others := "", []string(nil)
	if home, err := os.UserHomeDir(); err == nil {
		usual = filepath.Join(home, ".ssh", "id_ed25519")
		others = []string{filepath.Join(home, ".ssh", "id_ecdsa"), filepath.Join(home, ".ssh", "id_rsa")}
	}
	if exists(usual) {
		return readKeyFile(usual)
	}
	k, agentErr := fromAgent(ctx, "")
	if agentErr == nil || errors.Is(agentErr, errManyKeys) || ctx.Err() != nil {
		return k, agentErr
	}
	for _, other := range others {
		if exists(other) {
			return readKeyFile(other)
		}
	}
	return nil, fmt.Errorf("you have no key: there is no %s, id_ecdsa or id_rsa, and from the SSH agent: %w; "+
		"make a key with ssh-keygen -t ed25519, or name one with --identity", ref.Show(usual), agentErr)
}

// exists returns whether there is a file of that name. If that can't be told, reading it says why.
func exists(name string) bool {
	_, err := os.Stat(name)
	return name != "" && !errors.Is(err, fs.ErrNotExist)
}

// minRSABits is the least size of an RSA modulus. Somebody may be able to factor a smaller one.
const minRSABits = 2048

// CheckKey returns why a key can't be used, ours or the peer's, or nil if it can.
func CheckKey(key ssh.PublicKey) error {
	_, err := algorithms(key)
	return err
}

// algorithms returns the signature algorithms to use with a key, the best first (RFC 5656, 8332, 8709), or why it can't be
// used.
func algorithms(key ssh.PublicKey) ([]string, error) {
	if _, ok := key.(*ssh.Certificate); ok {
		return nil, errors.New("is a certificate, which can't be used here: give the key itself")
	}
	switch kind := key.Type(); kind {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256: // on a FIDO token, which signs only when touched
		return []string{kind}, nil
	case ssh.KeyAlgoRSA:
		public, ok := key.(ssh.CryptoPublicKey)
		if !ok {
			return nil, errors.New("is an RSA key of unknown size")
		}
		if n := public.CryptoPublicKey().(*rsa.PublicKey).N.BitLen(); n < minRSABits {
			return nil, fmt.Errorf("is an RSA key of %d bits, and %d is the least: ssh-keygen -t ed25519 makes a better one",
				n, minRSABits)
		}
		// Not ssh-rsa, whose SHA-1 can be forged.
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}, nil
	default:
		return nil, fmt.Errorf("is a key of an unknown kind, %q", kind)
	}
}

// restrict returns a signer that uses only its key's acceptable algorithms, or why the key can't be used.
func restrict(signer ssh.AlgorithmSigner) (ssh.MultiAlgorithmSigner, error) {
	names, err := algorithms(signer.PublicKey())
	if err != nil {
		return nil, err
	}
	return ssh.NewSignerWithAlgorithms(signer, names)
}
