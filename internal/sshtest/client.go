// Package sshtest has an SSH client that breaks SSH's rules when it is told to, for tests of those who have to bear it.
package sshtest

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"

	"golang.org/x/crypto/ssh"
)

// SSH's message numbers (RFC 4250, section 4.1.2; RFC 5656, section 7.1).
const (
	Disconnect      = 1
	Ignore          = 2
	ServiceRequest  = 5
	ServiceAccept   = 6
	KexInit         = 20
	NewKeys         = 21
	KexECDHInit     = 30
	UserAuthRequest = 50
	UserAuthSuccess = 52
	GlobalRequest   = 80
	RequestFailure  = 82
	ChannelOpen     = 90
	OpenConfirm     = 91
	OpenFailure     = 92
	WindowAdjust    = 93
	ChannelData     = 94
	ExtendedData    = 95
	ChannelEOF      = 96
	ChannelClose    = 97
	ChannelRequest  = 98
	ChannelSuccess  = 99
	Ping            = 192 // ping@openssh.com
)

// Version is the client's version string.
const Version = "SSH-2.0-raw"

// Client is a client that does one thing at a time, knows one algorithm of each kind, and checks nothing.
type Client struct {
	In     *bufio.Reader
	Out    *bufio.Writer
	Theirs string   // the server's version, once Versions has read it
	Lists  [][]byte // the name lists of the client's KEXINIT

	StopAt byte         // the message of a key exchange at which Exchange stops, without sending it
	Tail   func() error // queues what is to be sent in one go with the new keys

	session []byte // the first exchange hash
	seal    *sealer
	open    *sealer
}

// sealer is aes128-gcm@openssh.com (RFC 5647) in one direction.
type sealer struct {
	cipher.AEAD
	iv [12]byte
}

// next steps the invocation counter.
func (s *sealer) next() {
	binary.BigEndian.PutUint64(s.iv[4:], binary.BigEndian.Uint64(s.iv[4:])+1)
}

// New returns a client on a pipe that has done nothing yet.
func New(pipe io.ReadWriter) *Client {
	c := &Client{In: bufio.NewReader(pipe), Out: bufio.NewWriterSize(pipe, 1<<16)}
	for _, names := range []string{
		"curve25519-sha256", "ssh-ed25519", "aes128-gcm@openssh.com", "aes128-gcm@openssh.com",
		"hmac-sha2-256", "hmac-sha2-256", "none", "none", "", "",
	} {
		c.Lists = append(c.Lists, []byte(names))
	}
	return c
}

// Versions exchanges the version strings.
func (c *Client) Versions() error {
	c.Out.WriteString(Version + "\r\n")
	if err := c.Out.Flush(); err != nil {
		return err
	}
	line, err := c.In.ReadString('\n')
	if err != nil {
		return err
	}
	c.Theirs = line[:len(line)-2]
	return nil
}

// Offer is the client's KEXINIT (RFC 4253, section 7.1).
func (c *Client) Offer() []byte {
	p := append([]byte{KexInit}, make([]byte, 16)...)
	for _, names := range c.Lists {
		p = append(binary.BigEndian.AppendUint32(p, uint32(len(names))), names...)
	}
	return append(p, 0, 0, 0, 0, 0)
}

// Exchange does a key exchange, the first or a further one (RFC 8731).
func (c *Client) Exchange() error {
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
	theirInit, err := c.receive(KexInit)
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
	theirPublic, err := ecdh.X25519().NewPublicKey(fields.Public)
	if err != nil {
		return err
	}
	shared, err := key.ECDH(theirPublic)
	if err != nil {
		return err
	}
	secret := ssh.Marshal(struct{ K *big.Int }{new(big.Int).SetBytes(shared)})
	hash := sha256.New()
	hash.Write(Strings(Version, c.Theirs, string(mine), string(theirInit), string(fields.HostKey), string(public), string(fields.Public)))
	hash.Write(secret)
	return c.newKeys(secret, hash.Sum(nil))
}

// newKeys takes the keys of an exchange into use (RFC 4253, section 7.2).
func (c *Client) newKeys(secret, exchange []byte) error {
	if c.session == nil {
		c.session = exchange
	}
	derive := func(letter byte, size int) []byte {
		sum := sha256.Sum256(append(append(append(append([]byte{}, secret...), exchange...), letter), c.session...))
		return sum[:size]
	}
	direction := func(iv, key byte) *sealer {
		block, err := aes.NewCipher(derive(key, 16))
		if err != nil {
			panic(err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			panic(err)
		}
		return &sealer{AEAD: aead, iv: [12]byte(derive(iv, 12))}
	}
	if c.StopAt == NewKeys {
		return nil
	}
	if err := c.Queue(nil, NewKeys); err != nil {
		return err
	}
	c.seal = direction('A', 'C')
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
	c.open = direction('B', 'D')
	return nil
}

// Authenticate authenticates by a key, or by none (RFC 4252).
func (c *Client) Authenticate(key ssh.Signer) error {
	if err := c.Send(Strings("ssh-userauth"), ServiceRequest); err != nil {
		return err
	}
	if _, err := c.receive(ServiceAccept); err != nil {
		return err
	}
	request := Strings("anybody", "ssh-connection", "none")
	if key != nil {
		public := key.PublicKey()
		request = append(Strings("anybody", "ssh-connection", "publickey"), 1)
		request = append(request, Strings(public.Type(), string(public.Marshal()))...)
		signature, err := key.Sign(rand.Reader, append(append(Strings(string(c.session)), UserAuthRequest), request...))
		if err != nil {
			return err
		}
		request = append(request, Strings(string(ssh.Marshal(signature)))...)
	}
	if err := c.Send(request, UserAuthRequest); err != nil {
		return err
	}
	p, err := c.Receive()
	if err == nil && p[0] != UserAuthSuccess {
		err = fmt.Errorf("message %d", p[0])
	}
	return err
}

// Packet puts a payload into a packet, sealed if there are keys.
func (c *Client) Packet(payload []byte) []byte {
	block, outside := 8, 0
	if c.seal != nil {
		block, outside = 16, 4 // the length is not encrypted
	}
	padding := block - (5+len(payload)-outside)%block
	if padding < 4 {
		padding += block
	}
	p := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+padding))
	body := append(append([]byte{byte(padding)}, payload...), make([]byte, padding)...)
	if c.seal == nil {
		return append(p, body...)
	}
	p = c.seal.Seal(p, c.seal.iv[:], body, p[:4])
	c.seal.next()
	return p
}

// Queue puts a message into the buffer, which is sent when it is full.
func (c *Client) Queue(body []byte, message byte) error {
	_, err := c.Out.Write(c.Packet(append([]byte{message}, body...)))
	return err
}

// Send sends a message, and what is queued before it.
func (c *Client) Send(body []byte, message byte) error {
	if err := c.Queue(body, message); err != nil {
		return err
	}
	return c.Out.Flush()
}

// Receive returns the payload of the next packet.
func (c *Client) Receive() ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(c.In, length[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(length[:])
	if size > 1<<18 {
		return nil, fmt.Errorf("a packet of %d bytes", size)
	}
	if c.open != nil {
		size += 16
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(c.In, body); err != nil {
		return nil, err
	}
	if c.open != nil {
		plain, err := c.open.Open(nil, c.open.iv[:], body, length[:])
		if err != nil {
			return nil, err
		}
		c.open.next()
		body = plain
	}
	return body[1 : len(body)-int(body[0])], nil
}

// receive returns the payload of the next packet with this message, and skips others.
func (c *Client) receive(message byte) ([]byte, error) {
	for {
		p, err := c.Receive()
		if err != nil || p[0] == message {
			return p, err
		}
	}
}

// Strings is a row of SSH strings (RFC 4251, section 5).
func Strings(texts ...string) []byte {
	var p []byte
	for _, text := range texts {
		p = append(binary.BigEndian.AppendUint32(p, uint32(len(text))), text...)
	}
	return p
}
