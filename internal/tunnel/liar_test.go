package tunnel

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/gittest"
)

// esc is what no message may show raw.
const esc = "\x1b[2J\r\n\x00\u202e\xff"

// liar is one lie told in the SSH handshake, by hand or with the keys of the peer that we trust.
type liar struct {
	name string
	// What the liar does with the pipe: one of these, by its role in SSH.
	client, server func(t *testing.T, pipe io.ReadWriteCloser, key ssh.Signer)
	want           string // part of our error
	within         time.Duration
	greets         bool // it lies after the handshake
}

// lieTo tells a lie in a synctest bubble: no goroutine may be left at its end.
func lieTo(t *testing.T, l liar, server bool, tell func(*testing.T, io.ReadWriteCloser, ssh.Signer)) (took time.Duration) {
	ourKey, theirKey := signer(t, "ed25519"), signer(t, "ed25519")
	var err error
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := gittest.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			tell(t, theirs, theirKey)
		}()
		start := time.Now()
		var conn *Conn
		conn, err = Open(t.Context(), ours, server, Options{Signer: ourKey, Trusted: trusts(theirKey), Timing: Timing{Timeout: time.Minute}})
		took = time.Since(start)
		if err == nil {
			if l.greets {
				_, err = conn.Read(make([]byte, 1))
			}
			conn.Close()
		}
		theirs.Close()
		<-done
		time.Sleep(time.Minute) // what x/crypto/ssh leaves behind ends by itself
	})
	switch {
	case err == nil && l.want != "" || err != nil && (l.want == "" || !strings.Contains(err.Error(), l.want)):
		t.Errorf("as server %v: %v, want %q", server, err, l.want)
	case err != nil:
		gittest.MustBeClean(t, err.Error())
	}
	if most := max(l.within, time.Second); took > most+10*time.Second {
		t.Errorf("it took %s, at most %s would do", took, most)
	}
	return took
}

// packet is an SSH packet before the key exchange (RFC 4253, section 6).
func packet(payload string) string {
	padding := 8 - (5+len(payload))%8
	if padding < 4 {
		padding += 8
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+padding))
	return string(append(b, byte(padding))) + payload + strings.Repeat("\x00", padding)
}

func sshString(s string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(s)))) + s
}

// kexInit is a KEXINIT whose ten lists are all the same.
func kexInit(list string) string {
	return packet("\x14" + strings.Repeat("c", 16) + strings.Repeat(sshString(list), 10) + strings.Repeat("\x00", 5))
}

// A peer, or somebody in its place without any key, lies before there are session keys: banners, versions, packets,
// lists of algorithms, and texts that must not be shown raw. In either role, we end with a clear error at once, or after
// the timeout if we are kept waiting.
func TestTortureLiarsSSHPackets(t *testing.T) {
	const version = "SSH-2.0-liar\r\n"
	says := func(parts ...string) func(*testing.T, io.ReadWriteCloser, ssh.Signer) {
		return func(_ *testing.T, pipe io.ReadWriteCloser, _ ssh.Signer) {
			go io.Copy(io.Discard, pipe)
			for _, p := range parts {
				io.WriteString(pipe, p)
			}
			time.Sleep(10 * time.Minute)
		}
	}
	forever := func(first, again string, pause time.Duration) func(*testing.T, io.ReadWriteCloser, ssh.Signer) {
		return func(_ *testing.T, pipe io.ReadWriteCloser, _ ssh.Signer) {
			go io.Copy(io.Discard, pipe)
			io.WriteString(pipe, first)
			for {
				if _, err := io.WriteString(pipe, again); err != nil {
					return
				}
				time.Sleep(pause)
			}
		}
	}
	const timeout = time.Minute
	var rounds int
	var longest time.Duration
	for _, l := range []struct {
		name   string
		tell   func(*testing.T, io.ReadWriteCloser, ssh.Signer)
		want   string
		within time.Duration
	}{
		{"a version with an escape", says("SSH-2.0-"+esc[:4]+"\r\n", kexInit("x")), "no common algorithm", 0},
		{"a version without an end", forever("SSH-2.0-", "x", 0), "overflow reading version", 0},
		{"lines without a version", forever("", esc, 0), "overflow reading version", 0},
		{"version 1", says("SSH-1.5-liar\r\n", kexInit("x")), "SSH handshake", 0},
		{"not SSH", says("HTTP/1.1 400 Bad Request\r\n" + esc + "\r\n\r\n"), "was not over after 1m0s", timeout},
		{"a disconnect with an escape", says(version, packet("\x01\x00\x00\x00\x02"+sshString(esc)+sshString(""))), "", 0},
		{"a disconnect of 30 KB", says(version, packet("\x01\x00\x00\x00\x02"+sshString(strings.Repeat(esc, 3000))+sshString(""))), "", 0},
		{"algorithms with an escape", says(version, kexInit(esc)), `no common algorithm`, 0},
		{"algorithms of 3 KB each", says(version, kexInit(strings.Repeat("\x1b", 3000))), "no common algorithm", 0},
		{"1,000 algorithms", says(version, kexInit(strings.Repeat("x,", 1000))), "no common algorithm", 0},
		{"a list of 2^32-1 bytes", says(version, packet("\x14"+strings.Repeat("c", 16)+"\xff\xff\xff\xff"+strings.Repeat("x", 100))), "SSH handshake", 0},
		{"a packet of 2^32-1 bytes", says(version, "\xff\xff\xff\xff\x04"+strings.Repeat("x", 1000)), "bytes were lost or altered", 0},
		{"a packet of no bytes", says(version, "\x00\x00\x00\x00\x00"+strings.Repeat("x", 1000)), "bytes were lost or altered", 0},
		{"a packet of padding", says(version, "\x00\x00\x00\x0c\xff"+strings.Repeat("x", 1000)), "bytes were lost or altered", 0},
		{"user authentication first", says(version, packet("\x32"+sshString(esc)+sshString("ssh-connection")+sshString("none"))), "SSH handshake", 0},
		{"an unknown message first", says(version, packet("\xc0"+esc)), "SSH handshake", 0},
		{"debug messages without end", forever(version, packet("\x04\x01"+sshString(strings.Repeat(esc, 100))+sshString("")), time.Second), "was not over after 1m0s", timeout},
		{"a half KEXINIT", says(version, kexInit("x")[:50]), "was not over after 1m0s", timeout},
		{"a KEXINIT by single bytes", func(t *testing.T, pipe io.ReadWriteCloser, _ ssh.Signer) {
			go io.Copy(io.Discard, pipe)
			for _, b := range []byte(version + kexInit(strings.Repeat("x", 200))) {
				if _, err := pipe.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}, "was not over after 1m0s", timeout},
		{"nothing, and reads nothing", func(_ *testing.T, pipe io.ReadWriteCloser, _ ssh.Signer) { time.Sleep(10 * timeout) }, "was not over after 1m0s", timeout},
	} {
		t.Run(l.name, func(t *testing.T) {
			for _, server := range []bool{false, true} {
				want := l.want
				if want == "" {
					want = "SSH handshake"
				}
				took := lieTo(t, liar{want: want, within: l.within}, server, l.tell)
				rounds++
				longest = max(longest, took)
			}
		})
	}
	gittest.Figures(t, "lies in SSH before there are keys", rounds, "longest %s", longest.Round(time.Second))
}

// testConn lends a pipe what x/crypto/ssh asks for.
type testConn struct{ io.ReadWriteCloser }

func (testConn) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
func (testConn) RemoteAddr() net.Addr             { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
func (testConn) SetDeadline(time.Time) error      { return nil }
func (testConn) SetReadDeadline(time.Time) error  { return nil }
func (testConn) SetWriteDeadline(time.Time) error { return nil }

// oddKey is a signer whose public key marshals to blob.
type oddKey struct {
	ssh.Signer
	blob []byte
}

func (k oddKey) PublicKey() ssh.PublicKey { return oddPublicKey{k.Signer.PublicKey(), k.blob} }

type oddPublicKey struct {
	ssh.PublicKey
	blob []byte
}

func (k oddPublicKey) Marshal() []byte { return k.blob }

// A peer that has the key that we trust, or not, lies as the SSH server.
func TestTortureLiarsSSHServer(t *testing.T) {
	const timeout = time.Minute
	// serves does the handshake with a configuration that is good but for what change does, and then does as then says.
	serves := func(change func(c *ssh.ServerConfig, key ssh.Signer), then func(ssh.Conn, <-chan ssh.NewChannel)) func(*testing.T, io.ReadWriteCloser, ssh.Signer) {
		return func(_ *testing.T, pipe io.ReadWriteCloser, key ssh.Signer) {
			config := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }}
			if change == nil {
				change = func(*ssh.ServerConfig, ssh.Signer) {}
			}
			if change(config, key); config.BannerCallback == nil {
				config.AddHostKey(key)
			}
			conn, chans, requests, err := ssh.NewServerConn(testConn{pipe}, config)
			if err != nil {
				return
			}
			go ssh.DiscardRequests(requests)
			if then != nil {
				then(conn, chans)
			}
			conn.Wait()
		}
	}
	flood := func(conn ssh.Conn, pause time.Duration) {
		for {
			if _, _, err := conn.SendRequest(esc, true, []byte(strings.Repeat(esc, 1000))); err != nil {
				return
			}
			time.Sleep(pause)
		}
	}
	odd := func(blob func(ssh.Signer) []byte) func(*ssh.ServerConfig, ssh.Signer) {
		return func(c *ssh.ServerConfig, key ssh.Signer) {
			c.AddHostKey(oddKey{key, blob(key)})
			c.BannerCallback = func(ssh.ConnMetadata) string { return "" }
		}
	}
	lies := []liar{
		{name: "another key", server: serves(func(c *ssh.ServerConfig, _ ssh.Signer) {
			c.AddHostKey(signer(t, "ecdsa"))
			c.BannerCallback = func(ssh.ConnMetadata) string { return "" }
		}, nil), want: "which is not trusted"},
		{name: "a key of the wrong kind", server: serves(odd(func(ssh.Signer) []byte { return []byte(sshString(esc) + "x") }), nil),
			want: "SSH handshake"},
		{name: "no key", server: serves(odd(func(ssh.Signer) []byte { return nil }), nil), want: "SSH handshake"},
		{name: "a key of 100 KB", server: serves(odd(func(ssh.Signer) []byte {
			return []byte(sshString("ssh-ed25519") + sshString(strings.Repeat("x", 100_000)))
		}), nil), want: "SSH handshake"},
		{name: "somebody else's key with its own signature", server: serves(odd(func(ssh.Signer) []byte {
			return signer(t, "ed25519").PublicKey().Marshal()
		}), nil), want: "SSH handshake"},
		{name: "a banner with an escape", server: serves(func(c *ssh.ServerConfig, key ssh.Signer) {
			c.AddHostKey(key)
			c.BannerCallback = func(ssh.ConnMetadata) string { return strings.Repeat(esc, 10_000) }
		}, func(_ ssh.Conn, chans <-chan ssh.NewChannel) { rejectAll(chans) }), want: "opening the channel"},
		{name: "our key refused, with a banner", server: serves(func(c *ssh.ServerConfig, _ ssh.Signer) {
			c.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
				return nil, &ssh.BannerError{Err: errors.New(esc), Message: esc}
			}
		}, nil), want: "the peer does not trust our key"},
		{name: "the channel refused with an escape", server: serves(nil, func(_ ssh.Conn, chans <-chan ssh.NewChannel) {
			(<-chans).Reject(ssh.RejectionReason(1<<32-1), esc)
		}), want: "opening the channel"},
		{name: "the channel refused with 100 KB", server: serves(nil, func(_ ssh.Conn, chans <-chan ssh.NewChannel) {
			(<-chans).Reject(ssh.Prohibited, strings.Repeat(esc, 10_000))
		}), want: "opening the channel"},
		{name: "the connection closed instead", server: serves(nil, func(conn ssh.Conn, _ <-chan ssh.NewChannel) { conn.Close() }),
			want: "opening the channel: the connection ended"},
		{name: "no answer to the channel", server: serves(nil, nil), want: "was not over after 1m0s", within: timeout},
		{name: "no answer to the channel, and requests without end", server: serves(nil, func(conn ssh.Conn, _ <-chan ssh.NewChannel) {
			flood(conn, time.Second)
		}), want: "was not over after 1m0s", within: timeout},
		{name: "channels of its own instead", server: serves(nil, func(conn ssh.Conn, _ <-chan ssh.NewChannel) {
			for {
				if _, _, err := conn.OpenChannel(esc, []byte(strings.Repeat(esc, 100))); err != nil && !errors.As(err, new(*ssh.OpenChannelError)) {
					return
				}
				time.Sleep(time.Second)
			}
		}), want: "was not over after 1m0s", within: timeout},
	}
	// If its program is as new as ours, the server opens the channel.
	greets := func(channelType string, size int) func(*testing.T, io.ReadWriteCloser, ssh.Signer) {
		return serves(func(c *ssh.ServerConfig, _ ssh.Signer) { c.ServerVersion = identification }, func(conn ssh.Conn, _ <-chan ssh.NewChannel) {
			conn.OpenChannel(channelType, make([]byte, size))
		})
	}
	lies = append(lies,
		liar{name: "a channel of another type", greets: true, server: greets(esc, 1), want: "it asked for one of type"},
		liar{name: "a greeting beyond its limit", greets: true, server: greets(SyncChannel, maxGreeting+1), want: "with 16385 bytes of extra data"},
		liar{name: "a greeting of 200 KB", greets: true, server: greets(SyncChannel, 200_000), want: "with 200000 bytes of extra data"},
		liar{name: "the connection closed instead of a greeting", greets: true, server: serves(func(c *ssh.ServerConfig, _ ssh.Signer) {
			c.ServerVersion = identification
		}, func(conn ssh.Conn, _ <-chan ssh.NewChannel) { conn.Close() }), want: "EOF"},
	)
	rounds, longest := 0, time.Duration(0)
	for _, l := range lies {
		t.Run(l.name, func(t *testing.T) {
			rounds++
			longest = max(longest, lieTo(t, l, false, l.server))
		})
	}
	gittest.Figures(t, "lies in SSH as its server", rounds, "longest %s", longest.Round(time.Second))
}

// A peer that has the key that we trust, or not, lies as the SSH client.
func TestTortureLiarsSSHClient(t *testing.T) {
	const timeout = time.Minute
	connects := func(change func(c *ssh.ClientConfig), then func(ssh.Conn)) func(*testing.T, io.ReadWriteCloser, ssh.Signer) {
		return func(_ *testing.T, pipe io.ReadWriteCloser, key ssh.Signer) {
			config := &ssh.ClientConfig{User: "aig", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()}
			if change != nil {
				change(config)
			}
			conn, chans, requests, err := ssh.NewClientConn(testConn{pipe}, "", config)
			if err != nil {
				return
			}
			go ssh.DiscardRequests(requests)
			go rejectAll(chans)
			if then != nil {
				then(conn)
			}
			conn.Wait()
		}
	}
	auth := func(methods ...ssh.AuthMethod) func(c *ssh.ClientConfig) {
		return func(c *ssh.ClientConfig) { c.Auth = methods }
	}
	var strangers []ssh.Signer
	for range 100 {
		strangers = append(strangers, signer(t, "ed25519"))
	}
	lies := []liar{
		{name: "another key", client: connects(auth(ssh.PublicKeys(strangers[0])), nil), want: "which is not trusted"},
		{name: "100 other keys", client: connects(auth(ssh.PublicKeys(strangers...)), nil), want: "which is not trusted"},
		{name: "a password with an escape", client: connects(auth(ssh.Password(esc)), nil), want: "during the SSH handshake"},
		{name: "no key", client: connects(auth(), nil), want: "during the SSH handshake"},
		{name: "a key without its signature", client: connects(auth(ssh.PublicKeys(oddKey{strangers[1], nil})), nil), want: "SSH handshake"},
		{name: "a user of 30 KB with escapes", client: connects(func(c *ssh.ClientConfig) { c.User = strings.Repeat(esc, 3000) },
			func(conn ssh.Conn) { conn.OpenChannel(SyncChannel, nil) })},
		{name: "a channel with an escape", client: connects(nil, func(conn ssh.Conn) { conn.OpenChannel(esc, nil) }),
			want: "it asked for one of type"},
		{name: "a channel of a type of 100 KB", client: connects(nil, func(conn ssh.Conn) { conn.OpenChannel(strings.Repeat(esc, 10_000), nil) }),
			want: "it asked for one of type"},
		{name: "the right type with extra data", client: connects(nil, func(conn ssh.Conn) { conn.OpenChannel(SyncChannel, []byte{0}) }),
			want: "with 1 bytes of extra data"},
		{name: "a session", client: connects(nil, func(conn ssh.Conn) { conn.OpenChannel("session", nil) }),
			want: `it asked for one of type "session"`},
		{name: "no channel", client: connects(nil, nil), want: "was not over after 1m0s", within: timeout},
		{name: "no channel, and requests without end", client: connects(nil, func(conn ssh.Conn) {
			for {
				if _, _, err := conn.SendRequest(esc, true, []byte(strings.Repeat(esc, 1000))); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}), want: "was not over after 1m0s", within: timeout},
		{name: "the connection closed instead of a channel", client: connects(nil, func(conn ssh.Conn) { conn.Close() }),
			want: "waiting for the peer to open the channel: the connection ended"},
	}
	rounds, longest := 0, time.Duration(0)
	for _, l := range lies {
		t.Run(l.name, func(t *testing.T) {
			rounds++
			longest = max(longest, lieTo(t, l, true, l.client))
		})
	}
	gittest.Figures(t, "lies in SSH as its client", rounds, "longest %s", longest.Round(time.Second))
}
