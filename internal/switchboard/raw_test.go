package switchboard

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
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// SSH's message numbers (RFC 4250, section 4.1.2).
const (
	msgDisconnect     = 1
	msgServiceRequest = 5
	msgServiceAccept  = 6
	msgKexInit        = 20
	msgNewKeys        = 21
	msgKexECDHInit    = 30
	msgUserAuth       = 50
	msgAuthSuccess    = 52
	msgGlobalRequest  = 80
	msgChannelOpen    = 90
	msgOpenConfirm    = 91
	msgOpenFailure    = 92
	msgWindowAdjust   = 93
	msgChannelData    = 94
	msgExtendedData   = 95
	msgChannelEOF     = 96
	msgChannelClose   = 97
	msgChannelRequest = 98
	msgChannelSuccess = 99
	msgChannelFailure = 100
	msgPing           = 192
)

// raw is an SSH client that does one thing at a time and can be made to do
// each of them wrong: it knows one algorithm of each kind, and checks nothing.
type raw struct {
	tb        testing.TB
	net       net.Conn
	in        *bufio.Reader
	out       *bufio.Writer
	theirs    string // their version
	session   []byte // the first exchange hash
	seal      *sealer
	open      *sealer
	kexPieces [][]byte // the name lists of our KEXINIT
	channel   uint32   // their number of the session channel

	rekeyUntil byte   // the message of a key exchange that is not sent any more
	rekeyTail  func() // queues what is sent in one go with the new keys
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

// dialRaw connects and does nothing yet.
func dialRaw(tb testing.TB, addr string) *raw {
	tb.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	return newRaw(tb, conn)
}

func newRaw(tb testing.TB, conn net.Conn) *raw {
	if conn != nil {
		tb.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(patience)) // no test hangs
	}
	r := &raw{tb: tb, net: conn, in: bufio.NewReader(conn), out: bufio.NewWriterSize(conn, 1<<16)}
	for _, names := range []string{
		"curve25519-sha256", "ssh-ed25519", "aes128-gcm@openssh.com", "aes128-gcm@openssh.com",
		"hmac-sha2-256", "hmac-sha2-256", "none", "none", "", "",
	} {
		r.kexPieces = append(r.kexPieces, []byte(names))
	}
	return r
}

// connected returns a client whose handshake is done.
func (b *board) connected(tb testing.TB) *raw {
	tb.Helper()
	r := dialRaw(tb, b.addr)
	r.handshake()
	return r
}

// execs returns a client with a session in which a command was asked for.
func (b *board) execs(tb testing.TB, command string) *raw {
	tb.Helper()
	r := b.connected(tb)
	r.openSession(1<<21, 1<<15)
	r.request("exec", lengthPrefixed(command))
	return r
}

func (r *raw) fatal(doing string, err error) {
	r.tb.Helper()
	if err != nil {
		r.tb.Fatalf("%s: %v", doing, err)
	}
}

const rawVersion = "SSH-2.0-raw"

func (r *raw) versions() {
	r.tb.Helper()
	_, err := io.WriteString(r.net, rawVersion+"\r\n")
	r.fatal("sending the version", err)
	line, err := r.in.ReadString('\n')
	r.fatal("reading the version", err)
	r.theirs = line[:len(line)-2]
}

func (r *raw) handshake() {
	r.tb.Helper()
	r.versions()
	r.fatal("key exchange", r.rekey())
	r.fatal("asking for authentication", r.send(lengthPrefixed("ssh-userauth"), msgServiceRequest))
	_, err := r.receive()
	r.fatal("asking for authentication", err)
	r.fatal("authentication", r.send(lengthPrefixed("anybody", "ssh-connection", "none"), msgUserAuth))
	p, err := r.receive()
	if err != nil || p[0] != msgAuthSuccess {
		r.tb.Fatalf("authentication: %v, %v", p, err)
	}
}

// kexInit is our KEXINIT (RFC 4253, section 7.1).
func (r *raw) kexInit() []byte {
	p := append([]byte{msgKexInit}, make([]byte, 16)...)
	for _, names := range r.kexPieces {
		p = append(binary.BigEndian.AppendUint32(p, uint32(len(names))), names...)
	}
	return append(p, 0, 0, 0, 0, 0)
}

// rekey does a key exchange, the first or a further one (RFC 8731).
func (r *raw) rekey() error {
	mine := r.kexInit()
	if err := r.send(mine[1:], msgKexInit); err != nil {
		return err
	}
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	public := key.PublicKey().Bytes()
	if err := r.send(lengthPrefixed(string(public)), msgKexECDHInit); err != nil {
		return err
	}
	var theirInit []byte
	for {
		if theirInit, err = r.receive(); err != nil {
			return err
		}
		if theirInit[0] == msgKexInit {
			break
		}
	}
	reply, err := r.receive()
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
	hash.Write(lengthPrefixed(rawVersion, r.theirs, string(mine), string(theirInit),
		string(fields.HostKey), string(public), string(fields.Public)))
	hash.Write(secret)
	exchange := hash.Sum(nil)
	if r.session == nil {
		r.session = exchange
	}
	derive := func(letter byte, size int) []byte {
		sum := sha256.Sum256(append(append(append(append([]byte{}, secret...), exchange...), letter), r.session...))
		return sum[:size]
	}
	direction := func(iv, key byte) *sealer {
		block, err := aes.NewCipher(derive(key, 16))
		r.fatal("key", err)
		aead, err := cipher.NewGCM(block)
		r.fatal("key", err)
		return &sealer{AEAD: aead, iv: [12]byte(derive(iv, 12))}
	}
	if r.rekeyUntil == msgNewKeys {
		return nil
	}
	if err := r.queue(nil, msgNewKeys); err != nil {
		return err
	}
	r.seal = direction('A', 'C')
	if r.rekeyTail != nil {
		r.rekeyTail()
	}
	if err := r.out.Flush(); err != nil {
		return err
	}
	for {
		p, err := r.receive()
		if err != nil {
			return err
		}
		if p[0] == msgNewKeys {
			break
		}
	}
	r.open = direction('B', 'D')
	return nil
}

// packet puts a payload into a packet, sealed if there are keys.
func (r *raw) packet(payload []byte) []byte {
	block, outside := 8, 0
	if r.seal != nil {
		block, outside = 16, 4 // the length is not encrypted
	}
	padding := block - (5+len(payload)-outside)%block
	if padding < 4 {
		padding += block
	}
	p := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+padding))
	body := append(append([]byte{byte(padding)}, payload...), make([]byte, padding)...)
	if r.seal == nil {
		return append(p, body...)
	}
	p = r.seal.Seal(p, r.seal.iv[:], body, p[:4])
	r.seal.next()
	return p
}

// queue puts a message into the buffer, which is sent when it is full.
func (r *raw) queue(body []byte, message byte) error {
	_, err := r.out.Write(r.packet(append([]byte{message}, body...)))
	return err
}

func (r *raw) send(body []byte, message byte) error {
	if err := r.queue(body, message); err != nil {
		return err
	}
	return r.out.Flush()
}

// receive returns the payload of the next packet.
func (r *raw) receive() ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r.in, length[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(length[:])
	if size > 1<<18 {
		return nil, fmt.Errorf("a packet of %d bytes", size)
	}
	if r.open != nil {
		size += 16
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r.in, body); err != nil {
		return nil, err
	}
	if r.open != nil {
		plain, err := r.open.Open(nil, r.open.iv[:], body, length[:])
		if err != nil {
			return nil, err
		}
		r.open.next()
		body = plain
	}
	return body[1 : len(body)-int(body[0])], nil
}

// until returns the first message of a kind, skipping others.
func (r *raw) until(message byte) []byte {
	r.tb.Helper()
	for {
		p, err := r.receive()
		r.fatal(fmt.Sprintf("waiting for message %d", message), err)
		if p[0] == message {
			return p[1:]
		}
	}
}

// openSession opens the session channel, with a window and a packet size.
func (r *raw) openSession(window, packet uint32) {
	r.tb.Helper()
	body := lengthPrefixed("session")
	for _, n := range []uint32{7, window, packet} {
		body = binary.BigEndian.AppendUint32(body, n)
	}
	r.fatal("opening a session", r.send(body, msgChannelOpen))
	confirm := r.until(msgOpenConfirm)
	r.channel = binary.BigEndian.Uint32(confirm[4:])
}

// onChannel puts the session channel's number before a body.
func (r *raw) onChannel(body ...byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, r.channel), body...)
}

// request sends a channel request that wants an answer, and doesn't wait.
func (r *raw) request(kind string, payload []byte) error {
	return r.send(r.onChannel(append(append(lengthPrefixed(kind), 1), payload...)...), msgChannelRequest)
}

// line reads what comes on standard error until the end of a line.
func (r *raw) line() string {
	r.tb.Helper()
	line := ""
	for line == "" || line[len(line)-1] != '\n' {
		p := r.until(msgExtendedData)
		line += string(p[12:])
	}
	return line[:len(line)-1]
}

// data is a message of channel data.
func (r *raw) data(b []byte) []byte {
	return r.onChannel(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)...)
}

// dismissed expects a disconnect message whose text contains a text, and then
// the end.
func (r *raw) dismissed(text string) {
	r.tb.Helper()
	for {
		p, err := r.receive()
		r.fatal("waiting to be told why", err)
		if p[0] == msgDisconnect {
			var m struct {
				Reason         uint32
				Text, Language string
			}
			r.fatal("being told why", ssh.Unmarshal(p[1:], &m))
			if !strings.HasPrefix(m.Text, "switchboard: ") || !strings.Contains(m.Text, text) || strings.Contains(m.Text, "\n") {
				r.tb.Fatalf("the line is %q, want one with %q", m.Text, text)
			}
			break
		}
	}
	r.ended()
}

// ended expects the connection to end within patience, whatever comes before.
func (r *raw) ended() {
	r.tb.Helper()
	r.net.SetReadDeadline(time.Now().Add(patience))
	_, err := io.Copy(io.Discard, r.in)
	if e, ok := err.(net.Error); ok && e.Timeout() {
		r.tb.Fatal("the connection has not been closed")
	}
}

// lengthPrefixed is a row of SSH strings (RFC 4251, section 5).
func lengthPrefixed(texts ...string) []byte {
	var p []byte
	for _, text := range texts {
		p = append(binary.BigEndian.AppendUint32(p, uint32(len(text))), text...)
	}
	return p
}
