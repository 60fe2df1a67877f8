package tunnel

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/gittest"
	"aig/internal/sshtest"
)

func signer(t *testing.T, kind string) ssh.Signer {
	t.Helper()
	var key any
	var err error
	switch kind {
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case "ecdsa":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "token":
		return sshtest.NewToken()
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func trusts(trusted ssh.Signer) func(ssh.PublicKey) bool {
	return func(key ssh.PublicKey) bool { return bytes.Equal(key.Marshal(), trusted.PublicKey().Marshal()) }
}

var timing = Timing{Timeout: 10 * time.Second}

type opened struct {
	conn   *Conn
	server bool
	err    error
}

func open(ctx context.Context, pipe io.ReadWriteCloser, o Options) (r opened) {
	var elected io.ReadWriteCloser
	if elected, r.server, r.err = Elect(ctx, pipe, timing); r.err == nil {
		r.conn, r.err = Open(ctx, elected, r.server, o)
	}
	if r.err == nil { // the server's first bytes open the channel
		if r.conn.Server {
			_, r.err = r.conn.Write([]byte("!"))
		} else {
			_, r.err = r.conn.Read(make([]byte, 1))
		}
	}
	return r
}

// pair connects two sides over a pipe.
func pair(t *testing.T, a, b Options) (opened, opened) {
	t.Helper()
	pipeA, pipeB := gittest.Loopback(t)
	first := make(chan opened, 1)
	go func() { first <- open(t.Context(), pipeA, a) }()
	second := open(t.Context(), pipeB, b)
	return <-first, second
}

// Two peers with various pairs of key types get one authenticated channel and the same session ID, whoever becomes the
// server, with bytes and half-close both ways.
func TestPeersMeet(t *testing.T) {
	for _, kinds := range [][2]string{{"ed25519", "ed25519"}, {"ed25519", "rsa"}, {"rsa", "ecdsa"}, {"ecdsa", "token"}} {
		t.Run(kinds[0]+" "+kinds[1], func(t *testing.T) {
			keyA, keyB := signer(t, kinds[0]), signer(t, kinds[1])
			roles := make(map[bool]bool)
			for range 100 { // until each has been the server: every time with probability 1/2
				a, b := pair(t, Options{Signer: keyA, Trusted: trusts(keyB), Timing: timing}, Options{Signer: keyB, Trusted: trusts(keyA), Timing: timing})
				if a.err != nil || b.err != nil {
					t.Fatalf("%v; %v", a.err, b.err)
				}
				if a.server == b.server {
					t.Fatal("both sides have one role")
				}
				if !bytes.Equal(a.conn.SessionID(), b.conn.SessionID()) || len(a.conn.SessionID()) < 32 {
					t.Fatal("the sides do not agree on the session")
				}
				exchange(t, a.conn, b.conn)
				if roles[a.server] = true; len(roles) == 2 {
					return
				}
			}
			t.Error("one side was the server a hundred times")
		})
	}
}

func exchange(t *testing.T, a, b *Conn) {
	t.Helper()
	answered := make(chan error, 1)
	go func() {
		got, err := io.ReadAll(b)
		if err == nil && string(got) != "question" {
			err = errors.New("got " + string(got))
		}
		io.WriteString(b, "answer")
		b.CloseWrite()
		answered <- err
	}()
	io.WriteString(a, "question")
	a.CloseWrite()
	got, err := io.ReadAll(a)
	if err != nil || string(got) != "answer" {
		t.Fatalf("got %q, %v", got, err)
	}
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
	b.Close()
}

// An untrusted key is an error on both sides, whoever is the server: the side that mistrusts names the fingerprint it saw,
// and the other says which TRUST line is missing.
func TestWrongKey(t *testing.T) {
	keyA, keyB, other := signer(t, "ed25519"), signer(t, "ed25519"), signer(t, "ed25519")
	roles := make(map[bool]bool)
	for range 100 {
		a, b := pair(t, Options{Signer: keyA, Trusted: trusts(other), Timing: timing}, Options{Signer: keyB, Trusted: trusts(keyA), Timing: timing})
		if a.err == nil || !strings.Contains(a.err.Error(), "the peer's key is "+ssh.FingerprintSHA256(keyB.PublicKey())+", which is not trusted") {
			t.Fatalf("as server %v, the side that mistrusts: %v", a.server, a.err)
		}
		if text := a.err.Error(); !strings.HasPrefix(text, "somebody else may have taken the token") || strings.Contains(text, "TRUST=") {
			t.Fatalf("a stranger's key is offered as one to trust: %s", text)
		}
		if b.err == nil || !strings.Contains(b.err.Error(), "TRUST="+ssh.FingerprintSHA256(keyB.PublicKey())) {
			t.Fatalf("as server %v, the side that is not trusted: %v", b.server, b.err)
		}
		if roles[a.server] = true; len(roles) == 2 {
			return
		}
	}
	t.Error("one side was the server a hundred times")
}

// deafening is a pipe to which writing fails once deaf is set, while reading goes on.
type deafening struct {
	net.Conn
	deaf atomic.Bool
}

func (d *deafening) Write(p []byte) (int, error) {
	if d.deaf.Load() {
		return 0, syscall.EPIPE
	}
	return d.Conn.Write(p)
}

// What a peer said before it went is read to the end, although nobody is left to adjust the window for.
func TestLastWords(t *testing.T) {
	keyA, keyB := signer(t, "ed25519"), signer(t, "ed25519")
	pipeA, pipeB := gittest.Loopback(t)
	ours := &deafening{Conn: pipeA}
	first := make(chan opened, 1)
	go func() { first <- open(t.Context(), ours, Options{Signer: keyA, Trusted: trusts(keyB), Timing: timing}) }()
	b := open(t.Context(), pipeB, Options{Signer: keyB, Trusted: trusts(keyA), Timing: timing})
	a := <-first
	if a.err != nil || b.err != nil {
		t.Fatal(a.err, b.err)
	}
	defer a.conn.Close()
	defer b.conn.Close()
	said := append(make([]byte, 1<<20), "why"...) // less than the window, and more than is read without adjusting it
	if _, err := b.conn.Write(said); err != nil {
		t.Fatal(err)
	}
	if err := b.conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	ours.deaf.Store(true)
	if heard, err := io.ReadAll(a.conn); err != nil || !bytes.Equal(heard, said) {
		t.Errorf("%d bytes of %d, %v", len(heard), len(said), err)
	}
}

// spoiler is a pipe that flips a bit of what it reads, once it is told to.
type spoiler struct {
	net.Conn
	spoil atomic.Int32 // in each read: 0 none, 1 in its first byte, 2 in its last
}

func (s *spoiler) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	switch spoil := s.spoil.Load(); {
	case n == 0:
	case spoil == 1:
		p[0] ^= 0x40
	case spoil == 2:
		p[n-1] ^= 1
	}
	return n, err
}

// Alteration on an open channel is reported as such, and isn't taken for an end that the peer has made, whether it breaks
// a packet's length or its MAC.
func TestAltered(t *testing.T) {
	keyA, keyB := signer(t, "ed25519"), signer(t, "ed25519")
	for _, spoil := range []int32{1, 2} {
		pipeA, pipeB := gittest.Loopback(t)
		spoiled := &spoiler{Conn: pipeA}
		first := make(chan opened, 1)
		go func() {
			first <- open(t.Context(), pipeB, Options{Signer: keyB, Trusted: trusts(keyA), Timing: timing})
		}()
		a := open(t.Context(), spoiled, Options{Signer: keyA, Trusted: trusts(keyB), Timing: timing})
		b := <-first
		if a.err != nil || b.err != nil {
			t.Fatalf("%v; %v", a.err, b.err)
		}
		spoiled.spoil.Store(spoil)
		if _, err := io.WriteString(b.conn, "question"); err != nil {
			t.Fatal(err)
		}
		<-a.conn.over
		if _, err := a.conn.Read(make([]byte, 8)); err == nil || !strings.HasPrefix(err.Error(), "bytes were lost or altered") {
			t.Errorf("spoilt %d: %v", spoil, err)
		}
		a.conn.Close()
		b.conn.Close()
	}
}

// stranger returns a pipe on which somebody says something and then falls silent or leaves.
func stranger(t *testing.T, says string, leaves bool) io.ReadWriteCloser {
	t.Helper()
	a, b := gittest.Loopback(t)
	if _, err := io.WriteString(b, says); err != nil {
		t.Fatal(err)
	}
	if leaves {
		b.CloseWrite()
	}
	return a
}

// Whatever is no peer is quoted, whether it goes on, leaves or falls silent; the message holds nothing raw.
func TestNotAPeer(t *testing.T) {
	for _, c := range []struct {
		says, quoted string
		leaves       bool
	}{
		{"HTTP/1.1 400 Bad Request\r\nServer: x\r\n", `"HTTP/1.1 400 Bad Request\r\nServer: x\r\n"`, false},
		{"SSH-2.0-OpenSSH_9.2\r\n", `"SSH-2.0-OpenSSH_9.2\r\n"`, false},
		{"a", `"a"`, true},
		{"\x1b[2Jhello", `"\x1b[2Jhello"`, true},
		{"aig: command not found", `"aig: command not found"`, false},
		{strings.Repeat("x", 500), strings.Repeat("x", quoted) + `"`, false},
		{"welcome\r\n" + string(preface{Version, 1}.append(nil)), `"welcome\r\n"`, false},
		{strings.ReplaceAll(magic, "\n", "\r\n"), `"aig\x00\r\r\n`, false},
	} {
		_, _, err := Elect(t.Context(), stranger(t, c.says, c.leaves), timing)
		if err == nil || !strings.Contains(err.Error(), c.quoted) {
			t.Errorf("after %q: %v", c.says, err)
		}
	}
}

// Each wait ends with an error of its own: nobody comes, a preface stops half-way, the pipe ends before one, the caller gives up.
func TestElectDoesNotHang(t *testing.T) {
	quick := Timing{Wait: 20 * time.Millisecond, Timeout: 20 * time.Millisecond}
	_, _, err := Elect(t.Context(), stranger(t, "", false), quick)
	if !errors.Is(err, ErrWait) {
		t.Errorf("nobody came: %v", err)
	}
	_, _, err = Elect(t.Context(), stranger(t, magic, false), Timing{Timeout: quick.Timeout})
	if err == nil || !strings.Contains(err.Error(), "20ms after the peer's first byte") {
		t.Errorf("half a preface: %v", err)
	}
	_, _, err = Elect(t.Context(), stranger(t, "", true), timing)
	if !errors.Is(err, ErrNoPeer) {
		t.Errorf("an end: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err = Elect(ctx, stranger(t, "", false), timing); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Equal numbers are a tie, and another version of the preface is named, even with an equal number.
func TestTieAndVersion(t *testing.T) {
	electing := func(pipe io.ReadWriteCloser, number uint64) (bool, error) {
		defer pipe.Close()
		return elect(t.Context(), pipe, timing, number)
	}
	say := func(version uint32, number uint64) string { return string(preface{version, number}.append(nil)) }
	_, err := electing(stranger(t, say(Version, 7), false), 7)
	if err == nil || !strings.Contains(err.Error(), "tie") {
		t.Errorf("tie: %v", err)
	}
	_, err = electing(stranger(t, say(Version+1, 7), false), 7)
	if err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("version: %v", err)
	}
	for number, want := range map[uint64]bool{6: true, 8: false} {
		server, err := electing(stranger(t, say(Version, number), false), 7)
		if err != nil || server != want {
			t.Errorf("against %d: %v, %v", number, server, err)
		}
	}
}

// docs/protocol.md shows the preface as it is sent.
func TestPrefaceOfTheProtocol(t *testing.T) {
	doc, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for i, b := range (preface{1, 0x0123456789abcdef}).append(nil) {
		if i == 8 || i == 12 {
			words = append(words, "") // two spaces between its three parts
		}
		words = append(words, hex.EncodeToString([]byte{b}))
	}
	if want := "\n" + strings.Join(words, " ") + "\n"; !strings.Contains(string(doc), want) {
		t.Errorf("docs/protocol.md does not hold %s", want)
	}
}

// FuzzPreface checks that an accepted preface marshals to the bytes that were read, and that everything else is an error.
func FuzzPreface(f *testing.F) {
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n"))
	f.Add(preface{1, 1 << 63}.append(nil))
	f.Add(binary.BigEndian.AppendUint64([]byte(magic), 0))
	f.Fuzz(func(t *testing.T, said []byte) {
		pipe := struct {
			io.Reader
			io.WriteCloser
		}{iotest.OneByteReader(bytes.NewReader(said)), nopCloser{}}
		got, err := readPreface(pipe, func() {})
		if err != nil {
			return
		}
		if again := got.append(nil); !bytes.Equal(again, said[:len(again)]) {
			t.Errorf("%q became %q", said, again)
		}
	})
}

type nopCloser struct{}

func (nopCloser) Write(p []byte) (int, error) { return len(p), nil }
func (nopCloser) Close() error                { return nil }
