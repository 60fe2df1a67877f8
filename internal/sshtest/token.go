package sshtest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"io"
	"slices"

	"golang.org/x/crypto/ssh"
)

// Token is an Ed25519 key on a FIDO token (PROTOCOL.u2f in OpenSSH's sources).
type Token struct {
	Flags   byte // of its signatures: 1 if it is touched for each
	private ed25519.PrivateKey
}

// NewToken makes a token with a new key that is always touched.
func NewToken() Token {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err) // can't happen: crypto/rand never fails
	}
	return Token{1, private}
}

// PublicKey returns its public key.
func (k Token) PublicKey() ssh.PublicKey {
	key, err := ssh.ParsePublicKey(Strings(ssh.KeyAlgoSKED25519, string(k.private.Public().(ed25519.PublicKey)), "ssh:"))
	if err != nil {
		panic(err)
	}
	return key
}

// Sign signs data.
func (k Token) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	application, message := sha256.Sum256([]byte("ssh:")), sha256.Sum256(data)
	rest := []byte{k.Flags, 0, 0, 0, 1} // and a counter
	signed := slices.Concat(application[:], rest, message[:])
	return &ssh.Signature{Format: ssh.KeyAlgoSKED25519, Blob: ed25519.Sign(k.private, signed), Rest: rest}, nil
}
