package switchboard

import (
	"cmp"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"

	"aig/internal/identity"
)

// HostKey reads the private key in file, in any format that [ssh.ParsePrivateKey] knows and without a passphrase. If the file does
// not exist, it first makes an ed25519 key there, in OpenSSH's format and with mode 0600, and a missing directory with mode 0700.
// Two processes that start at once get the same key. It refuses a key that others may use, unless root owns it and only a group may read
// it: that is how an administrator gives a key to a service.
//
// clusterKey is 32 bytes that everybody with the same private key gets, in whatever format it is: HKDF (RFC 5869) with SHA-256 over
// its PKCS #8 form.
func HostKey(file string) (key ssh.MultiAlgorithmSigner, clusterKey []byte, err error) {
	text, err := identity.ReadKeyFile(file, true)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeHostKey(file); err != nil {
			return nil, nil, fmt.Errorf("making the host key %q: %w", file, err)
		}
		text, err = identity.ReadKeyFile(file, true)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the host key %q %w", file, err)
	}
	raw, err := ssh.ParseRawPrivateKey(text)
	if errors.As(err, new(*ssh.PassphraseMissingError)) {
		return nil, nil, fmt.Errorf("the host key %q has a passphrase; a server needs one without", file)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the host key %q can't be used: %w", file, err)
	}
	if key, err = identity.NewSigner(raw); err != nil {
		return nil, nil, fmt.Errorf("the host key %q %w", file, err)
	}
	if p, ok := raw.(*ed25519.PrivateKey); ok {
		raw = *p
	}
	form, err := x509.MarshalPKCS8PrivateKey(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("the host key %q can't be used: %w", file, err)
	}
	clusterKey, err = hkdf.Key(sha256.New, form, nil, "aig-switchboard cluster", sha256.Size)
	return key, clusterKey, err
}

// makeHostKey puts a new key at file unless another process was faster: it writes the key under another name and then links it,
// which fails if the name is taken, so that nobody ever sees half a key or replaces one in use.
func makeHostKey(file string) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(private, "aig-switchboard")
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, ".host-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	if err := cmp.Or(pem.Encode(temp, block), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
