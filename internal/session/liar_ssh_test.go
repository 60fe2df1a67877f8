package session

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/intake"
	"aig/internal/oid"
	"aig/internal/tunnel"
	"aig/internal/wire"
)

// bareSSH is the liar's side of an SSH connection, without the manners of package tunnel.
type bareSSH struct {
	ssh.Conn
	channel ssh.Channel
	pipe    *stoppable
	kexes   atomic.Int32 // key exchanges, counted by whichever side is the client
}

// stoppable is a pipe that its owner can stop reading.
type stoppable struct {
	io.ReadWriteCloser
	mu     sync.Mutex
	unread chan struct{} // closed to resume reading
}

func (s *stoppable) Read(p []byte) (int, error) {
	s.mu.Lock()
	unread := s.unread
	s.mu.Unlock()
	if unread != nil {
		<-unread
	}
	return s.ReadWriteCloser.Read(p)
}

// stop stops reading the pipe until resume is called.
func (s *stoppable) stop() (resume func()) {
	unread := make(chan struct{})
	s.mu.Lock()
	s.unread = unread
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		s.unread = nil
		s.mu.Unlock()
		close(unread)
	}
}

// bare returns a tunnel of ours and the bare SSH connection of a liar at its other end.
func (v *victims) bare(t *testing.T, config ssh.Config, server bool, timeout time.Duration) (*tunnel.Conn, *bareSSH) {
	a, b := gittest.Pipe()
	liar := &bareSSH{pipe: &stoppable{ReadWriteCloser: b}}
	counts := func(ssh.PublicKey) bool {
		liar.kexes.Add(1)
		return true
	}
	opened := make(chan error, 1)
	go func() {
		opened <- func() (err error) {
			var chans <-chan ssh.NewChannel
			var requests, channelRequests <-chan *ssh.Request
			conn := testConn{liar.pipe}
			if !server {
				liar.Conn, chans, requests, err = ssh.NewClientConn(conn, "", &ssh.ClientConfig{Config: config,
					Auth: []ssh.AuthMethod{ssh.PublicKeys(v.keys[1])}, HostKeyCallback: func(string, net.Addr, ssh.PublicKey) error {
						counts(nil)
						return nil
					}})
			} else {
				c := &ssh.ServerConfig{Config: config,
					PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }}
				c.AddHostKey(v.keys[1])
				liar.Conn, chans, requests, err = ssh.NewServerConn(conn, c)
			}
			if err != nil {
				return err
			}
			go ssh.DiscardRequests(requests)
			if !server {
				liar.channel, channelRequests, err = liar.OpenChannel("sync@aig.invalid", nil)
			} else {
				liar.channel, channelRequests, err = (<-chans).Accept()
			}
			if err != nil {
				return err
			}
			go ssh.DiscardRequests(channelRequests)
			go func() {
				for c := range chans {
					c.Reject(ssh.Prohibited, "")
				}
			}()
			return nil
		}()
	}()
	ours, err := tunnel.Open(t.Context(), a, !server, tunnel.Options{
		Signer: v.keys[0], Trusted: counts, Timing: tunnel.Timing{Timeout: timeout},
	})
	if err := errors.Join(err, <-opened); err != nil {
		t.Fatal(err)
	}
	return ours, liar
}

// sshTale is a lie told by means of SSH beside an honest conversation.
type sshTale struct {
	name   string
	config ssh.Config
	tell   func(l *bareSSH)
	want   string // "" is success
	// instead replaces the honest conversation.
	instead func(l *bareSSH)
}

// beside has a conversation with a peer whose SSH lies, and returns the outcome.
func (v *victims) beside(t *testing.T, lie sshTale, theirs *intake.Store, server bool, timeout time.Duration) (out outcome) {
	ours, liar := v.bare(t, lie.config, server, timeout)
	o := Options{
		Store: v.store, Direction: wire.Both, Secret: ours.SessionID(), Server: ours.Server, Agent: "victim", Timeout: timeout,
		Objects: func(context.Context) (*oid.List, error) { return v.list, nil }, Common: func(uint64) {}, Warn: func(string) {},
	}
	p := o
	p.Store, p.Objects, p.Secret, p.Server = theirs, nil, liar.SessionID(), !o.Server
	var talking sync.WaitGroup
	talking.Go(func() {
		if lie.instead != nil {
			lie.instead(liar)
			return
		}
		Run(t.Context(), liar.channel, p)
	})
	if lie.tell != nil {
		talking.Go(func() { lie.tell(liar) })
	}
	start := time.Now()
	_, err := Run(t.Context(), ours, o)
	out.err, out.took = err, time.Since(start)
	ours.Close()
	liar.Close()
	talking.Wait()
	if n := liar.kexes.Load(); lie.config.RekeyThreshold > 0 && n < 2 {
		t.Errorf("%d key exchanges", n)
	}
	return out
}

// testConn makes a pipe the net.Conn that x/crypto/ssh asks for.
type testConn struct{ io.ReadWriteCloser }

func (testConn) LocalAddr() net.Addr              { return &net.UnixAddr{} }
func (testConn) RemoteAddr() net.Addr             { return &net.UnixAddr{} }
func (testConn) SetDeadline(time.Time) error      { return nil }
func (testConn) SetReadDeadline(time.Time) error  { return nil }
func (testConn) SetWriteDeadline(time.Time) error { return nil }

// forever repeats something until it fails.
func forever(do func() error) {
	for do() == nil {
	}
}

// What a peer can do in SSH beside the one channel costs us little and disturbs nothing, in a bubble with a clock of its own;
// what ends or fills the channel ends the conversation.
func TestTortureLiarsSSH(t *testing.T) {
	large := []byte(strings.Repeat(esc, 2000))
	rejected := func(err error) error {
		if errors.As(err, new(*ssh.OpenChannelError)) {
			return nil
		}
		return err
	}
	lies := []sshTale{
		{name: "further channels", tell: func(l *bareSSH) {
			forever(func() error {
				_, _, err := l.OpenChannel(esc, large)
				return rejected(err)
			})
		}},
		{name: "global requests", tell: func(l *bareSSH) {
			forever(func() error {
				_, _, err := l.SendRequest(esc, true, large)
				return err
			})
		}},
		{name: "global requests that want no answer", tell: func(l *bareSSH) {
			forever(func() error {
				_, _, err := l.SendRequest(esc, false, large)
				return err
			})
		}},
		{name: "channel requests", tell: func(l *bareSSH) {
			forever(func() error {
				_, err := l.channel.SendRequest(esc, true, large)
				return err
			})
		}},
		{name: "signals and exit statuses", tell: func(l *bareSSH) {
			forever(func() error {
				_, err := l.channel.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
				if err == nil {
					_, err = l.channel.SendRequest("exit-signal", false, large)
				}
				return err
			})
		}},
		{name: "rekeying all the time", config: ssh.Config{RekeyThreshold: 256}, tell: func(l *bareSSH) { // the lowest there is
			forever(func() error {
				_, _, err := l.SendRequest(esc, true, nil)
				return err
			})
		}},
		{name: "extended data", tell: func(l *bareSSH) { io.Copy(l.channel.Stderr(), neverEnding{}) }},
		{name: "extended data in single bytes", tell: func(l *bareSSH) {
			forever(func() error {
				_, err := l.channel.Stderr().Write([]byte{0})
				return err
			})
		}},
		{name: "the end of the channel", instead: func(l *bareSSH) { l.channel.CloseWrite() }, want: "the pipe ended"},
		{name: "the channel closed", instead: func(l *bareSSH) { l.channel.Close() }, want: "the pipe ended"},
		{name: "the connection closed", instead: func(l *bareSSH) { l.Close() }, want: "the pipe ended"},
		{name: "nothing but extended data", instead: func(l *bareSSH) {
			forever(func() error {
				time.Sleep(time.Second)
				_, err := l.channel.Stderr().Write(make([]byte, 1<<20))
				return err
			})
		}, want: "nothing came from the peer for 1m0s"},
		{name: "nothing but channels, with pauses", instead: func(l *bareSSH) {
			forever(func() error {
				time.Sleep(time.Second)
				_, _, err := l.OpenChannel(esc, large)
				return rejected(err)
			})
		}, want: "nothing came from the peer for 1m0s"},
		{name: "nothing but requests, with pauses", instead: func(l *bareSSH) {
			forever(func() error {
				time.Sleep(time.Second)
				_, _, err := l.SendRequest(esc, true, large)
				return err
			})
		}, want: "nothing came from the peer for 1m0s"},
	}
	var all []outcome
	failed := 0
	for i, lie := range lies {
		ok := t.Run(lie.name, func(t *testing.T) {
			for _, server := range []bool{false, true}[:gittest.Rounds(1, 2)] {
				if i%2 > 0 {
					server = !server
				}
				v, them := newVictims(t, 3), newStock(t)
				store, err := intake.Open(t.Context(), git.Git{Dir: them.repo.Dir, Env: them.repo.Env})
				if err != nil {
					t.Fatal(err)
				}
				grown := peak(t)
				var out outcome
				synctest.Test(t, func(t *testing.T) { out = v.beside(t, lie, store, server, lieTimeout) })
				out.memory = grown()
				v.check(t, tale{want: lie.want, within: lieTimeout, stores: lie.want == ""}, out)
				if lie.want == "" && v.repo.Objects() != them.repo.Objects() {
					t.Error("the stores differ")
				}
				all = append(all, out)
			}
		})
		if !ok {
			failed++
		}
	}
	figures(t, "SSH's extras beside a conversation", all, failed)
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }
