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

// seal keeps from NATS what it must not know: subjects are HMACs of names, and messages are encrypted, each for its subject. An
// answer's subject is used once.
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

// of returns the subject of a side that waits.
func (s *seal) of(key switchboard.Key) string {
	if key.Letter == "" {
		return s.subject("token " + key.Name)
	}
	return s.subject("meet " + key.Name + " " + key.Letter)
}

// close encrypts a message: a nonce of 24 bytes, which may be random, and what XChaCha20-Poly1305 makes of JSON.
func (s *seal) close(subject string, m message) []byte {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // there is nothing in it that JSON lacks
	}
	nonce := make([]byte, s.box.NonceSize(), s.box.NonceSize()+len(text)+s.box.Overhead())
	rand.Read(nonce)
	return s.box.Seal(nonce, nonce, text, []byte(subject))
}

// open decrypts a message, if it is one of a node of ours.
func (s *seal) open(subject string, data []byte) (m message, ok bool) {
	if len(data) < s.box.NonceSize() {
		return m, false
	}
	text, err := s.box.Open(nil, data[:s.box.NonceSize()], data[s.box.NonceSize():], []byte(subject))
	return m, err == nil && json.Unmarshal(text, &m) == nil
}
