package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/ssh"

	"aig/internal/command"
	"aig/internal/identity"
	"aig/internal/pairing"
	"aig/internal/ref"
	"aig/internal/screen"
	"aig/internal/session"
	"aig/internal/transport"
	"aig/internal/tunnel"
	"aig/internal/version"
)

// LinkOptions is what it takes to reach a peer.
type LinkOptions struct {
	Config            // of which Transport, Stdin, Stdout, Context, Wait, Timeout, Git and request count
	Signer ssh.Signer // our key
	Trust  identity.Trust
	// Screen gets each line of the transport's standard error, quoted. Said, if not nil, keeps a line from it by returning true.
	Screen io.Writer
	Said   func(line string) bool
	// Arrived is called when a peer has come, before it is authenticated.
	Arrived func()
}

// Link is an open transport, with or without a peer at its other end. It must be closed.
type Link struct {
	LinkOptions
	pipe   io.ReadWriteCloser
	shell  *transport.Transport   // nil for standard input and output
	exited func(code int)         // tells the trace that the transport has ended
	met    *tunnel.Conn           // the connection on which a pairing authenticated the peer
	known  bool                   // the peer's key is authenticated and trusted
	peer   ssh.PublicKey          // the peer's key
	last   atomic.Pointer[string] // the transport's last line, forgotten when a peer comes
}

// Open starts the transport.
func Open(ctx context.Context, o LinkOptions) (*Link, error) {
	if o.Transport == "-" {
		return &Link{LinkOptions: o, pipe: transport.Stdio(o.Stdin, o.Stdout)}, nil
	}
	// A `git -C ../other …` in the expression must find its own repository.
	env, err := o.Git.WithoutLocalEnv(ctx, o.Git.Env)
	if err != nil {
		return nil, err
	}
	l := &Link{LinkOptions: o, exited: o.Git.Trace.Child("transport", []string{"sh", "-c", o.Transport})}
	l.shell, err = transport.Start(transport.Options{
		Expression: o.Transport,
		Env:        slices.Concat(env, o.Git.Trace.Env(), o.request),
		Stderr: func(line string) {
			if words := strings.TrimSpace(line); words != "" && !pairing.IsToken(words) {
				l.last.Store(&words)
			}
			if o.Said == nil || !o.Said(line) {
				io.WriteString(o.Screen, transport.Shown(line))
			}
		},
	})
	if err != nil {
		return nil, err
	}
	l.pipe = l.shell
	return l, nil
}

// connect opens the link that c describes, with our key and the keys that the peer may have. See [Config.trusted] for
// remote and byGit.
func (c Config) connect(ctx context.Context, remote string, byGit bool, s *screen.Screen, arrived func()) (*Link, error) {
	trust, err := c.trusted(ctx, remote, byGit, s)
	if err != nil {
		return nil, err
	}
	signer, err := identity.Load(ctx, c.Identity, identity.AskPassphrase)
	if err != nil {
		return nil, err
	}
	link, err := Open(ctx, LinkOptions{
		Config: c, Signer: signer, Trust: trust, Screen: s,
		Said: c.tellToken(s, ssh.FingerprintSHA256(signer.PublicKey())), Arrived: arrived,
	})
	if err != nil {
		return nil, err
	}
	if s.IsTerminal() && link.trustsOwn() {
		fmt.Fprintf(s, "warning: %s\n", ownKeyTrusted)
	}
	return link, nil
}

// tellToken returns [LinkOptions.Said]: when a switchboard gives a token, it tells a person at a terminal what the other side
// has to type.
func (c Config) tellToken(s *screen.Screen, fingerprint string) func(line string) bool {
	request, isNew := strings.CutSuffix(c.Transport, "new")
	if !isNew || c.Quiet || !s.IsTerminal() {
		return nil
	}
	told := false
	return func(line string) bool {
		token := strings.TrimSpace(line)
		if told || !pairing.IsToken(token) {
			return false
		}
		told = true
		fmt.Fprintf(s, "%stell the other side: AIG_TRUST=%s git aig-sync %s\nwaiting for it …\n",
			transport.Shown(line), fingerprint, ref.Shell(request+token))
		return true
	}
}

// Meet waits for the peer and authenticates it by its key, or goes on with the one that a pairing met.
func (l *Link) Meet(ctx context.Context) (*tunnel.Conn, error) {
	if l.met != nil {
		return l.met, l.met.Next(ctx, tunnel.SyncChannel)
	}
	conn, err := l.meet(ctx, tunnel.Options{Trusted: l.Trust.Contains})
	l.known = err == nil
	return conn, err
}

func (l *Link) meet(ctx context.Context, o tunnel.Options) (*tunnel.Conn, error) {
	o.Timing = tunnel.Timing{Wait: max(l.Wait, 0), Timeout: l.Timeout}
	pipe, server, err := tunnel.Elect(ctx, l.pipe, o.Timing)
	if err != nil {
		return nil, err
	}
	if l.shell != nil {
		l.shell.TakeTerminal() // it may ask no more questions
	}
	l.last.Store(nil)
	if l.Arrived != nil {
		l.Arrived()
	}
	o.Signer = l.Signer
	return tunnel.Open(ctx, pipe, server, o)
}

// converse has the conversation with the peer. o holds what differs between the two commands.
func (l *Link) converse(ctx context.Context, o session.Options) (*session.Result, error) {
	conn, err := l.Meet(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	l.peer = conn.PeerKey
	o.Context, o.Timeout = l.Context, l.Timeout
	o.Secret, o.Server = conn.SessionID(), conn.Server
	o.Agent = "aig/" + version.Version
	o.Warn = func(line string) { fmt.Fprintf(l.Screen, "warning: %s\n", command.OneLine(line)) }
	return session.Run(ctx, conn, o)
}

// Close ends the transport, gently before hard.
func (l *Link) Close() error {
	err := l.pipe.Close()
	if l.shell != nil {
		l.exited(-1) // how it ended no longer matters
	}
	return err
}

// ownKeyTrusted is said while no peer is authenticated: a user who mixes up the two fingerprints waits in vain.
const ownKeyTrusted = "the key that you trust is your own"

// trustsOwn returns whether we trust our own key, which is right if both sides share a key.
func (l *Link) trustsOwn() bool { return l.Trust.Contains(l.Signer.PublicKey()) }

// Explain adds to an error what a user needs to understand it.
func (l *Link) Explain(err error) error {
	err = l.explain(err)
	if err == nil || l.known || !l.trustsOwn() || errors.As(err, new(command.SignalError)) {
		return err
	}
	return fmt.Errorf("%w (%s)", err, ownKeyTrusted)
}

// explain adds how the transport ended, or which settings limit the wait.
func (l *Link) explain(err error) error {
	if errors.Is(err, tunnel.ErrWait) {
		return fmt.Errorf("%w: remote.<name>.aigWait or aig.wait says how long to wait, and --wait of git aig-sync", err)
	}
	ended := errors.Is(err, tunnel.ErrNoPeer) || errors.Is(err, io.ErrUnexpectedEOF)
	if !ended || l.shell == nil {
		return err
	}
	status, ok := l.shell.Ended() // it has closed its output, so this is due soon
	switch {
	case l.shell.Interrupted():
		return command.SignalError{Signal: os.Interrupt}
	case !ok:
		return err
	}
	if words := l.last.Load(); words != nil {
		status += fmt.Sprintf(": %.200q", *words)
	}
	if errors.Is(err, tunnel.ErrNoPeer) {
		return fmt.Errorf("the transport ended before a peer came, with %s", status)
	}
	return fmt.Errorf("%w (the transport ended with %s)", err, status)
}
