package pairing

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"unicode"
)

// Code is what one person reads out to the other: a switchboard's token, which is not secret, and a secret of six digits.
type Code struct {
	Token  string // lower-case hexadecimal; "" if the transport needs none
	Secret string // secretDigits decimal digits
}

const secretDigits = 6

// NewSecret returns random digits, uniformly distributed.
func NewSecret() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%0*d", secretDigits, n), nil
}

// String returns the code in the groups in which it is read out: 17e58-204-6173, where the last digit is the check digit.
func (c Code) String() string {
	groups := []string{c.Secret[:3], c.Secret[3:] + string(checkDigit(c.Secret))}
	if c.Token != "" {
		groups = append([]string{c.Token}, groups...)
	}
	return strings.Join(groups, "-")
}

// IsToken reports whether a line is a switchboard's token, and nothing else.
func IsToken(line string) bool { return tokenForm.MatchString(line) }

var (
	tokenForm = regexp.MustCompile(`^[0-9a-f]{5,16}$`)
	codeForm  = regexp.MustCompile(`^([0-9a-f]{5,16})?([0-9]{6})([0-9])$`)
)

// ParseCode parses a code as people type it: blanks, dashes and capitals don't matter. Its check digit reveals a typing error in
// the secret before the token is spent.
func ParseCode(typed string) (Code, error) {
	packed := strings.Map(func(r rune) rune {
		if r == '-' || unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, typed)
	m := codeForm.FindStringSubmatch(packed)
	switch {
	case packed == "":
		return Code{}, errors.New("the code is empty")
	case m == nil:
		return Code{}, fmt.Errorf("%.40q is not a code: one looks like 17e58-204-6173", typed)
	case m[3][0] != checkDigit(m[2]):
		return Code{}, fmt.Errorf("%.40q has a typo in its last seven digits: read it again", typed)
	}
	return Code{Token: m[1], Secret: m[2]}, nil
}

// damm is a totally anti-symmetric quasigroup of order ten (H. M. Damm, 2004), which detects every wrong digit and every swap of
// neighbours.
const damm = "" +
	"0317598642" +
	"7092154863" +
	"4206871359" +
	"1750983426" +
	"6123045978" +
	"3674209581" +
	"5869720134" +
	"8945362017" +
	"9438617205" +
	"2581436790"

func checkDigit(digits string) byte {
	state := byte('0')
	for _, d := range []byte(digits) {
		state = damm[10*int(state-'0')+int(d-'0')]
	}
	return state
}
