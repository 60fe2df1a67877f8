package tunnel

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/gittest"
)

// unknown connects two sides that allow any key, on a channel for pairing.
func unknown(t *testing.T) (server, client *Conn) {
	t.Helper()
	a, b := pair(t, Options{Signer: signer(t, "ed25519"), Trusted: AnyKey, Timing: timing, Channel: PairChannel},
		Options{Signer: signer(t, "ecdsa"), Trusted: AnyKey, Timing: timing, Channel: PairChannel})
	if a.err != nil || b.err != nil {
		t.Fatal(a.err, b.err)
	}
	t.Cleanup(func() { a.conn.Close(); b.conn.Close() })
	if a.conn.Server == b.conn.Server {
		t.Fatal("both sides have one role")
	}
	if a.conn.Server {
		return a.conn, b.conn
	}
	return b.conn, a.conn
}

// talk has one side say a line and the other read it.
func talk(t *testing.T, from io.Writer, to io.Reader, line string) {
	t.Helper()
	if _, err := io.WriteString(from, line); err != nil {
		t.Fatal(err)
	}
	heard := make([]byte, len(line))
	if _, err := io.ReadFull(to, heard); err != nil || string(heard) != line {
		t.Fatalf("heard %q, %v", heard, err)
	}
}

// Two sides that allow any key learn each other's key and the same session ID, and talk on one channel, then on another of the
// same connection; a third is refused.
func TestNextChannel(t *testing.T) {
	server, client := unknown(t)
	same := func(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }
	if !same(server.PeerKey, client.OwnKey) || !same(client.PeerKey, server.OwnKey) || same(server.OwnKey, client.OwnKey) {
		t.Error("the sides do not know each other's keys")
	}
	if !bytes.Equal(server.SessionID(), client.SessionID()) {
		t.Error("the sides do not agree on the session")
	}
	talk(t, server, client, "the secret?")
	talk(t, client, server, "the secret.")
	// The side that accepts the channel waits for the other, which may call Next at any time.
	next := make(chan error, 1)
	go func() { next <- client.Next(t.Context(), SyncChannel) }()
	if err := server.Next(t.Context(), SyncChannel); err != nil {
		t.Fatal(err)
	}
	talk(t, server, client, "the greeting")
	if err := <-next; err != nil {
		t.Fatal(err)
	}
	var refused *ssh.OpenChannelError
	if _, _, err := server.conn.OpenChannel(SyncChannel, nil); !errors.As(err, &refused) {
		t.Errorf("a third channel: %v", err)
	}
	exchange(t, server, client)
}

// A channel is accepted only if it is of the awaited type and its greeting is within the limit.
func TestNextChannelIsTheOneWaitedFor(t *testing.T) {
	_, client := unknown(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if err := client.Next(ctx, SyncChannel); err != enough {
		t.Errorf("cancelled: %v", err)
	}
	for _, c := range []struct {
		channelType string
		greeting    int
	}{{"other@aig.invalid", 1}, {SyncChannel, maxGreeting + 1}} {
		server, client := unknown(t)
		go server.conn.OpenChannel(c.channelType, make([]byte, c.greeting))
		if err := client.Next(t.Context(), SyncChannel); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Read(make([]byte, 1)); err == nil {
			t.Errorf("a channel of type %s with %d bytes of extra data was taken", c.channelType, c.greeting)
		}
	}
}

// A peer that doesn't open the next channel in time isn't said to be stuck in the handshake.
func TestNextChannelNeverComes(t *testing.T) {
	ourKey, theirKey := signer(t, "ed25519"), signer(t, "ed25519")
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := gittest.Pipe()
		done := make(chan struct{})
		go func() { // not being ours, it opens the channel as client
			defer close(done)
			conn, chans, requests, err := ssh.NewClientConn(testConn{theirs}, "", &ssh.ClientConfig{
				User: "aig", Auth: []ssh.AuthMethod{ssh.PublicKeys(theirKey)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
			})
			if err != nil {
				return
			}
			go ssh.DiscardRequests(requests)
			go rejectAll(chans)
			conn.OpenChannel(PairChannel, nil)
			conn.Wait()
		}()
		conn, err := Open(t.Context(), ours, true, Options{Signer: ourKey, Trusted: AnyKey, Timing: Timing{Timeout: time.Minute}, Channel: PairChannel})
		if err == nil {
			err = conn.Next(t.Context(), SyncChannel)
			conn.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "opening the next channel with the peer was not over after 1m0s") {
			t.Error(err)
		}
		theirs.Close()
		<-done
		time.Sleep(time.Minute) // what x/crypto/ssh leaves behind ends by itself
	})
}

// What a server says first opens the channel, and arrives whole, whether it fits into the opening or not.
func TestGreeting(t *testing.T) {
	for _, size := range []int{1, maxGreeting, maxGreeting + 1, 1 << 20} {
		server, client := unknown(t)
		if err := errors.Join(server.Next(t.Context(), SyncChannel), client.Next(t.Context(), SyncChannel)); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := server.Write(make([]byte, size))
			done <- errors.Join(err, server.CloseWrite())
		}()
		got, err := io.ReadAll(client)
		if err := errors.Join(err, <-done); err != nil || len(got) != size {
			t.Errorf("%d bytes of %d, %v", len(got), size, err)
		}
	}
}

// A peer that shows another key in a later key exchange is refused, although any key was allowed at first.
func TestKeyStays(t *testing.T) {
	c := &Conn{o: Options{Trusted: AnyKey}}
	first := signer(t, "ed25519").PublicKey()
	if err := errors.Join(c.check(first), c.check(first)); err != nil {
		t.Error(err)
	}
	if c.check(signer(t, "ed25519").PublicKey()) == nil {
		t.Error("another key was taken")
	}
}
