package cluster

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"golang.org/x/crypto/chacha20poly1305"

	"aig/internal/switchboard"
)

// seal keeps from NATS what it must not know: subjects are HMACs of names, and messages are encrypted, each bound to its subject.
// The subject of a look-up's answer is used once.
type seal struct {
	names []byte
	box   cipher.AEAD
}

func newSeal(key []byte) (*seal, error) {
	names, err := hkdf.Key(sha256.New, key, nil, "names", sha256.Size)
	if err != nil {
		return nil, err
	}
	messages, err := hkdf.Key(sha256.New, key, nil, "messages", chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	box, err := chacha20poly1305.NewX(messages)
	return &seal{names, box}, err
}

// subject returns the subject of a name.
func (s *seal) subject(name string) string {
	mac := hmac.New(sha256.New, s.names)
	mac.Write([]byte(name))
	return "aig-" + hex.EncodeToString(mac.Sum(nil)[:20])
}

// of returns the subject of a side that waits under key.
func (s *seal) of(key switchboard.Key) string {
	if key.Letter == "" {
		return s.subject("token " + key.Name)
	}
	return s.subject("meet " + key.Name + " " + key.Letter)
}

// close encrypts a message: a random nonce of 24 bytes, long enough not to repeat, then its JSON sealed with XChaCha20-Poly1305.
func (s *seal) close(subject string, m message) []byte {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // it has only strings and integers
	}
	nonce := make([]byte, s.box.NonceSize(), s.box.NonceSize()+len(text)+s.box.Overhead())
	rand.Read(nonce)
	return s.box.Seal(nonce, nonce, text, []byte(subject))
}

// open decrypts a message, and reports whether it comes from one of our nodes.
func (s *seal) open(subject string, data []byte) (m message, ok bool) {
	if len(data) < s.box.NonceSize() {
		return m, false
	}
	text, err := s.box.Open(nil, data[:s.box.NonceSize()], data[s.box.NonceSize():], []byte(subject))
	return m, err == nil && json.Unmarshal(text, &m) == nil
}
