package identity

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"

	"aig/internal/ref"
)

// maxKeyFile bounds a key's file, in bytes: four times the size of the largest usable RSA key.
const maxKeyFile = 64 << 10

// maxTries is how often a passphrase is asked for, as with ssh.
const maxTries = 3

// keyFile is a key's file, and what is known of it without a passphrase.
type keyFile struct {
	name       string
	publicName string        // of the file that has only the public key, if there is one
	public     ssh.PublicKey // nil if not known without a passphrase
	private    []byte        // the PEM text; nil if there is only a public key
	ready      ssh.Signer    // nil if the private key has a passphrase
}

// readKeyFile reads a private key; or a public key alone, if name is a public key's file or only name.pub exists. It refuses keys
// that can't be used.
func readKeyFile(name string) (*keyFile, error) {
	k := &keyFile{name: name}
	content, err := ReadKeyFile(name, false)
	if errors.Is(err, fs.ErrNotExist) && k.readPublic(name+".pub") == nil {
		return k, nil
	}
	if err == nil {
		if block, _ := pem.Decode(content); block != nil {
			err = k.examine(block, content)
		} else {
			k.publicName = ref.Show(name)
			k.public, err = parsePublic(content)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("your key: %s %w", ref.Show(name), err)
	}
	return k, nil
}

// ReadKeyFile reads a file, unless it can't be a key's or is a private key that others may use. If service
// is set, it is the key of a service, which root may give to it. The error's text continues the file's name.
func ReadKeyFile(name string, service bool) ([]byte, error) {
	info, err := os.Stat(name) // first: opening a FIFO may block for ever
	switch {
	case err != nil:
		return nil, fmt.Errorf("can't be read: %w", reason(err))
	case !info.Mode().IsRegular():
		return nil, errors.New("is not a regular file")
	case info.Size() > maxKeyFile:
		return nil, errors.New("is too large to be a key")
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("can't be read: %w", reason(err))
	}
	// A public key may be read by anybody.
	if block, _ := pem.Decode(content); block != nil {
		if err := checkMode(name, info, os.Getuid(), service); err != nil {
			return nil, err
		}
	}
	return content, nil
}

// reason removes the file's name from an error whose text names it already.
func reason(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

// readPublic reads a public key's file.
func (k *keyFile) readPublic(name string) error {
	content, err := ReadKeyFile(name, false)
	if err != nil {
		return err
	}
	k.public, err = parsePublic(content)
	k.publicName = ref.Show(name)
	return err
}

// parsePublic parses a public key's line, and refuses a key that can't be used.
func parsePublic(content []byte) (ssh.PublicKey, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey(content)
	if err != nil {
		return nil, errors.New("holds no key that could be read")
	}
	return key, CheckKey(key)
}

// examine finds out what the private key is and whether it has a passphrase.
func (k *keyFile) examine(block *pem.Block, content []byte) error {
	k.private = content
	raw, err := ssh.ParseRawPrivateKey(content)
	var missing *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &missing) && missing.PublicKey != nil:
		k.public = missing.PublicKey
		if onToken(k.public) {
			k.private, k.publicName = nil, ref.Show(k.name)
		}
		return CheckKey(k.public) // before its passphrase is asked for
	case err == nil:
		if k.ready, err = NewSigner(raw); err == nil {
			k.public = k.ready.PublicKey()
		}
		return err
	}
	// The public key's file may save asking for the passphrase, or say why the key can't be used.
	beside := keyFile{}
	besideErr := beside.readPublic(k.name + ".pub")
	switch {
	case missing != nil || block.Type == encryptedPKCS8:
		if besideErr == nil {
			k.public = beside.public
		}
		return nil
	case beside.public != nil && (besideErr != nil || onToken(beside.public)):
		k.private, k.public, k.publicName = nil, beside.public, ref.Show(k.name)
		return besideErr
	}
	return fmt.Errorf("holds no private key that can be used: %s; ssh-keygen -t ed25519 makes one", ref.Show(err.Error()))
}

// onToken returns whether a key's private half is on a FIDO token, so that its file holds no more than a handle.
func onToken(key ssh.PublicKey) bool { return strings.HasPrefix(key.Type(), "sk-") }

// encryptedPKCS8 is the type of a PEM block that x/crypto can't decrypt.
const encryptedPKCS8 = "ENCRYPTED PRIVATE KEY"

// NewSigner returns a signer for a private key, as [ssh.ParseRawPrivateKey] returns it, if the key can be used. The error's text
// continues the name of its file.
func NewSigner(raw any) (ssh.MultiAlgorithmSigner, error) {
	signer, err := ssh.NewSignerFromKey(raw)
	if err != nil {
		return nil, fmt.Errorf("is of a kind that can't be used: %s", ref.Show(err.Error()))
	}
	restricted, err := restrict(signer.(ssh.AlgorithmSigner))
	if err != nil {
		return nil, err
	}
	// A private key's file holds the public half too, and nothing else checks that they belong together. If they don't, the
	// handshake would fail without a reason, and an Ed25519 signature would give the private key away.
	data := []byte("a signature that goes nowhere")
	signature, err := restricted.Sign(rand.Reader, data)
	if err == nil {
		err = restricted.PublicKey().Verify(data, signature)
	}
	if err != nil {
		return nil, fmt.Errorf("is damaged: its private and its public half do not belong together: %w", err)
	}
	return restricted, nil
}

// decrypt asks for the passphrase until it is right.
func (k *keyFile) decrypt(ctx context.Context, prompt Prompt) (ssh.Signer, error) {
	if block, _ := pem.Decode(k.private); block.Type == encryptedPKCS8 {
		return nil, errors.New("has a passphrase in a format that can't be read here (PKCS #8): " +
			"convert it with ssh-keygen -p -f, or ssh-add it to the agent")
	}
	for range maxTries {
		passphrase, err := prompt(ctx, fmt.Sprintf("Enter passphrase for key '%s': ", ref.Show(k.name)))
		if err != nil {
			return nil, fmt.Errorf("needs a passphrase: %w", err)
		}
		if len(passphrase) == 0 {
			return nil, errors.New("needs a passphrase, and none was given")
		}
		raw, err := unlock(k.private, passphrase)
		clear(passphrase)
		switch {
		case err == nil:
			return NewSigner(raw)
		case !errors.Is(err, x509.IncorrectPasswordError):
			return nil, err
		}
	}
	return nil, fmt.Errorf("needs its passphrase, and a wrong one was given %d times", maxTries)
}

// unlock decrypts a private key. The error for a wrong passphrase is [x509.IncorrectPasswordError].
func unlock(private, passphrase []byte) (any, error) {
	raw, err := ssh.ParseRawPrivateKeyWithPassphrase(private, passphrase)
	if block, _ := pem.Decode(private); err != nil && block.Type != "OPENSSH PRIVATE KEY" {
		// The old PEM format has no checksum: a wrong passphrase yields noise, which fails to parse in many ways.
		return nil, x509.IncorrectPasswordError
	}
	return raw, err
}
