package tunnel

import (
	"errors"
	"io"
	"testing"

	"golang.org/x/crypto/ssh"

	"aig/internal/gittest"
)

// asker has a public key but not the private one, and notes that a server wants it to sign.
type asker struct {
	key   ssh.PublicKey
	asked bool
}

func (a *asker) PublicKey() ssh.PublicKey { return a.key }

func (a *asker) Sign(io.Reader, []byte) (*ssh.Signature, error) {
	a.asked = true
	return nil, errors.New("no private key")
}

// Who asks the SSH server about public keys, without proof of having them, hears the same about one that is trusted and any
// other.
func TestAskerLearnsNothing(t *testing.T) {
	trusted, other := signer(t, "ed25519"), signer(t, "ed25519")
	for _, key := range []ssh.Signer{trusted, other} {
		ours, theirs := gittest.Loopback(t)
		ended := make(chan error, 1)
		go func() {
			_, err := Open(t.Context(), ours, Server, Options{signer(t, "ed25519"), trusts(trusted), timing})
			ended <- err
		}()
		a := &asker{key: key.PublicKey()}
		_, _, _, err := ssh.NewClientConn(testConn{theirs}, "", &ssh.ClientConfig{
			User: "aig", Auth: []ssh.AuthMethod{ssh.PublicKeys(a)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		})
		theirs.Close()
		if err == nil || !a.asked {
			t.Errorf("trusted %v: not asked to sign (%v)", key == trusted, err)
		}
		if err := <-ended; err == nil || errors.As(err, new(*UntrustedError)) {
			t.Errorf("trusted %v: our side, which has seen no proof of any key: %v", key == trusted, err)
		}
	}
}
