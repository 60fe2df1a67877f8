package pairing

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
)

// Secret is what the two sides of a pair share from then on, with the letter of our side. It grants no access: it only says
// where the two meet.
type Secret struct {
	letter byte // 'a' for the side that invited, 'b' for the one that accepted
	bytes  [sha256.Size]byte
}

// newSecret derives the secret from the key of a finished exchange (HKDF, RFC 5869).
func newSecret(isk []byte, side Side) Secret {
	b, err := hkdf.Key(sha256.New, isk, nil, "aig pairing "+version+" secret", sha256.Size)
	if err != nil {
		panic(err) // can't happen: HKDF allows this length
	}
	s := Secret{'a', [sha256.Size]byte(b)}
	if side == Accept {
		s.letter = 'b'
	}
	return s
}

// String returns the secret as stored in the configuration: the letter, a colon and 64 hexadecimal digits.
func (s Secret) String() string { return string(s.letter) + ":" + hex.EncodeToString(s.bytes[:]) }

// ParseSecret parses what String returns.
func ParseSecret(text string) (Secret, error) {
	letter, digits, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(digits)
	if letter != "a" && letter != "b" || err != nil || len(b) != sha256.Size {
		return Secret{}, errors.New("it isn't a or b, a colon and 64 hexadecimal digits: pair again")
	}
	return Secret{letter[0], [sha256.Size]byte(b)}, nil
}

// Meeting returns the arguments of a switchboard's command meet: a name of 128 bits that nobody else can know, and our letter.
// Another context gives another name, so that repositories that have nothing in common never meet.
func (s Secret) Meeting(context string) string {
	mac := hmac.New(sha256.New, s.bytes[:])
	mac.Write([]byte("aig meeting " + version + "\x00" + context))
	return hex.EncodeToString(mac.Sum(nil)[:16]) + " " + string(s.letter)
}
