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
)

const (
	// listTimeout is how long the agent may take to list its keys.
	listTimeout = 10 * time.Second
	// signTimeout is how long it may take to sign: enough for a user to confirm (ssh-add -c).
	signTimeout = time.Minute
)

// sshAgent is the SSH agent (draft-ietf-sshm-ssh-agent). Each request has its own connection, so that a failed one can't
// spoil the next.
type sshAgent struct {
	socket string // empty: there is none
}

// environmentAgent returns the agent that SSH_AUTH_SOCK names.
func environmentAgent() sshAgent { return sshAgent{os.Getenv("SSH_AUTH_SOCK")} }

// do runs request on a connection of its own, within the timeout.
func (a sshAgent) do(ctx context.Context, timeout time.Duration, request func(agent.ExtendedAgent) error) error {
	if a.socket == "" {
		return errors.New("none is running (SSH_AUTH_SOCK is not set; IdentityAgent of ssh_config isn't read)")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer in %v", timeout))
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", a.socket)
	if err != nil {
		var where *net.OpError
		if errors.As(err, &where) {
			err = where.Err
		}
		return fmt.Errorf("none answers at SSH_AUTH_SOCK=%s: %w", quote(a.socket), err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	// A client that could close the connection would read it in a goroutine.
	err = request(agent.NewClient(struct{ io.ReadWriter }{conn}))
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// agentKey is a key that the agent holds.
type agentKey struct {
	ssh.PublicKey
	Comment string
}

// list returns those of the agent's keys that can be parsed.
func (a sshAgent) list(ctx context.Context) (keys []agentKey, err error) {
	err = a.do(ctx, listTimeout, func(client agent.ExtendedAgent) error {
		entries, err := client.List()
		for _, entry := range entries {
			if key, err := ssh.ParsePublicKey(entry.Blob); err == nil {
				keys = append(keys, agentKey{key, entry.Comment})
			}
		}
		if err == nil && len(entries) == 0 {
			// A locked agent answers as an empty one does.
			return errors.New("it holds no key (ssh-add adds one), or it is locked (ssh-add -X unlocks it)")
		}
		return err
	})
	return keys, err
}

// manyKeysError says that the agent holds several keys, and which.
type manyKeysError struct{ keys []string }

func (e *manyKeysError) Error() string {
	return "the SSH agent holds several keys: choose one with --identity, AIG_IDENTITY or aig.identity: " + strings.Join(e.keys, ", ")
}

// choose returns the agent's key of that fingerprint; if that is empty, the only one that can be used.
func (a sshAgent) choose(ctx context.Context, fingerprint string) (*keyFile, error) {
	keys, err := a.list(ctx)
	if err != nil {
		return nil, err
	}
	why := errors.New("one is of an unknown kind")
	var usable []*keyFile
	var named []string
	for _, key := range keys {
		name := ssh.FingerprintSHA256(key)
		if fingerprint != "" && fingerprint != name {
			continue
		}
		if err := CheckKey(key.PublicKey); err != nil {
			why = fmt.Errorf("one %w", err)
			continue
		}
		usable = append(usable, &keyFile{public: key.PublicKey, publicName: name})
		named = append(named, name+" ("+quote(key.Comment)+")")
	}
	switch {
	case len(usable) > 1:
		return nil, &manyKeysError{named}
	case len(usable) == 1:
		return usable[0], nil
	case fingerprint != "":
		return nil, fmt.Errorf("it doesn't hold %s: ssh-add the private key", quote(fingerprint))
	}
	return nil, fmt.Errorf("none of its keys can be used; %w", why)
}

// signer returns a signer with one of the agent's keys, for as long as ctx lasts.
func (a sshAgent) signer(ctx context.Context, key ssh.PublicKey) (ssh.Signer, error) {
	return Restrict(&agentSigner{ctx, a, key})
}

// agentSigner has the agent sign. It keeps Load's context, since an [ssh.Signer] gets none.
type agentSigner struct {
	ctx   context.Context
	agent sshAgent
	key   ssh.PublicKey
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
	err := s.agent.do(s.ctx, signTimeout, func(client agent.ExtendedAgent) (err error) {
		signature, err = client.SignWithFlags(s.key, data, flags)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the SSH agent doesn't sign with our key: %w", err)
	}
	// An old agent ignores the flags.
	if signature.Format != algorithm {
		return nil, fmt.Errorf("the SSH agent signed by %q where %s was asked for", signature.Format, algorithm)
	}
	return signature, nil
}
