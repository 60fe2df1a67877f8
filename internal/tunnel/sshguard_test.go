package tunnel

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"time"

	"aig/internal/gittest"
	"aig/internal/sshtest"
)

// Somebody on the pipe begins a second key exchange, which cannot succeed, along with the NEWKEYS of the first: as our
// client without any key, as our server with the one that we trust. That is an error like any other, time after time, and
// doesn't crash the process.
func TestTortureLiarsKeysTwice(t *testing.T) {
	ours, peers := signer(t, "ed25519"), signer(t, "ed25519")
	rounds := gittest.Rounds(50, 5000)
	for round := range rounds {
		pipe, theirs := gittest.Loopback(t)
		server := round%2 == 1
		told := make(chan struct{})
		go func() {
			defer close(told)
			conn := sshtest.New(theirs)
			if conn.Versions() == nil {
				conn.Tail = func() error {
					clear(conn.Lists)
					return conn.Queue(conn.Offer()[1:], sshtest.KexInit)
				}
				if server {
					conn.Exchange()
				} else {
					conn.Answer(peers)
				}
			}
			io.Copy(io.Discard, theirs)
		}()
		conn, err := Open(t.Context(), pipe, server, Options{Signer: ours, Trusted: trusts(peers), Timing: timing})
		if err == nil {
			conn.Close()
			t.Fatal("it was let in")
		}
		if !strings.Contains(err.Error(), "SSH handshake") && !strings.Contains(err.Error(), "the pipe ended") {
			t.Fatalf("as server %v: %v", server, err)
		}
		<-told
		theirs.Close()
	}
	gittest.Figures(t, "second key exchanges before authentication, by a client or a server", rounds, "crashes 0")
}

// A peer whose key we trust sends half a message, followed by many whole ones. Reading ends with an error, and closing returns.
func TestTortureLiarsQueue(t *testing.T) {
	ours, peers := signer(t, "ed25519"), signer(t, "ed25519")
	rounds, opened := gittest.Rounds(5, 500), 0
	for round := range rounds {
		pipe, theirs := gittest.Loopback(t)
		told := make(chan error, 1)
		go func() {
			client := sshtest.New(theirs)
			err := client.Connect(peers)
			body := sshtest.Strings(SyncChannel)
			for _, n := range []uint32{0, 1 << 21, 1 << 15} { // number, window, packet size
				body = binary.BigEndian.AppendUint32(body, n)
			}
			client.Queue(body, sshtest.ChannelOpen)
			if round%2 == 0 { // otherwise we may see the failure before the channel
				client.Out.Flush()
				for answer := []byte(nil); err == nil && (len(answer) == 0 || answer[0] != sshtest.OpenConfirm); {
					answer, err = client.Receive()
				}
			}
			client.Queue([]byte{0}, sshtest.ChannelData)
			for range 200 {
				client.Queue(nil, sshtest.Ping)
			}
			client.Out.Flush()
			told <- err
			io.Copy(io.Discard, theirs)
		}()
		conn, err := Open(t.Context(), pipe, true, Options{Signer: ours, Trusted: trusts(peers), Timing: timing})
		if handshake := <-told; handshake != nil {
			t.Fatalf("%v, and %v", handshake, err)
		}
		if err != nil && round%2 == 0 {
			t.Fatal(err)
		}
		if err == nil {
			opened++
			select {
			case <-conn.over:
			case <-time.After(30 * time.Second):
				t.Fatal("the connection has not failed")
			}
			if _, err := conn.Read(make([]byte, 1)); err == nil || err == io.EOF {
				t.Errorf("reading: %v", err)
			}
			closed := make(chan struct{})
			go func() { conn.Close(); close(closed) }()
			select {
			case <-closed:
			case <-time.After(30 * time.Second):
				t.Fatal("it can't be closed")
			}
		}
		theirs.Close()
	}
	gittest.Figures(t, "connections that fail with much unread", rounds, "opened before that %d, left open 0", opened)
}
