package identity

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// minRSABits is the least size of an RSA modulus. A smaller one may be within
// somebody's reach.
const minRSABits = 2048

var errDSA = errors.New("is a DSA key, which nobody should trust: ssh-keygen -t ed25519 makes a better one")

// CheckKey returns why a key can't be used, ours or the peer's, or nil if it can.
func CheckKey(key ssh.PublicKey) error {
	_, err := algorithms(key)
	return err
}

// algorithms returns the signature algorithms to use with a key, the best first
// (RFC 5656, 8332, 8709), or why it can't be used.
func algorithms(key ssh.PublicKey) ([]string, error) {
	if _, ok := key.(*ssh.Certificate); ok {
		return nil, errors.New("is a certificate, which has no use here: give the key itself")
	}
	switch kind := key.Type(); kind {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		return []string{kind}, nil
	case ssh.KeyAlgoRSA:
		public, ok := key.(ssh.CryptoPublicKey)
		if !ok {
			return nil, errors.New("is an RSA key of unknown size")
		}
		if n := public.CryptoPublicKey().(*rsa.PublicKey).N.BitLen(); n < minRSABits {
			return nil, fmt.Errorf("is an RSA key of %d bits, and %d is the least: ssh-keygen -t ed25519 makes a better one",
				n, minRSABits)
		}
		// Not ssh-rsa, whose SHA-1 can be forged.
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}, nil
	case "ssh-dss":
		return nil, errDSA
	default:
		if strings.HasPrefix(kind, "sk-") {
			return nil, fmt.Errorf("is a key on a security token (%s), which can't be used here: "+
				"ssh-keygen -t ed25519 makes one that can", kind)
		}
		return nil, fmt.Errorf("is a key of an unknown kind, %q", kind)
	}
}

// restrict returns a signer that uses only the algorithms of its key.
func restrict(signer ssh.AlgorithmSigner) (ssh.Signer, error) {
	names, err := algorithms(signer.PublicKey())
	if err != nil {
		return nil, err
	}
	return ssh.NewSignerWithAlgorithms(signer, names)
}

// quote returns a file's name fit for the terminal, whatever is in it.
func quote(name string) string {
	if quoted := strconv.Quote(name); quoted[1:len(quoted)-1] != name {
		return quoted
	}
	return name
}
