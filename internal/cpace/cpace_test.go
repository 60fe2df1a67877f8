package cpace

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The test vectors of the draft's appendix for CPACE-X25519-SHA512.
var vector = struct{ prs, ci, sid, g, ya, Ya, yb, Yb, isk string }{
	prs: "50617373776f7264",
	ci:  "0b415f696e69746961746f720b425f726573706f6e646572",
	sid: "7e4b4791d6a8ef019b936c79fb7f2c57",
	g:   "d04bf6d41f6a289632a2e929fa29bebd51092512a7829fdde7d314b62f05a73f",
	ya:  "21b4f4bd9e64ed355c3eb676a28ebedaf6d8f17bdc365995b319097153044080",
	Ya:  "1d13c89278cdadd826f6d8d7f887701430f8380ddc17611cdd6dc989ce0c9f32",
	yb:  "848b0779ff415f0af4ea14df9dd1d3c29ac41d836c7808896c4eba19c51ac40a",
	Yb:  "248cccf6d5cdc3646f0ad593f9e6cef4e69d4945f8372e623512ecea32185623",
	isk: "6e19b875f7a561d6b3ca3dbb9ef42ac55de3e717881018204b8922b4d5e53bb2" +
		"aa82c300bea7b65d2b671da71922ddf6472301b79bc270adfa8bf413285f2263",
}

func input(t testing.TB) Input {
	return Input{unhex(t, vector.prs), unhex(t, vector.ci), unhex(t, vector.sid)}
}

// side starts one side of the test vector's run.
func side(t testing.TB, in Input, initiator bool) *Exchange {
	t.Helper()
	scalar, data := vector.ya, "ADa"
	if !initiator {
		scalar, data = vector.yb, "ADb"
	}
	key, err := ecdh.X25519().NewPrivateKey(unhex(t, scalar))
	if err != nil {
		t.Fatal(err)
	}
	x, err := start(in, initiator, []byte(data), key)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func finish(t testing.TB, x *Exchange, peer Share) *Key {
	t.Helper()
	key, err := x.Finish(peer)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestVectors(t *testing.T) {
	in := input(t)
	if g := generator(in); !bytes.Equal(g, unhex(t, vector.g)) {
		t.Errorf("generator %x", g)
	}
	a, b := side(t, in, true), side(t, in, false)
	if !bytes.Equal(a.Own.Point[:], unhex(t, vector.Ya)) || !bytes.Equal(b.Own.Point[:], unhex(t, vector.Yb)) {
		t.Errorf("Ya %x, Yb %x", a.Own.Point, b.Own.Point)
	}
	ka, kb := finish(t, a, b.Own), finish(t, b, a.Own)
	if !bytes.Equal(ka.ISK[:], unhex(t, vector.isk)) || ka.ISK != kb.ISK {
		t.Errorf("ISK %x and %x", ka.ISK, kb.ISK)
	}
	if !ka.Confirms(kb.Tag[:]) || !kb.Confirms(ka.Tag[:]) {
		t.Error("the tags don't confirm the same key")
	}
}

// Every point of low order is rejected, whether encoded canonically or not. The draft's other odd points are not of low order
// once bit 255 is ignored, as X25519 does.
func TestRefusedPoints(t *testing.T) {
	for _, c := range []struct {
		name, point string
		want        error
	}{
		{"Y0", "0000000000000000000000000000000000000000000000000000000000000000", errPoint},
		{"Y1", "0100000000000000000000000000000000000000000000000000000000000000", errPoint},
		{"Y2", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", errPoint},
		{"Y3", "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", errPoint},
		{"Y4", "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157", errPoint},
		{"Y5", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", errPoint},
		{"Y6", "daffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", nil},
		{"Y7", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", errPoint},
		{"Y8", "dbffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", nil},
		{"Y9", "d9ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", nil},
		{"Y10", "cdeb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880", nil},
		{"Y11", "4c9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7", nil},
	} {
		if _, err := side(t, input(t), true).Finish(Share{[ShareSize]byte(unhex(t, c.point)), nil}); err != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// If anything differs between the two, even by one bit, neither confirms the other.
func TestDifferences(t *testing.T) {
	flip := func(b []byte, bit int) []byte {
		b = bytes.Clone(b)
		b[bit/8] ^= 1 << (bit % 8)
		return b
	}
	honest := input(t)
	check := func(what string, a, b *Exchange, toA, toB Share) {
		t.Helper()
		ka, kb := finish(t, a, toA), finish(t, b, toB)
		if ka.ISK == kb.ISK || ka.Confirms(kb.Tag[:]) || kb.Confirms(ka.Tag[:]) {
			t.Errorf("%s differs, and is confirmed", what)
		}
	}
	for bit := range 8 * len(honest.Password) {
		in := honest
		in.Password = flip(in.Password, bit)
		a, b := side(t, honest, true), side(t, in, false)
		check("password", a, b, b.Own, a.Own)
	}
	for bit := range 8 * len(honest.ChannelID) {
		in := honest
		in.ChannelID = flip(in.ChannelID, bit)
		a, b := side(t, honest, true), side(t, in, false)
		check("channel identifier", a, b, b.Own, a.Own)
	}
	for bit := range 8 * len(honest.SessionID) {
		in := honest
		in.SessionID = flip(in.SessionID, bit)
		a, b := side(t, honest, true), side(t, in, false)
		check("session identifier", a, b, b.Own, a.Own)
	}
	for bit := range 8*ShareSize - 1 { // X25519 ignores the last bit, but the transcript doesn't: see below
		a, b := side(t, honest, true), side(t, honest, false)
		check("share", a, b, Share{[ShareSize]byte(flip(b.Own.Point[:], bit)), b.Own.Data}, a.Own)
	}
	a, b := side(t, honest, true), side(t, honest, false)
	check("ignored bit of the share", a, b, Share{[ShareSize]byte(flip(b.Own.Point[:], 255)), b.Own.Data}, a.Own)
	a, b = side(t, honest, true), side(t, honest, false)
	check("data", a, b, Share{b.Own.Point, []byte("ADx")}, a.Own)
	a, b = side(t, honest, true), side(t, honest, false)
	b.initiator = true
	check("role", a, b, b.Own, a.Own)
}

// A side that gets its own share and tag back is not convinced, provided that the data of the two sides must differ.
func TestReflection(t *testing.T) {
	x := side(t, input(t), true)
	k := finish(t, x, Share{x.Own.Point, []byte("ADb")})
	if k.Confirms(k.Tag[:]) {
		t.Error("our own tag confirms")
	}
}

// A tag that is cut or altered confirms nothing.
func TestTags(t *testing.T) {
	a, b := side(t, input(t), true), side(t, input(t), false)
	ka, kb := finish(t, a, b.Own), finish(t, b, a.Own)
	for i := range kb.Tag {
		tag := kb.Tag
		tag[i] ^= 1
		if ka.Confirms(tag[:]) || ka.Confirms(kb.Tag[:i]) {
			t.Fatalf("byte %d doesn't matter", i)
		}
	}
}

// Start draws a new scalar for each run.
func TestFresh(t *testing.T) {
	x, err := Start(input(t), true, nil)
	if err != nil {
		t.Fatal(err)
	}
	y, err := Start(input(t), true, nil)
	if err != nil {
		t.Fatal(err)
	}
	if x.Own.Point == y.Own.Point {
		t.Error("the same share twice")
	}
}

// Lengths are encoded as in the draft, beyond 127 too (section A.1).
func TestLengths(t *testing.T) {
	if got, want := hex.EncodeToString(lv([]byte("1234"))), "0431323334"; got != want {
		t.Error(got)
	}
	if got := hex.EncodeToString(lv(make([]byte, 128))); !strings.HasPrefix(got, "800100") {
		t.Error(got[:8])
	}
}

func BenchmarkRun(b *testing.B) {
	in := input(b)
	for b.Loop() {
		x, err := Start(in, true, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := x.Finish(side(b, in, false).Own); err != nil {
			b.Fatal(err)
		}
	}
}
