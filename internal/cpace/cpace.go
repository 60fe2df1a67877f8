// Package cpace is the balanced password-authenticated key exchange CPace (draft-irtf-cfrg-cpace) in its cipher suite
// CPACE-X25519-SHA512, between an initiator and a responder. It does no input or output.
//
// Two sides that know the same password get the same key. A side that doesn't know it learns from a run whether one guess was
// right, and nothing else. Section numbers are the draft's.
package cpace

import (
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"slices"

	"filippo.io/edwards25519/field"
)

// ShareSize is the size of a share in bytes: a u-coordinate of Curve25519.
const ShareSize = 32

// TagSize is the size of a confirmation tag in bytes.
const TagSize = sha512.Size

// The domain separation strings of the cipher suite (section 7.1) and of key confirmation (section 9.4).
const (
	dsi    = "CPace255"
	dsiISK = "CPace255_ISK"
	dsiMAC = "CPaceMac"
)

// Input is what both sides have in common before the exchange. The names are those of section 3.1.
type Input struct {
	Password  []byte // PRS
	ChannelID []byte // CI: who the two sides are
	SessionID []byte // sid: unique to this exchange
}

// Share is a side's public share with its associated data; the key is bound to both.
type Share struct {
	Point [ShareSize]byte // Ya or Yb
	Data  []byte          // ADa or ADb
}

// Exchange is one side of a run. Finish may be called once.
type Exchange struct {
	Own       Share
	sessionID []byte
	initiator bool
	scalar    *ecdh.PrivateKey
}

// Start picks a random scalar and makes our share from it.
func Start(in Input, initiator bool, data []byte) (*Exchange, error) {
	scalar, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return start(in, initiator, data, scalar)
}

func start(in Input, initiator bool, data []byte, scalar *ecdh.PrivateKey) (*Exchange, error) {
	generator, err := ecdh.X25519().NewPublicKey(generator(in))
	if err != nil {
		return nil, err
	}
	point, err := scalar.ECDH(generator)
	if err != nil {
		return nil, err
	}
	return &Exchange{Share{[ShareSize]byte(point), data}, in.SessionID, initiator, scalar}, nil
}

// errPoint is Finish's error for a share of low order. No key must be made from it, since its sender would know the key
// without the password.
var errPoint = errors.New("the share is a point of low order")

// Key is the result of a run.
type Key struct {
	ISK     [sha512.Size]byte // the intermediate session key
	Tag     [TagSize]byte     // proves to the peer that we know ISK
	peerTag [TagSize]byte
}

// Confirms reports, in constant time, whether the tag proves that the peer knows ISK, and so the password.
func (k *Key) Confirms(tag []byte) bool { return subtle.ConstantTimeCompare(k.peerTag[:], tag) == 1 }

// Finish makes the key from the peer's share (section 6.2). It can't tell whether the peer gets the same one; see Confirms.
func (x *Exchange) Finish(peer Share) (*Key, error) {
	point, err := ecdh.X25519().NewPublicKey(peer.Point[:])
	if err != nil {
		return nil, err
	}
	// crypto/ecdh rejects the neutral element, as scalar_mult_vfy must (section 7.2.1).
	shared, err := x.scalar.ECDH(point)
	if err != nil {
		return nil, errPoint
	}
	a, b := x.Own, peer
	if !x.initiator {
		a, b = b, a
	}
	// prefix_free_cat of DSI_ISK, sid and K, and transcript_ir (sections 5.2 and A.3.3).
	isk := sha512.Sum512(slices.Concat(lv([]byte(dsiISK), x.sessionID, shared), a.encode(), b.encode()))
	macKey := sha512.Sum512(slices.Concat([]byte(dsiMAC), x.sessionID, isk[:]))
	return &Key{ISK: isk, Tag: x.Own.tag(macKey[:]), peerTag: peer.tag(macKey[:])}, nil
}

func (s Share) encode() []byte { return lv(s.Point[:], s.Data) }

// tag returns the tag of the side that sent the share. It doesn't serve as the other side's (section 9.4). The data of the two
// sides must differ, so that this holds for an echoed share too.
func (s Share) tag(macKey []byte) [TagSize]byte {
	mac := hmac.New(sha512.New, macKey)
	mac.Write(s.encode())
	return [TagSize]byte(mac.Sum(nil))
}

// generator is calculate_generator of section 7.2: it maps the input to a point.
func generator(in Input) []byte {
	// The zeros fill the first block of the hash, so that its timing doesn't leak the password's length (section A.2).
	pad := max(0, sha512.BlockSize-1-len(lv(in.Password))-len(lv([]byte(dsi))))
	hash := sha512.Sum512(lv([]byte(dsi), in.Password, make([]byte, pad), in.ChannelID, in.SessionID))
	return elligator2(hash[:32])
}

// elligator2 maps 32 bytes to a u-coordinate of Curve25519, v² = u³ + A·u² + u (RFC 9380, section 6.7.1, with Z = 2), in
// constant time. Bit 255 of the input is ignored.
func elligator2(b []byte) []byte {
	one := new(field.Element).One()
	a := new(field.Element).Mult32(one, 486662)
	r := new(field.Element)
	if _, err := r.SetBytes(b); err != nil {
		panic(err) // not 32 bytes
	}
	// x1 = -A / (1 + 2r²). The divisor is never 0, since -1/2 is no square.
	x1 := new(field.Element).Square(r)
	x1.Add(one, x1.Mult32(x1, 2))
	x1.Multiply(x1.Invert(x1), a)
	x1.Negate(x1)
	// v² = x1·(x1·(x1 + A) + 1)
	v2 := new(field.Element).Add(x1, a)
	v2.Multiply(v2, x1).Add(v2, one).Multiply(v2, x1)
	_, square := new(field.Element).SqrtRatio(v2, one)
	// x2 = -x1 - A
	x2 := new(field.Element).Add(x1, a)
	x2.Negate(x2)
	return x1.Select(x1, x2, square).Bytes()
}

// lv is lv_cat of section A.1: each part is preceded by its length in LEB128.
func lv(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}
