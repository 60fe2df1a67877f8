package tunnel

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"aig/internal/gittest"
)

// asker has a public key but not the private one, and notes whether a server wants it to sign.
type asker struct {
	key   ssh.PublicKey
	asked bool
}

func (a *asker) PublicKey() ssh.PublicKey { return a.key }

func (a *asker) Sign(io.Reader, []byte) (*ssh.Signature, error) {
	a.asked = true
	return nil, errors.New("no private key")
}

// A client that asks the SSH server about public keys without proving possession hears the same about a trusted one as about
// any other.
func TestAskerLearnsNothing(t *testing.T) {
	trusted, other := signer(t, "ed25519"), signer(t, "ed25519")
	for _, key := range []ssh.Signer{trusted, other} {
		ours, theirs := gittest.Loopback(t)
		ended := make(chan error, 1)
		go func() {
			_, err := Open(t.Context(), ours, true, Options{Signer: signer(t, "ed25519"), Trusted: trusts(trusted), Timing: timing})
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
		if err := <-ended; err == nil || strings.Contains(err.Error(), "trusted") {
			t.Errorf("trusted %v: our side, which has seen no proof of any key: %v", key == trusted, err)
		}
	}
}

// rsaKey returns an RSA key that signs with one algorithm only.
func rsaKey(t *testing.T, bits int, algorithm string) ssh.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s, err = ssh.NewSignerWithAlgorithms(s.(ssh.AlgorithmSigner), []string{algorithm})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A peer whose key or signature is weak is refused, as host key and as user key, although we were told to trust it.
// The last two are not weak: they show that the others are refused for nothing else.
func TestWeakKeys(t *testing.T) {
	for _, test := range []struct {
		name string
		key  ssh.Signer
		want string // part of our error; "" if there is none
	}{
		{"RSA of 1024 bits", rsaKey(t, 1024, ssh.KeyAlgoRSASHA256), "is an RSA key of 1024 bits, and 2048 is the least"},
		{"RSA with SHA-1", rsaKey(t, 2048, ssh.KeyAlgoRSA), "SSH handshake"},
		{"RSA with SHA-256", rsaKey(t, 2048, ssh.KeyAlgoRSASHA256), ""},
		{"Ed25519", signer(t, "ed25519"), ""},
	} {
		for _, server := range []bool{false, true} {
			ours, theirs := gittest.Loopback(t)
			ourKey := signer(t, "ed25519")
			told := make(chan struct{})
			go func() { // the peer, with any algorithm that there is
				defer close(told)
				insecure, supported := ssh.InsecureAlgorithms(), ssh.SupportedAlgorithms()
				if server {
					conn, chans, requests, err := ssh.NewClientConn(testConn{theirs}, "", &ssh.ClientConfig{
						User: "aig", Auth: []ssh.AuthMethod{ssh.PublicKeys(test.key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
					})
					if err == nil {
						go ssh.DiscardRequests(requests)
						go rejectAll(chans)
						conn.OpenChannel(SyncChannel, nil)
						conn.Wait()
					}
					return
				}
				config := &ssh.ServerConfig{
					PublicKeyCallback:       func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil },
					PublicKeyAuthAlgorithms: append(insecure.PublicKeyAuths, supported.PublicKeyAuths...),
				}
				config.AddHostKey(test.key)
				conn, chans, requests, err := ssh.NewServerConn(testConn{theirs}, config)
				if err == nil {
					go ssh.DiscardRequests(requests)
					go func() {
						for channel := range chans {
							channel.Accept()
						}
					}()
					conn.Wait()
				}
			}()
			conn, err := Open(t.Context(), ours, server, Options{Signer: ourKey, Trusted: trusts(test.key), Timing: timing})
			if err == nil {
				conn.Close()
			}
			theirs.Close()
			<-told
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s, we are server %v: %v, want %q", test.name, server, err, test.want)
			}
		}
	}
}

// In either role we offer only what x/crypto/ssh considers secure, and all that docs/protocol.md requires of everybody.
func TestOffer(t *testing.T) {
	supported := ssh.SupportedAlgorithms()
	for _, server := range []bool{false, true} {
		ours, theirs := gittest.Loopback(t)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			Open(t.Context(), ours, server, Options{Signer: rsaKey(t, 2048, ssh.KeyAlgoRSASHA512), Trusted: trusts(signer(t, "ed25519")), Timing: timing})
		}()
		io.WriteString(theirs, "SSH-2.0-x\r\n")
		r := bufio.NewReader(theirs)
		var header [5]byte // RFC 4253, section 6
		_, err := r.ReadString('\n')
		if err == nil {
			_, err = io.ReadFull(r, header[:])
		}
		packet := make([]byte, binary.BigEndian.Uint32(header[:])-1)
		if err == nil {
			_, err = io.ReadFull(r, packet)
		}
		theirs.Close()
		<-ended
		var offer struct { // RFC 4253, section 7.1
			Cookie                                           [16]byte `sshtype:"20"`
			KeyExchanges, HostKeys, CiphersOut, CiphersIn    []string
			MACsOut, MACsIn, CompressionsOut, CompressionsIn []string
			Rest                                             []byte `ssh:"rest"`
		}
		if err != nil || ssh.Unmarshal(packet, &offer) != nil {
			t.Fatalf("as server %v: no offer: %v", server, err)
		}
		for _, kind := range []struct {
			name             string
			offered, allowed []string
			must             string
		}{
			{"key exchange", offer.KeyExchanges, append(supported.KeyExchanges, "curve25519-sha256@libssh.org"), "curve25519-sha256"}, // and its older name
			{"host key", offer.HostKeys, append(supported.HostKeys, supported.PublicKeyAuths...), ""},
			{"cipher", append(offer.CiphersOut, offer.CiphersIn...), supported.Ciphers, "aes128-gcm@openssh.com"},
			{"MAC", append(offer.MACsOut, offer.MACsIn...), supported.MACs, ""},
		} {
			if kind.must != "" && !slices.Contains(kind.offered, kind.must) {
				t.Errorf("as server %v: no %s %s", server, kind.name, kind.must)
			}
			for _, name := range kind.offered {
				extension := strings.HasPrefix(name, "ext-info-") || strings.HasPrefix(name, "kex-strict-") // RFC 8308; Terrapin
				if !extension && !slices.Contains(kind.allowed, name) {
					t.Errorf("as server %v: %s %s", server, kind.name, name)
				}
			}
		}
	}
}

// rejectAll refuses every channel.
func rejectAll(chans <-chan ssh.NewChannel) {
	for newChannel := range chans {
		newChannel.Reject(ssh.Prohibited, "")
	}
}
