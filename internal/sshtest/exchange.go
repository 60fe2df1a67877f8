package sshtest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math/big"

	"golang.org/x/crypto/ssh"
)

// Offer returns the Conn's KEXINIT (RFC 4253, section 7.1).
func (c *Conn) Offer() []byte {
	p := append([]byte{KexInit}, make([]byte, 16)...)
	for _, names := range c.Lists {
		p = append(binary.BigEndian.AppendUint32(p, uint32(len(names))), names...)
	}
	return append(p, 0, 0, 0, 0, 0)
}

// transcript is the input of the exchange hash, without the secret (RFC 8731, section 3).
type transcript struct {
	ClientVersion, ServerVersion, ClientInit, ServerInit, HostKey, ClientPublic, ServerPublic []byte
}

// Exchange does a key exchange as client, the first or a later one.
func (c *Conn) Exchange() error {
	mine := c.Offer()
	if err := c.Send(mine[1:], KexInit); err != nil {
		return err
	}
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	public := key.PublicKey().Bytes()
	if err := c.Send(Strings(string(public)), KexECDHInit); err != nil {
		return err
	}
	theirs, err := c.receive(KexInit)
	if err != nil {
		return err
	}
	reply, err := c.Receive()
	if err != nil {
		return err
	}
	var fields struct {
		HostKey, Public, Signature []byte
	}
	if err := ssh.Unmarshal(reply[1:], &fields); err != nil {
		return err
	}
	secret, hash, err := agree(key, fields.Public, transcript{
		[]byte(Version), []byte(c.Theirs), mine, theirs, fields.HostKey, public, fields.Public,
	})
	if err != nil {
		return err
	}
	return c.newKeys(secret, hash, "ACBD")
}

// Answer does a key exchange as a server with this host key.
func (c *Conn) Answer(host ssh.Signer) error {
	mine := c.Offer()
	if err := c.Send(mine[1:], KexInit); err != nil {
		return err
	}
	theirs, err := c.receive(KexInit)
	if err != nil {
		return err
	}
	ask, err := c.receive(KexECDHInit)
	if err != nil {
		return err
	}
	var fields struct{ Public []byte }
	if err := ssh.Unmarshal(ask[1:], &fields); err != nil {
		return err
	}
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	public, hostKey := key.PublicKey().Bytes(), host.PublicKey().Marshal()
	secret, hash, err := agree(key, fields.Public, transcript{
		[]byte(c.Theirs), []byte(Version), theirs, mine, hostKey, fields.Public, public,
	})
	if err != nil {
		return err
	}
	signature, err := host.Sign(rand.Reader, hash)
	if err != nil {
		return err
	}
	if err := c.Queue(Strings(string(hostKey), string(public), string(ssh.Marshal(signature))), KexECDHReply); err != nil {
		return err
	}
	return c.newKeys(secret, hash, "BDAC")
}

// agree returns the shared secret as an mpint, and the exchange hash.
func agree(key *ecdh.PrivateKey, theirs []byte, t transcript) (secret, hash []byte, err error) {
	public, err := ecdh.X25519().NewPublicKey(theirs)
	if err != nil {
		return nil, nil, err
	}
	shared, err := key.ECDH(public)
	if err != nil {
		return nil, nil, err
	}
	secret = ssh.Marshal(struct{ K *big.Int }{new(big.Int).SetBytes(shared)})
	sum := sha256.Sum256(append(ssh.Marshal(t), secret...))
	return secret, sum[:], nil
}

// newKeys takes the keys of an exchange into use. The letters derive the initial vector and the key with which we send,
// then those with which we receive (RFC 4253, section 7.2).
func (c *Conn) newKeys(secret, exchange []byte, letters string) error {
	if c.session == nil {
		c.session = exchange
	}
	derive := func(letter byte, size int) []byte {
		sum := sha256.Sum256(append(append(append(append([]byte{}, secret...), exchange...), letter), c.session...))
		return sum[:size]
	}
	direction := func(letters string) *sealer {
		block, err := aes.NewCipher(derive(letters[1], 16))
		if err != nil {
			panic(err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			panic(err)
		}
		return &sealer{AEAD: aead, iv: [12]byte(derive(letters[0], 12))}
	}
	if c.StopAt == NewKeys {
		return nil
	}
	if err := c.Queue(nil, NewKeys); err != nil {
		return err
	}
	c.seal = direction(letters[:2])
	if c.Tail != nil {
		if err := c.Tail(); err != nil {
			return err
		}
	}
	if err := c.Out.Flush(); err != nil {
		return err
	}
	if _, err := c.receive(NewKeys); err != nil {
		return err
	}
	c.open = direction(letters[2:])
	return nil
}
