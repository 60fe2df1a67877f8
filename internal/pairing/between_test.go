package pairing

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/gittest"
	"aig/internal/tunnel"
)

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// open makes an SSH connection to whoever is at the other end of a pipe.
func open(t *testing.T, pipe io.ReadWriteCloser, signer ssh.Signer) *tunnel.Conn {
	ctx, timing := context.Background(), tunnel.Timing{Timeout: time.Minute}
	elected, server, err := tunnel.Elect(ctx, pipe, timing)
	if err != nil {
		t.Error(err)
		pipe.Close()
		return nil
	}
	conn, err := tunnel.Open(ctx, elected, server, tunnel.Options{
		Signer: signer, Trusted: tunnel.AnyKey, Timing: timing, Channel: tunnel.PairChannel,
	})
	if err != nil {
		t.Error(err)
	}
	return conn
}

// honest pairs over a pipe with the right code, as the program does.
func honest(t *testing.T, pipe io.ReadWriteCloser, side Side) (*tunnel.Conn, outcome) {
	conn := open(t, pipe, newSigner(t))
	if conn == nil {
		return nil, outcome{err: errors.New("no connection")}
	}
	var out outcome
	out.peer, out.err = Run(conn, Options{
		Side: side, Secret: "204617", Initiator: conn.Server,
		SessionID: conn.SessionID(), OwnKey: conn.OwnKey.Marshal(), PeerKey: conn.PeerKey.Marshal(),
		Keep: func(s Secret) error { out.kept = append(out.kept, s); return nil },
		Undo: func() error { out.kept = nil; return nil },
	})
	if out.err != nil {
		conn.Close()
	}
	return conn, out
}

// Over real SSH, two honest sides pair and go on to the next channel of the same connection.
func TestOverSSH(t *testing.T) {
	a, b := gittest.Pipe()
	said := make(chan string)
	go func() {
		defer close(said)
		conn, out := honest(t, b, Accept)
		if out.err != nil || len(out.kept) != 1 {
			t.Error(out)
			return
		}
		defer conn.Close()
		if err := conn.Next(t.Context(), tunnel.SyncChannel); err != nil {
			t.Error(err)
			return
		}
		conn.Write(nil) // the SSH server speaks first
		heard, err := io.ReadAll(conn)
		if err != nil {
			t.Error(err)
		}
		said <- string(heard)
	}()
	conn, out := honest(t, a, Invite)
	if out.err != nil || len(out.kept) != 1 {
		t.Fatal(out)
	}
	defer conn.Close()
	if err := conn.Next(t.Context(), tunnel.SyncChannel); err != nil {
		t.Fatal(err)
	}
	conn.Write(nil)
	io.WriteString(conn, "a sync")
	conn.CloseWrite()
	if heard := <-said; heard != "a sync" {
		t.Errorf("%q", heard)
	}
}

// A man in the middle who runs both SSH handshakes with a key of his own, and relays the two sides' proofs, gets nowhere: each
// proof is bound to its connection, and the two differ.
func TestInBetween(t *testing.T) {
	a, nearAlice := gittest.Pipe()
	b, nearBob := gittest.Pipe()
	mallory := newSigner(t)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		toAlice := make(chan *tunnel.Conn, 1)
		go func() { toAlice <- open(t, nearAlice, mallory) }()
		bob, alice := open(t, nearBob, mallory), <-toAlice
		if alice == nil || bob == nil {
			return
		}
		alice.Write(nil)
		bob.Write(nil)
		back := make(chan struct{})
		go func() {
			defer close(back)
			io.Copy(alice, bob)
			alice.CloseWrite()
		}()
		io.Copy(bob, alice)
		bob.CloseWrite()
		<-back
		alice.Close()
		bob.Close()
	}()
	done := make(chan outcome)
	go func() {
		_, out := honest(t, b, Accept)
		done <- out
	}()
	_, x := honest(t, a, Invite)
	y := <-done
	<-ended
	// The roles are left to chance, so one of the two may see no tag at all, but a share that is out of order.
	if x.err == nil || y.err == nil || x.kept != nil || y.kept != nil {
		t.Errorf("%v; %v", x, y)
	}
}
