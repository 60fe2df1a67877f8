package app

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/term"

	"aig/internal/identity"
	"aig/internal/intake"
	"aig/internal/pairing"
	"aig/internal/ref"
	"aig/internal/tunnel"
)

// PairOptions is what the user says of a pairing besides Config. An empty Config.Transport means that of aig.switchboard.
type PairOptions struct {
	Side    pairing.Side
	Name    string // of the remote that stands for the peer from then on
	Alone   bool   // the code is the secret alone: the transport needs no token
	Replace bool   // an existing remote of that name is replaced
	Global  bool   // the remote is written to the user's configuration, not to the repository's
	NoSync  bool   // no sync follows
}

// Pair makes the peer a remote, by a code that one of the two reads out to the other, and then synchronises with it over the
// same connection.
func Pair(ctx context.Context, c Config, o PairOptions) error {
	p := &pairer{PairOptions: o, run: newRun(c)}
	p.remote = &remoteConfig{git: p.Git, name: o.Name, global: o.Global}
	if err := p.prepare(ctx); err != nil {
		return err
	}
	signer, err := identity.Load(ctx, p.Identity, identity.AskPassphrase)
	if err != nil {
		return err
	}
	code, err := p.code(ctx)
	if err != nil {
		return err
	}
	link, err := p.open(ctx, signer, code)
	if err != nil {
		return err
	}
	defer link.Close()
	return link.Explain(p.meet(ctx, link, code))
}

type pairer struct {
	PairOptions
	*run
	remote *remoteConfig
}

// prepare reports beforehand whatever would make the pairing fail in the end, and takes the snapshot.
func (p *pairer) prepare(ctx context.Context) error {
	if err := p.completeSync(ctx, ""); err != nil {
		return err
	}
	// git remote add requires the same.
	if !ref.IsName("refs/remotes/"+p.Name+"/test") || strings.HasPrefix(p.Name, "-") {
		return fmt.Errorf("%q can't be the name of a remote: git allows no - at the beginning, no spaces, control characters, ~^:?*[\\, .. or @{, "+
			"and no part between slashes that is empty, begins with a full stop or ends with .lock", p.Name)
	}
	if !p.NoSync || !p.Global {
		var err error
		if p.store, err = intake.Open(ctx, p.Git); err != nil {
			return err
		}
	}
	if err := p.remote.free(ctx, p.Replace); err != nil {
		return err
	}
	if p.Transport == "" {
		var err error
		if p.Transport, _, err = p.Git.Config(ctx, "aig.switchboard", ""); err != nil {
			return err
		}
	}
	switch p.Transport {
	case "":
		return fmt.Errorf("there is no transport: git aig-sync %s %s <transport>, or set aig.switchboard to one", p.Side, p.Name)
	case "-":
		return errors.New("can't pair over -, standard input and output: a later sync by name would have no transport to start")
	}
	if p.NoSync {
		return nil
	}
	return p.takeSnapshot(ctx)
}

// code makes the code, or asks for it before the transport starts: afterwards the terminal is the transport's.
func (p *pairer) code(ctx context.Context) (pairing.Code, error) {
	if p.Side == pairing.Invite {
		secret, err := pairing.NewSecret()
		return pairing.Code{Secret: secret}, err
	}
	typed, err := p.typed(ctx)
	if err != nil {
		return pairing.Code{}, err
	}
	code, err := pairing.ParseCode(typed)
	switch {
	case err != nil:
		return code, err
	case p.Alone && code.Token != "":
		return code, errors.New("that code has a token in front: leave out --code")
	case code.Token == "":
		p.Alone = true
	}
	return code, nil
}

// typed returns the code that the user gives in AIG_CODE, on standard input, or else on the terminal. Never on the command
// line, which every user of the machine can read.
func (p *pairer) typed(ctx context.Context) (string, error) {
	if code := p.getenv("AIG_CODE"); code != "" {
		return code, nil
	}
	if !term.IsTerminal(int(p.Stdin.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(p.Stdin, 1<<10)).ReadString('\n')
		if line = strings.TrimSpace(line); line != "" || err != nil && err != io.EOF {
			return line, err
		}
	}
	typed, err := identity.AskLine(ctx, fmt.Sprintf("code from %s: ", p.Name))
	if errors.Is(err, identity.ErrNoTerminal) {
		err = errors.New("there is no terminal to ask for the code on: set AIG_CODE, or give it on standard input")
	}
	return typed, err
}

// open starts the transport and tells it what to ask a switchboard for.
func (p *pairer) open(ctx context.Context, signer ssh.Signer, code pairing.Code) (*Link, error) {
	o := LinkOptions{Config: p.Config, Signer: signer, Screen: p.screen}
	if !p.NoSync {
		o.Arrived = func() { p.arrived(ctx) }
	}
	tell := sync.OnceFunc(func() {
		fmt.Fprintf(p.screen, "tell %s this code: %s\nwaiting for %s …\n", p.Name, code, p.Name)
	})
	request := cmp.Or(code.Token, "new")
	switch {
	case p.Alone && p.Side == pairing.Invite:
		tell()
	case p.Side == pairing.Invite:
		o.Said = func(line string) bool {
			line = strings.TrimSpace(line)
			if !pairing.IsToken(line) {
				return false
			}
			code.Token = line
			tell()
			return true
		}
	}
	switch {
	case p.Alone:
		request = ""
	case !strings.Contains(o.Transport, "AIG_REQUEST"):
		o.Transport += " $AIG_REQUEST"
	}
	o.request = []string{"AIG_REQUEST=" + request}
	return Open(ctx, o)
}

// meet pairs with whoever comes, and goes on to the sync.
func (p *pairer) meet(ctx context.Context, link *Link, code pairing.Code) error {
	defer p.run.end()
	conn, err := link.meet(ctx, tunnel.Options{Trusted: tunnel.AnyKey, Channel: tunnel.PairChannel})
	if err != nil {
		return err
	}
	peer, err := p.pair(ctx, conn, code)
	if err != nil {
		conn.Close()
		return err
	}
	link.met = conn
	shown := ssh.FingerprintSHA256(conn.PeerKey)
	if peer.Name != "" {
		shown += fmt.Sprintf(", %q", peer.Name)
	}
	fmt.Fprintf(p.screen, "paired with %s (%s): from now on, git aig-sync %s\n", p.Name, shown, ref.Quote(p.Name))
	if !peer.Sync {
		return conn.Close()
	}
	return p.run.sync(ctx, link)
}

func (p *pairer) pair(ctx context.Context, conn *tunnel.Conn, code pairing.Code) (pairing.Peer, error) {
	name, _, err := p.Git.Config(ctx, "user.name", "")
	if err != nil {
		return pairing.Peer{}, err
	}
	// Each side answers at once: if one doesn't, the link is lost.
	late := time.AfterFunc(p.Timeout, func() { conn.Close() })
	peer, err := pairing.Run(conn, pairing.Options{
		Side: p.Side, Secret: code.Secret, Initiator: conn.Server,
		SessionID: conn.SessionID(), OwnKey: conn.OwnKey.Marshal(), PeerKey: conn.PeerKey.Marshal(),
		Name: name, Sync: !p.NoSync,
		Keep: func(s pairing.Secret) error {
			return p.remote.write(ctx, p.Transport, p.Alone, ssh.FingerprintSHA256(conn.PeerKey), s)
		},
		Undo: func() error { return p.remote.undo(ctx) },
	})
	switch {
	case !late.Stop() && err != nil:
		return peer, fmt.Errorf("the pairing was not over after %s: the link or the other side is stuck", p.Timeout)
	case err == nil:
		err = p.remote.settle(ctx)
	}
	return peer, err
}
