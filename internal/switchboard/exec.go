package switchboard

import (
	"encoding/binary"
	"errors"
)

// Bounds of a token, in hexadecimal digits.
const (
	minTokenDigits = 5
	maxTokenDigits = 16
)

// maxExec bounds the requested command, in bytes. Nothing longer can be a
// command of ours, and nothing longer is copied or looked at.
const maxExec = 64

var (
	errExecLong    = errors.New("the requested command is too long")
	errExecForm    = errors.New("the request for a command is malformed")
	errExecUnknown = errors.New("the requested command is neither new nor a token")
)

// command is what a client may ask for: a new token, or the side that waits
// under a token.
type command struct {
	token string // empty asks for a new one
}

// parseExec reads the payload of an "exec" channel request (RFC 4254, section
// 6.5: one string, the command). Only the exact words are known: no white
// space is trimmed and no letter changes its case, so that every command has
// one spelling. The errors hold no foreign byte.
func parseExec(payload []byte) (command, error) {
	if len(payload) < 4 {
		return command{}, errExecForm
	}
	size := binary.BigEndian.Uint32(payload)
	text := payload[4:]
	if uint64(size) != uint64(len(text)) {
		return command{}, errExecForm
	}
	if len(text) > maxExec {
		return command{}, errExecLong
	}
	if string(text) == "new" {
		return command{}, nil
	}
	if len(text) < minTokenDigits || len(text) > maxTokenDigits {
		return command{}, errExecUnknown
	}
	for _, c := range text {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return command{}, errExecUnknown
		}
	}
	return command{token: string(text)}, nil
}
