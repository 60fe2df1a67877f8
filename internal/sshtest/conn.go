// Package sshtest has an SSH client and server that break SSH's rules when told to, for tests of code that must withstand
// that, and a FIDO token.
package sshtest

import (
	"bufio"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

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
	KexECDHReply    = 31
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

// Version is its version string.
const Version = "SSH-2.0-raw"

// Conn is one side of a connection that does one thing at a time, knows one algorithm of each kind, and checks nothing.
type Conn struct {
	In     *bufio.Reader
	Out    *bufio.Writer
	Theirs string   // the other side's version, once Versions has read it
	Lists  [][]byte // the name lists of its KEXINIT

	StopAt byte         // NewKeys, if Exchange is to stop before it sends them
	Tail   func() error // queues what is to be sent in one write with NEWKEYS

	session []byte // the first exchange hash
	seal    *sealer
	open    *sealer
}

// sealer seals or opens packets in one direction by aes128-gcm@openssh.com (RFC 5647).
type sealer struct {
	cipher.AEAD
	iv [12]byte
}

// next steps the invocation counter.
func (s *sealer) next() {
	binary.BigEndian.PutUint64(s.iv[4:], binary.BigEndian.Uint64(s.iv[4:])+1)
}

// New returns one side of a connection over the pipe, before the version exchange.
func New(pipe io.ReadWriter) *Conn {
	c := &Conn{In: bufio.NewReader(pipe), Out: bufio.NewWriterSize(pipe, 1<<16)}
	for _, names := range []string{
		"curve25519-sha256", "ssh-ed25519", "aes128-gcm@openssh.com", "aes128-gcm@openssh.com",
		"hmac-sha2-256", "hmac-sha2-256", "none", "none", "", "",
	} {
		c.Lists = append(c.Lists, []byte(names))
	}
	return c
}

// Versions exchanges the version strings.
func (c *Conn) Versions() error {
	c.Out.WriteString(Version + "\r\n")
	if err := c.Out.Flush(); err != nil {
		return err
	}
	line, err := c.In.ReadString('\n')
	if err != nil {
		return err
	}
	c.Theirs = strings.TrimRight(line, "\r\n")
	return nil
}

// Connect does all of a client's handshake: versions, key exchange and authentication.
func (c *Conn) Connect(key ssh.Signer) error {
	err := c.Versions()
	if err == nil {
		err = c.Exchange()
	}
	if err == nil {
		err = c.Authenticate(key)
	}
	return err
}

// Authenticate authenticates by a key, or by none (RFC 4252).
func (c *Conn) Authenticate(key ssh.Signer) error {
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

// Packet returns a packet with the payload, sealed if there are keys.
func (c *Conn) Packet(payload []byte) []byte {
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

// Queue appends a message to the buffer, which is sent when it is full.
func (c *Conn) Queue(body []byte, message byte) error {
	_, err := c.Out.Write(c.Packet(append([]byte{message}, body...)))
	return err
}

// Send sends what is queued, and then a message.
func (c *Conn) Send(body []byte, message byte) error {
	if err := c.Queue(body, message); err != nil {
		return err
	}
	return c.Out.Flush()
}

// Receive returns the payload of the next packet.
func (c *Conn) Receive() ([]byte, error) {
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

// receive returns the payload of the next packet with the given message number, and skips others.
func (c *Conn) receive(message byte) ([]byte, error) {
	for {
		p, err := c.Receive()
		if err != nil || p[0] == message {
			return p, err
		}
	}
}

// Strings returns the texts as SSH strings, one after the other (RFC 4251, section 5).
func Strings(texts ...string) []byte {
	var p []byte
	for _, text := range texts {
		p = append(binary.BigEndian.AppendUint32(p, uint32(len(text))), text...)
	}
	return p
}
