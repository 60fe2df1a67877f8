package sshguard

import "golang.org/x/crypto/ssh"

// Config returns the algorithms to offer: those that x/crypto/ssh holds secure, as its own default has weaker ones. Key
// exchanges are left out that [FirstKeys] doesn't know, as they take more than one round trip, and those in which a client can make
// the server reckon for milliseconds without reckoning itself.
func Config() ssh.Config {
	secure := ssh.SupportedAlgorithms()
	return ssh.Config{
		KeyExchanges: []string{
			ssh.KeyExchangeMLKEM768X25519, ssh.KeyExchangeCurve25519,
			ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384,
		},
		Ciphers: secure.Ciphers,
		MACs:    secure.MACs,
	}
}
