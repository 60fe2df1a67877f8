package sshguard

import "golang.org/x/crypto/ssh"

// Config returns the algorithms to offer: those that x/crypto/ssh considers secure, as its default includes weaker ones. It leaves
// out finite-field key exchanges, in which a client can make the server compute for milliseconds at no cost to itself.
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
