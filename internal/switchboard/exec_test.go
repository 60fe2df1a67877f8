package switchboard

import (
	"encoding/binary"
	"strings"
	"testing"
)

func payload(text string) []byte { return append([]byte{0, 0, 0, byte(len(text))}, text...) }

func TestParseExec(t *testing.T) {
	for _, c := range []struct {
		payload []byte
		token   string
		err     error
	}{
		{payload("new"), "", nil},
		{payload("17e58"), "17e58", nil},
		{payload("0123456789abcdef"), "0123456789abcdef", nil},

		{payload(""), "", errExecUnknown},
		{payload(" new\r\n"), "", nil},
		{payload("17E58"), "17e58", nil},
		{payload("\t17e58 \n"), "17e58", nil},

		{payload(" "), "", errExecUnknown},
		{payload("n ew"), "", errExecUnknown},
		{payload("17 e58"), "", errExecUnknown},
		{payload("NEW"), "", errExecUnknown},
		{payload("new\x00"), "", errExecUnknown},
		{payload("17e5"), "", errExecUnknown},
		{payload("17e5g"), "", errExecUnknown},
		{payload("0123456789abcdef0"), "", errExecUnknown},
		{payload("git-upload-pack 'x'"), "", errExecUnknown},
		{payload(strings.Repeat("0", maxExec)), "", errExecUnknown},
		{payload(strings.Repeat("0", maxExec+1)), "", errExecLong},

		{nil, "", errExecForm},
		{[]byte{0, 0, 0}, "", errExecForm},
		{[]byte{0, 0, 0, 4, 'n', 'e', 'w'}, "", errExecForm},
		{[]byte{0, 0, 0, 2, 'n', 'e', 'w'}, "", errExecForm},
		{[]byte{0xff, 0xff, 0xff, 0xff, 'n', 'e', 'w'}, "", errExecForm},
	} {
		got, err := parseExec(c.payload)
		if err != c.err || got.key.Name != c.token {
			t.Errorf("%q: token %q and %v, want %q and %v", c.payload, got.key.Name, err, c.token, c.err)
		}
	}
}

func TestParseMeet(t *testing.T) {
	name := strings.Repeat("0f", 16)
	for text, want := range map[string]command{
		"meet " + name + " a":              {key: Key{name, "a"}},
		"meet " + name + name + " b":       {key: Key{name + name, "b"}},
		"meet":                             {},
		"meet ":                            {},
		"meet " + name:                     {},
		"meet " + name + " ":               {},
		"meet " + name + " c":              {},
		"meet " + name + " ab":             {},
		"meet " + name + "  a":             {},
		" meet " + name + " a\n":           {key: Key{name, "a"}},
		"meet " + name + " A":              {},
		"meet " + name[1:] + " a":          {},
		"meet " + name + name + "0 a":      {},
		"meet " + strings.ToUpper(name):    {},
		"meet " + name[1:] + "g a":         {},
		"meet " + name[2:] + "\x00\x00 a":  {},
		"meet a " + name:                   {},
		"meet " + name + " a meet " + name: {},
	} {
		if got, err := parseExec(payload(text)); got != want || (err == nil) == (want == command{}) {
			t.Errorf("%q: %v and %v, want %v", text, got, err, want)
		}
	}
}

// marshal is the inverse of parseExec.
func (c command) marshal() []byte {
	text := c.key.Name
	switch {
	case c.key.Letter != "":
		text = "meet " + text + " " + c.key.Letter
	case text == "":
		text = "new"
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
}

// Parse, then marshal, gives the input back but for blanks and capitals; and an
// error never quotes it.
func FuzzExec(f *testing.F) {
	for _, seed := range []string{"new", "17e58", "0123456789abcdef", "meet 0123456789abcdef0123456789abcdef a", "sh", ""} {
		f.Add(payload(seed))
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		cmd, err := parseExec(in)
		switch err {
		case nil:
			out := cmd.marshal()
			if again, err := parseExec(out); again != cmd || err != nil || !strings.EqualFold(strings.TrimSpace(string(in[4:])), string(out[4:])) {
				t.Errorf("%q was understood as %q", in, out)
			}
		case errExecLong, errExecForm, errExecUnknown, errExecMeet:
		default:
			t.Errorf("an error of its own: %v", err)
		}
	})
}
