package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"aig/internal/ref"
)

const (
	// listTimeout is how long the agent may take to list its keys.
	listTimeout = 10 * time.Second
	// signTimeout is how long it may take to sign: enough for a user to confirm (ssh-add -c).
	signTimeout = time.Minute
)

// askAgent asks the SSH agent (draft-ietf-sshm-ssh-agent) that SSH_AUTH_SOCK names, within the timeout. Each request has a
// connection of its own, so that a failed one can't spoil the next.
func askAgent(ctx context.Context, timeout time.Duration, request func(agent.ExtendedAgent) error) error {
	socket := os.Getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return errors.New("none is running (SSH_AUTH_SOCK is not set; IdentityAgent of ssh_config isn't read)")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer in %v", timeout))
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		if where, ok := errors.AsType[*net.OpError](err); ok {
			err = where.Err
		}
		return fmt.Errorf("none answers at SSH_AUTH_SOCK=%s: %w", ref.Show(socket), err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	// Given a Closer, the client would read in a goroutine of its own.
	err = request(agent.NewClient(struct{ io.ReadWriter }{conn}))
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

var errManyKeys = errors.New("the SSH agent holds several keys: choose one with --identity, AIG_IDENTITY or aig.identity")

// fromAgent returns the agent's key with that fingerprint or, if that is empty, the only key that can be used.
func fromAgent(ctx context.Context, fingerprint string) (*keyFile, error) {
	var keys []*agent.Key
	err := askAgent(ctx, listTimeout, func(client agent.ExtendedAgent) (err error) {
		keys, err = client.List()
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case len(keys) == 0: // a locked agent answers as an empty one does
		return nil, errors.New("it holds no key (ssh-add adds one), or it is locked (ssh-add -X unlocks it)")
	}
	why := errors.New("one is of an unknown kind")
	var usable []*keyFile
	var named []string
	for _, key := range keys {
		public, err := ssh.ParsePublicKey(key.Blob)
		name := ssh.FingerprintSHA256(key)
		if err != nil || fingerprint != "" && fingerprint != name {
			continue
		}
		if err := CheckKey(public); err != nil {
			why = fmt.Errorf("one %w", err)
			continue
		}
		usable = append(usable, &keyFile{public: public, publicName: name})
		named = append(named, name+" ("+ref.Show(key.Comment)+")")
	}
	switch {
	case len(usable) > 1:
		return nil, fmt.Errorf("%w: %s", errManyKeys, strings.Join(named, ", "))
	case len(usable) == 1:
		return usable[0], nil
	case fingerprint != "":
		return nil, fmt.Errorf("it doesn't hold %s: ssh-add the private key", ref.Show(fingerprint))
	}
	return nil, fmt.Errorf("none of its keys can be used; %w", why)
}

// agentSigner has the agent sign. It keeps Load's context, since an [ssh.Signer] gets none.
type agentSigner struct {
	ctx context.Context
	key ssh.PublicKey
}

func (s *agentSigner) PublicKey() ssh.PublicKey { return s.key }

func (s *agentSigner) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	names, err := algorithms(s.key)
	if err != nil {
		return nil, err
	}
	return s.SignWithAlgorithm(rand, data, names[0])
}

func (s *agentSigner) SignWithAlgorithm(_ io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	var flags agent.SignatureFlags
	switch algorithm {
	case ssh.KeyAlgoRSASHA512:
		flags = agent.SignatureFlagRsaSha512
	case ssh.KeyAlgoRSASHA256:
		flags = agent.SignatureFlagRsaSha256
	}
	var signature *ssh.Signature
	err := askAgent(s.ctx, signTimeout, func(client agent.ExtendedAgent) (err error) {
		signature, err = client.SignWithFlags(s.key, data, flags)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the SSH agent doesn't sign with our key: %w", err)
	}
	// An old agent ignores the flags.
	if signature.Format != algorithm {
		return nil, fmt.Errorf("the SSH agent signed with %q instead of %s", signature.Format, algorithm)
	}
	return signature, nil
}
