package session

import (
	"strings"
	"testing"

	"aig/internal/wire"
)

// A peer that lies before the negotiation, in its hello and in what may surround it, is found out at once: every number,
// every text, every order.
func TestTortureLiarsHello(t *testing.T) {
	hello := func(changes ...string) func(*liar) {
		return func(l *liar) { l.hello(407095, changes...) }
	}
	newVictims(t, 20).tellAll(t, "lies in hello", []tale{
		{name: "2^31 objects", tell: hello("407095", "2147483648"), want: "holds 2147483648 objects, more than"},
		{name: "2^32 objects", tell: hello("407095", "4294967296"), want: "holds 4294967296 objects, more than"},
		{name: "2^63-1 objects", tell: hello("407095", "9223372036854775807"), want: "holds 9223372036854775807 objects"},
		{name: "2^63 objects", tell: hello("407095", "9223372036854775808"), want: `objects "9223372036854775808": not a number`},
		{name: "2^64 objects", tell: hello("407095", "18446744073709551616"), want: "not a number"},
		{name: "-1 objects", tell: hello("407095", "-1"), want: `objects "-1": not a number`},
		{name: "0x10 objects", tell: hello("407095", "0x10"), want: "not a number"},
		{name: "no objects said", tell: hello("objects 407095\n", ""), want: "lacks the key objects"},
		{name: "a number of 60 KB", tell: hello("407095", strings.Repeat("9", 60000)), want: "not a number"},
		{name: "version 2^32", tell: hello("1 1", "1 4294967296"), want: "too large"},
		{name: "versions from -1", tell: hello("1 1", "-1 1"), want: "not a number"},
		{name: "versions backwards", tell: hello("1 1", "2 1"), want: "the oldest is newer"},
		{name: "a later version of a program with an ugly name", tell: hello("1 1", "7 9", "liar", "\x1b[2J\r\x00\xff"),
			want: `("\x1b[2J\r\x00\xff") speaks version 7`},
		{name: "2^32 references", tell: hello("agent", "refs 4294967296\nagent"), want: "too large"},
		{name: "too many references", tell: hello("agent", "refs 1048577\nagent"), want: "too many"},
		{name: "-1 references", tell: hello("agent", "refs -1\nagent"), want: "not a number"},
		{name: "a format with an escape", tell: hello("sha1", "\x1b[2J\r"), want: `\x1b[2J\r`},
		{name: "a format of 60 KB", tell: hello("sha1", strings.Repeat("\x1b", 60000)), want: `only stores of one object format`},
		{name: "a direction with an escape", tell: hello("both", "\x1b[2J\r"), want: `direction "\x1b[2J\r": not a direction`},
		{name: "a context with an escape", tell: hello("agent", "context \x1b[2J\r\nagent"), want: `\x1b[2J\r`},
		{name: "a context of 60 KB", tell: hello("agent", "context "+strings.Repeat("x", 60000)+"\nagent"), want: "context"},
		{name: "the same key twice", tell: hello("agent", "objects 407095\nagent"), want: "says objects twice"},
		{name: "20,000 unknown keys", tell: hello("agent", strings.Repeat("x\n", 20000)+"agent", "both", "\x1b"), want: "not a direction"},
		{name: "looking first, in another way", tell: hello("agent", "hold 2\nagent"), want: `hold "2": not 1`},
		{name: "looking first, and giving", tell: hello("407095", "0", "sha1", "any", "agent", "hold 1\nagent"), want: "says hold, but also"},
		{name: "looking first, with objects", tell: hello("sha1", "any", "both", "pull", "agent", "hold 1\nagent"), want: "says hold, but also"},
		{name: "looking first, with a format", tell: hello("407095", "0", "both", "pull", "agent", "hold 1\nagent"), want: "says hold, but also"},
		{name: "no line end", tell: hello("\n", ""), want: "cut short"},
		{name: "an empty hello", tell: func(l *liar) { l.say(wire.TypeHello) }, want: "lacks the key versions"},
		{name: "references of 500 MB", tell: func(l *liar) {
			l.hello(5, "agent", "refs 1048576\nagent")
			line := "0 " + strings.Repeat("x", 4000) + "\n"
			l.every(0, func() error { return l.out.Write(wire.TypeRefs, []byte(strings.Repeat(line, 16))) })
		}, want: "references take more than the 134217728 bytes"},
		{name: "more references than announced", tell: func(l *liar) {
			l.hello(5, "agent", "refs 2\nagent")
			l.say(wire.TypeRefs, []byte("0 a\n0 b\n0 c\n"))
		}, want: "sent 3 references, but announced 2"},
		{name: "references that nobody announced", tell: func(l *liar) {
			l.hello(5)
			l.say(wire.TypeRefs, []byte("0 a\n"))
		}, want: "of type 'F' where"},
		{name: "a reference with an escape, and no name", tell: func(l *liar) {
			l.hello(5, "agent", "refs 2\nagent")
			l.say(wire.TypeRefs, []byte("\x1b[2J\r\x00\xff\n"))
		}, want: `a malformed reference: "\x1b[2J\r\x00\xff"`},
		{name: "a reference of 4,096 bytes", tell: func(l *liar) {
			l.hello(5, "agent", "refs 2\nagent")
			l.say(wire.TypeRefs, []byte("0 "+strings.Repeat("\x1b", 4094)+"\n"))
		}, want: `a malformed reference: "0 \x1b`},
		{name: "a reference without an end", tell: func(l *liar) {
			l.hello(5, "agent", "refs 2\nagent")
			l.say(wire.TypeRefs, []byte("0 refs/heads/main"))
		}, want: "a malformed reference"},
		{name: "no reference in a message of them", tell: func(l *liar) {
			l.hello(5, "agent", "refs 2\nagent")
			l.say(wire.TypeRefs)
		}, want: "sent no references where some were due"},
		{name: "two hellos", tell: func(l *liar) {
			l.hello(5)
			l.hello(5)
		}, want: `of type 'H' where its part of the negotiation was due`},
	})
}
