package switchboard

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Bounds of a token, in hexadecimal digits.
const (
	minTokenDigits = 5
	maxTokenDigits = 16
)

// Bounds of a meeting name, in hexadecimal digits: nobody guesses 128 bits.
const (
	minNameDigits = 32
	maxNameDigits = 64
)

// maxExec bounds the requested command, in bytes. Nothing longer can be a command of ours, so nothing longer is copied or parsed.
const maxExec = 96

// askFor is what a refused client is told to do.
const askFor = `ask for "new", a token, "meet" or "help"`

var (
	errExecLong    = errors.New("the requested command is too long")
	errExecForm    = errors.New("the request for a command is malformed")
	errExecUnknown = errors.New("unknown command")
	errExecMeet    = fmt.Errorf("meet needs a name of %d to %d lower-case hexadecimal digits, and then a or b", minNameDigits, maxNameDigits)
)

// command is what a client may ask for: a new token, the side that waits under a token, a meeting, or help.
type command struct {
	help bool
	key  Key // of "<token>", and of "meet <name> <letter>"
}

// parseExec reads the payload of an "exec" channel request (RFC 4254, section 6.5: one string, the command). The zero command asks
// for a new token. Blanks around a command, and capitals in a token, come from pasting and dictating. No error contains a byte of
// the payload.
func parseExec(payload []byte) (command, error) {
	if len(payload) > 4+maxExec {
		return command{}, errExecLong
	}
	var request struct{ Command string }
	if ssh.Unmarshal(payload, &request) != nil {
		return command{}, errExecForm
	}
	text := strings.TrimSpace(request.Command)
	switch text {
	case "new":
		return command{}, nil
	case "help":
		return command{help: true}, nil
	}
	if arguments, ok := strings.CutPrefix(text, "meet "); ok {
		name, letter, _ := strings.Cut(arguments, " ")
		if !isHex(name, minNameDigits, maxNameDigits) || letter != "a" && letter != "b" {
			return command{}, errExecMeet
		}
		return command{key: Key{name, letter}}, nil
	}
	token := strings.ToLower(text)
	if !isHex(token, minTokenDigits, maxTokenDigits) {
		return command{}, errExecUnknown
	}
	return command{key: Key{Name: token}}, nil
}

// isHex reports whether s is a number of lower-case hexadecimal digits within these bounds.
func isHex(s string, least, most int) bool {
	return least <= len(s) && len(s) <= most && strings.Trim(s, "0123456789abcdef") == ""
}
