package switchboard

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/sshtest"
)

// raw is an SSH client with a session that can break every rule.
type raw struct {
	*sshtest.Conn
	tb      testing.TB
	net     net.Conn
	channel uint32 // the server's number of the session channel
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
	tb.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience)) // no test hangs
	return &raw{Conn: sshtest.New(conn), tb: tb, net: conn}
}

func (r *raw) versions() {
	r.tb.Helper()
	r.fatal("exchanging versions", r.Versions())
}

func (r *raw) handshake() {
	r.tb.Helper()
	r.fatal("handshake", r.Connect(nil))
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
	r.request("exec", sshtest.Strings(command))
	return r
}

func (r *raw) fatal(doing string, err error) {
	r.tb.Helper()
	if err != nil {
		r.tb.Fatalf("%s: %v", doing, err)
	}
}

// until returns the first message of a kind, skipping others.
func (r *raw) until(message byte) []byte {
	r.tb.Helper()
	for {
		p, err := r.Receive()
		r.fatal(fmt.Sprintf("waiting for message %d", message), err)
		if p[0] == message {
			return p[1:]
		}
	}
}

// openSession opens the session channel, with a window and a packet size.
func (r *raw) openSession(window, packet uint32) {
	r.tb.Helper()
	body := sshtest.Strings("session")
	for _, n := range []uint32{7, window, packet} {
		body = binary.BigEndian.AppendUint32(body, n)
	}
	r.fatal("opening a session", r.Send(body, sshtest.ChannelOpen))
	confirm := r.until(sshtest.OpenConfirm)
	r.channel = binary.BigEndian.Uint32(confirm[4:])
}

// onChannel puts the session channel's number before a body.
func (r *raw) onChannel(body ...byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, r.channel), body...)
}

// request sends a channel request that wants an answer, and doesn't wait.
func (r *raw) request(kind string, payload []byte) error {
	return r.Send(r.onChannel(append(append(sshtest.Strings(kind), 1), payload...)...), sshtest.ChannelRequest)
}

// line reads what comes on standard error until the end of a line.
func (r *raw) line() string {
	r.tb.Helper()
	line := ""
	for line == "" || line[len(line)-1] != '\n' {
		p := r.until(sshtest.ExtendedData)
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
		p, err := r.Receive()
		r.fatal("waiting to be told why", err)
		if p[0] == sshtest.Disconnect {
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
	_, err := io.Copy(io.Discard, r.In)
	if e, ok := err.(net.Error); ok && e.Timeout() {
		r.tb.Fatal("the connection has not been closed")
	}
}
