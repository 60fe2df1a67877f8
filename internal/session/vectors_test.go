package session

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"aig/internal/wire"
)

// This program's messages match the test vectors of docs/protocol.md.
func TestVectorsOfTheProtocol(t *testing.T) {
	doc, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	mustHold := func(text string) {
		t.Helper()
		if !strings.Contains(string(doc), text) {
			t.Errorf("docs/protocol.md does not hold\n%s", text)
		}
	}
	frame := func(typ wire.Type, body []byte) []byte {
		var b bytes.Buffer
		if err := wire.NewWriter(&b).Write(typ, body); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	hello := wire.Hello{Oldest: 1, Newest: 1, Format: "sha1", Direction: wire.Both, Objects: 407095, Agent: "aig/0.1.0"}
	mustHold(strings.ReplaceAll(string(frame(wire.TypeHello, hello.Append(nil))), "\n", "␊"))
	hello.Context = "summer holiday"
	mustHold(strings.ReplaceAll(string(frame(wire.TypeHello, hello.Append(nil))), "\n", "␊"))
	for _, f := range [][]byte{
		frame(wire.TypePackEnd, wire.Append(nil, wire.PackEnd{Number: 3, Objects: 18})),
		frame(wire.TypeDone, wire.Append(nil, uint64(18))),
		frame(wire.TypeAlive, nil),
	} {
		mustHold(strings.TrimSpace(spaced(f)))
	}
	var id []byte
	for i := range byte(32) {
		id = append(id, i)
	}
	s := &session{key: newKey(id)}
	key := s.key
	mustHold("key    " + hex.EncodeToString(key[:]))
	tree, err := hex.DecodeString("4b825dc642cb6eb9a060e54bf8d69288fbee4904")
	if err != nil {
		t.Fatal(err)
	}
	short, digest := key.Hash(tree)
	mustHold("short  " + hex.EncodeToString(wire.Append(nil, short)))
	mustHold(strings.TrimSpace(spaced(frame(wire.TypePackBegin, wire.PackBegin{Offset: 4, Object: tree}.Append(nil)))))
	sum := s.partialHash()
	sum.Write([]byte("PACK"))
	held := wire.Partial{Object: short, Bytes: 4, Sum: [32]byte(sum.Sum(nil))}
	mustHold(strings.TrimSpace(spaced(frame(wire.TypePartial, wire.Append(nil, held)))))
	s.common, s.digest = 1, digest
	mustHold("digest " + hex.EncodeToString(wire.Append(nil, digest)))
	for server, who := range map[bool]string{false: "client", true: "server"} {
		mustHold("from the " + who + ":\n\n```\n" + strings.TrimSpace(spaced(frame(wire.TypeCommon, wire.Append(nil, s.saidCommon(server))))))
	}
}

func spaced(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		s.WriteString(hex.EncodeToString([]byte{c}) + " ")
	}
	return s.String()
}
