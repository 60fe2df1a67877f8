package intake

import (
	"bytes"
	"encoding/hex"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aig/internal/git"
	"aig/internal/gittest"
	"aig/internal/oid"
	"aig/internal/ref"
)

// accept receives a pack as a session does, and installs it if it holds the wanted names.
func accept(t *testing.T, s *Store, pack []byte, want []string) error {
	t.Helper()
	in, err := receive(t, s, pack)
	defer in.Discard()
	if err != nil {
		return err
	}
	got, err := namesOf(in)
	if err != nil {
		return err
	}
	if !slices.Equal(got, want) {
		return &PackError{Text: "it holds other objects than were announced"}
	}
	return in.Install()
}

// base is a blob that the store has before the packs below arrive: their deltas are against it.
const base = "a base that has been there before, of a length that can be copied from\n"

// goodPack returns a pack of a commit, a tree and two blobs, one of them a delta, and their names.
func goodPack(sha256 bool) (pack *gittest.Pack, names []string) {
	pack = &gittest.Pack{SHA256: sha256}
	one := pack.Object(gittest.PackBlob, []byte("one\n"))
	pack.RefDelta(pack.Name(gittest.PackBlob, []byte(base)), gittest.Delta(uint64(len(base)), 8, gittest.Copy(0, 4), gittest.Insert("two\n")))
	two := pack.Name(gittest.PackBlob, []byte(base[:4]+"two\n"))
	tree := slices.Concat(gittest.TreeEntry("100644", "one", one), gittest.TreeEntry("100644", "two", two))
	treeName := pack.Object(gittest.PackTree, tree)
	commit := pack.Object(gittest.PackCommit, []byte("tree "+hex.EncodeToString(treeName)+
		"\nauthor A <a@example.com> 1112911993 +0000\ncommitter A <a@example.com> 1112911993 +0000\n\nmessage\n"))
	for _, name := range [][]byte{one, two, treeName, commit} {
		names = append(names, hex.EncodeToString(name))
	}
	slices.Sort(names)
	return pack, names
}

// badPack is a malformed pack, and a part of the error that it makes, or several to choose from ("|").
type badPack struct {
	pack []byte
	said string
}

// badPacks returns a malformed pack of each kind in git's own tests, and some more. have is the name of the blob that the store has.
func badPacks(have []byte) map[string]badPack {
	const size = uint64(len(base))
	good := func() *gittest.Pack {
		p := new(gittest.Pack)
		p.Object(gittest.PackBlob, []byte("one\n"))
		p.Object(gittest.PackBlob, []byte("two\n"))
		return p
	}
	bytesOf := good().Bytes()
	body, sum := bytesOf[:len(bytesOf)-20], bytesOf[len(bytesOf)-20:]
	with := func(change func(p *gittest.Pack)) []byte {
		p := good()
		change(p)
		return p.Bytes()
	}
	entry := func(kind byte, size uint64, base, deflated []byte) []byte {
		return with(func(p *gittest.Pack) { p.Entry(kind, size, base, deflated) })
	}
	delta := func(delta []byte) []byte { return with(func(p *gittest.Pack) { p.RefDelta(have, delta) }) }
	text := gittest.Deflate([]byte("three\n"))
	flipped := slices.Clone(text)
	flipped[3] ^= 0xff
	checked := slices.Clone(text)
	checked[len(checked)-1] ^= 1
	loop := func(a, b string, more ...string) []byte {
		p := new(gittest.Pack)
		name := func(s string) []byte { return p.Name(gittest.PackBlob, []byte(s)) }
		p.RefDelta(name(b), gittest.Delta(uint64(len(b)), uint64(len(a)), gittest.Insert(a)))
		p.RefDelta(name(a), gittest.Delta(uint64(len(a)), uint64(len(b)), gittest.Insert(b)))
		for _, m := range more {
			p.Object(gittest.PackBlob, []byte(m))
		}
		return p.Bytes()
	}
	return map[string]badPack{
		"nothing":           {nil, "early EOF"},
		"eleven bytes":      {bytesOf[:11], "early EOF"},
		"header alone":      {bytesOf[:12], "early EOF"},
		"signature":         {slices.Concat([]byte("PUCK"), bytesOf[4:]), `not a pack of version 2: it begins with "PUCK`},
		"answer of a proxy": {[]byte("HTTP/1.1 403 Forbidden\r\n\r\n"), `not a pack of version 2: it begins with "HTTP`},
		"version 1":         {with(func(p *gittest.Pack) { p.Version = 1 }), "not a pack of version 2: it begins with"},
		"version 3":         {with(func(p *gittest.Pack) { p.Version = 3 }), "not a pack of version 2: it begins with"},
		"version 4":         {with(func(p *gittest.Pack) { p.Version = 4 }), "not a pack of version 2: it begins with"},
		"version 2^32-1":    {with(func(p *gittest.Pack) { p.Version = 1<<32 - 1 }), "not a pack of version 2: it begins with"},
		"no object":         {new(gittest.Pack).Bytes(), "announces 0 objects"},
		"one too many":      {with(func(p *gittest.Pack) { p.Count = 3 }), "unknown object type|inflate|early EOF|cannot fill|bad object"},
		"one too few":       {with(func(p *gittest.Pack) { p.Count = 1 }), "corrupted"},
		"2^32-1 objects":    {with(func(p *gittest.Pack) { p.Count = 1<<32 - 1 }), "announces 4294967295 objects"},
		"2^31 objects":      {with(func(p *gittest.Pack) { p.Count = 1 << 31 }), "announces 2147483648 objects"},

		"no checksum":            {body, "early EOF"},
		"half a checksum":        {bytesOf[:len(bytesOf)-10], "early EOF"},
		"wrong checksum":         {slices.Concat(body, bytes.Repeat([]byte{7}, 20)), "corrupted"},
		"checksum of SHA-256":    {(&gittest.Pack{SHA256: true}).Sum(body), "corrupted"},
		"a byte behind":          {append(slices.Clone(bytesOf), 0), behindTheEnd},
		"a page behind":          {append(slices.Clone(bytesOf), make([]byte, 5000)...), behindTheEnd},
		"a megabyte behind":      {append(slices.Clone(bytesOf), make([]byte, 1<<20)...), behindTheEnd},
		"itself behind":          {append(slices.Clone(bytesOf), bytesOf...), behindTheEnd},
		"the name of a pack":     {append(slices.Clone(bytesOf), "\npack\t0123456789012345678901234567890123456789\n"...), behindTheEnd},
		"behind a thin pack":     {append(with(func(p *gittest.Pack) { p.RefDelta(have, gittest.Delta(size, 4, gittest.Copy(0, 4))) }), 0), behindTheEnd},
		"a checksum between two": {slices.Concat(body, sum, body, sum), behindTheEnd},

		"type 0":              {entry(0, 6, nil, text), "unknown object type 0"},
		"type 5":              {entry(5, 6, nil, text), "unknown object type 5"},
		"size too large":      {entry(gittest.PackBlob, 7, nil, text), "inflate"},
		"size too small":      {entry(gittest.PackBlob, 5, nil, text), "inflate"},
		"size 0":              {entry(gittest.PackBlob, 0, nil, text), "inflate"},
		"size 2^32":           {entry(gittest.PackBlob, 1<<32, nil, text), "inflate"},
		"size 4 GiB and more": {entry(gittest.PackBlob, 1<<32+6, nil, text), "inflate"},
		"size 2^63":           {entry(gittest.PackBlob, 1<<63, nil, text), "inflate|too large"},
		"size without end":    {entry(gittest.PackBlob, 6, nil, bytes.Repeat([]byte{0x80}, 1<<20)), "bad object|inflate|early EOF"},
		"no deflated data":    {entry(gittest.PackBlob, 6, nil, nil), "inflate|bad object|early EOF"},
		"deflated, flipped":   {entry(gittest.PackBlob, 6, nil, flipped), "inflate"},
		"deflated, cut":       {entry(gittest.PackBlob, 6, nil, text[:len(text)-5]), "inflate|bad object|early EOF"},
		"deflated, checksum":  {entry(gittest.PackBlob, 6, nil, checked), "inflate"},
		"deflated, a dictionary": {entry(gittest.PackBlob, 6, nil, slices.Concat([]byte{0x78, 0xbb, 0, 0, 0, 1}, text[2:])),
			"inflate|total_in mismatch"},
		"not deflated": {entry(gittest.PackBlob, 6, nil, []byte("three\n")), "inflate"},
		"an entry that ends with the pack": {with(func(p *gittest.Pack) { p.Entry(gittest.PackBlob, 1<<20, nil, text[:2]) }),
			"inflate|bad object|early EOF"},

		"base absent": {with(func(p *gittest.Pack) {
			p.RefDelta(bytes.Repeat([]byte{1}, 20), gittest.Delta(1, 1, gittest.Insert("x")))
		}), "unresolved delta"},
		"base of no name":      {with(func(p *gittest.Pack) { p.RefDelta(make([]byte, 20), gittest.Delta(1, 1, gittest.Insert("x"))) }), "unresolved delta"},
		"base cut":             {entry(gittest.PackRefDelta, 4, have[:10], nil), "inflate|bad object|early EOF"},
		"base before the pack": {with(func(p *gittest.Pack) { p.OfsDelta(uint64(p.Offset())+1, gittest.Delta(1, 1, gittest.Insert("x"))) }), "out of bound"},
		"base at the header":   {with(func(p *gittest.Pack) { p.OfsDelta(uint64(p.Offset()), gittest.Delta(1, 1, gittest.Insert("x"))) }), "out of bound"},
		"base far before":      {with(func(p *gittest.Pack) { p.OfsDelta(1<<62, gittest.Delta(1, 1, gittest.Insert("x"))) }), "out of bound|overflow"},
		"base offset too long": {entry(gittest.PackOfsDelta, 4, bytes.Repeat([]byte{0xff}, 20), text), "overflow|out of bound"},
		"base in mid-object":   {with(func(p *gittest.Pack) { p.OfsDelta(uint64(p.Offset())-14, gittest.Delta(1, 1, gittest.Insert("x"))) }), "unresolved delta"},
		"base is the delta":    {with(func(p *gittest.Pack) { p.OfsDelta(0, gittest.Delta(1, 1, gittest.Insert("x"))) }), "out of bound"},
		"base by name is itself": {with(func(p *gittest.Pack) {
			p.RefDelta(p.Name(gittest.PackBlob, []byte("x")), gittest.Delta(1, 1, gittest.Copy(0, 1)))
		}), "unresolved delta"},
		"two that are each other's base":         {loop("alpha", "beta"), "unresolved delta"},
		"two that are each other's, and a third": {loop("alpha", "beta", "gamma"), "unresolved delta"},

		"delta, nothing":                  {delta(nil), "apply delta"},
		"delta, sizes alone":              {delta(gittest.Delta(size, 4)), "apply delta"},
		"delta, another base's size":      {delta(gittest.Delta(size+1, 4, gittest.Insert("four"))), "apply delta"},
		"delta, result too large":         {delta(gittest.Delta(size, 5, gittest.Insert("four"))), "apply delta"},
		"delta, result too small":         {delta(gittest.Delta(size, 3, gittest.Insert("four"))), "apply delta"},
		"delta, text too long":            {delta(gittest.Delta(size, 1, []byte("\x02XX"))), "apply delta"},
		"delta, text cut":                 {delta(gittest.Delta(size, 2, []byte("\x02X"))), "apply delta"},
		"delta, copied too much":          {delta(gittest.Delta(size, 1, gittest.Copy(0, 2))), "apply delta"},
		"delta, copied behind the base":   {delta(gittest.Delta(size, 2, gittest.Copy(uint32(size)-1, 2))), "apply delta"},
		"delta, copied far behind":        {delta(gittest.Delta(size, 2, gittest.Copy(1<<32-1, 2))), "apply delta"},
		"delta, copy without its size":    {delta(gittest.Delta(size, 2, []byte("\x01X\x91"))), "apply delta"},
		"delta, size of a copy too large": {delta(gittest.Delta(size, 1<<16, []byte{0x80})), "apply delta"},
		"delta, text behind the end":      {delta(gittest.Delta(size, 1, []byte("\x01X\x01"))), "apply delta"},
		"delta, copy behind the end":      {delta(gittest.Delta(size, 1, []byte("\x01X\x91\x00\x01"))), "apply delta"},
		"delta, instruction 0":            {delta(gittest.Delta(size, 1, []byte("\x01X\x00"))), "apply delta"},
		"delta, size of the result 2^63":  {delta(gittest.Delta(size, 1<<63, gittest.Insert("x"))), "apply delta|ut of memory|too large"},
		"delta, sizes without end":        {delta(bytes.Repeat([]byte{0xff}, 100)), "apply delta|overflow"},
		"delta of a delta that is no good": {with(func(p *gittest.Pack) {
			p.RefDelta(have, gittest.Delta(size, 4, gittest.Copy(0, 5)))
			p.OfsDelta(14, gittest.Delta(4, 1, gittest.Copy(0, 1)))
		}), "apply delta|unresolved|bad object"},

		"empty commit":     {with(func(p *gittest.Pack) { p.Object(gittest.PackCommit, nil) }), "object|invalid"},
		"empty tag":        {with(func(p *gittest.Pack) { p.Object(gittest.PackTag, nil) }), "object|invalid"},
		"commit of NULs":   {with(func(p *gittest.Pack) { p.Object(gittest.PackCommit, make([]byte, 300)) }), "object|invalid"},
		"tree cut":         {with(func(p *gittest.Pack) { p.Object(gittest.PackTree, []byte("100644 a\x00short")) }), "tree|Tree"},
		"tree without end": {with(func(p *gittest.Pack) { p.Object(gittest.PackTree, []byte("100644 aaaa")) }), "tree|Tree"},
		"tree that is a commit": {with(func(p *gittest.Pack) {
			p.Object(gittest.PackTree, []byte("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n"))
		}), "tree|Tree"},
	}
}

// A malformed pack of any kind is refused with an error that says what is wrong and blames the peer; the store is the same
// as before, byte for byte; no child is left; and the next pack, which is good, is accepted.
func TestMalformedPacks(t *testing.T) {
	to := gittest.New(t)
	have, err := hex.DecodeString(to.GitIn(base, "hash-object", "-w", "--stdin"))
	if err != nil {
		t.Fatal(err)
	}
	to.Blobs("packed", 3)
	to.Git("repack", "-adq")
	before := to.Files()
	packs := badPacks(have)
	store := open(t, to)
	for _, name := range slices.Sorted(maps.Keys(packs)) {
		bad := packs[name]
		err := accept(t, store, bad.pack, nil)
		// If git runs out of memory, or dies, that is not said to be the peer's fault.
		if err == nil || !ofPeer(err) && !strings.Contains(bad.said, "ut of memory") && !strings.Contains(bad.said, "total_in") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if said := err.Error(); !slices.ContainsFunc(strings.Split(bad.said, "|"), func(s string) bool { return strings.Contains(said, s) }) {
			t.Errorf("%s: %v; want %q", name, err, bad.said)
		}
		if ref.HasControl(err.Error()) {
			t.Errorf("%s: control characters in %q", name, err)
		}
		t.Logf("%-40s %v", name, err)
		unchanged(t, name, to, before)
	}
	gittest.Figures(t, "malformed packs", len(packs), "accepted 0, stores changed 0, children left 0")
	good, names := goodPack(false)
	names = append(names, hex.EncodeToString(have)) // which git appends
	slices.Sort(names)
	if err := accept(t, store, good.Bytes(), names); err != nil {
		t.Errorf("a good pack after all that: %v", err)
	}
	to.Git("fsck", "--strict")
}

// Behind the end of a pack, the name of one of our objects looks like that of a missing .gitmodules. All that comes of it is that the
// object is checked as one.
func TestNameBehindTheEnd(t *testing.T) {
	for content, taken := range map[string]bool{"no section\n": true, "[submodule \"../a\"]\n\turl = b\n": false} {
		to := gittest.New(t)
		behind := to.GitIn(content, "hash-object", "-w", "--stdin")
		to.GitIn(base, "hash-object", "-w", "--stdin")
		before := to.Objects()
		good, names := goodPack(false)
		names = append(names, hex.EncodeToString(good.Name(gittest.PackBlob, []byte(base)))) // which git appends
		slices.Sort(names)
		if err := accept(t, open(t, to), append(good.Bytes(), behind+"\n"...), names); (err == nil) != taken || !taken && !ofPeer(err) {
			t.Errorf("%q: %v", content, err)
		}
		if is := to.Objects() != before; is != taken {
			t.Errorf("%q: in the store: %v", content, is)
		}
		to.Git("fsck", "--strict")
	}
}

// A pack that is cut anywhere, or in which any bit is flipped, is refused, even if its checksum is made right again, unless
// it still holds exactly the objects that were announced: some bits of a deflated stream mean nothing.
func TestTortureDamagedPacks(t *testing.T) {
	t.Run("sha1", func(t *testing.T) { testDamagedPacks(t, oid.SHA1) })
	t.Run("sha256", func(t *testing.T) { testDamagedPacks(t, oid.SHA256) })
}

func testDamagedPacks(t *testing.T, format oid.Format) {
	to := gittest.New(t, "--object-format="+string(format))
	have, err := hex.DecodeString(to.GitIn(base, "hash-object", "-w", "--stdin"))
	if err != nil {
		t.Fatal(err)
	}
	good, names := goodPack(format == oid.SHA256)
	names = append(names, hex.EncodeToString(have))
	slices.Sort(names)
	whole := good.Bytes()
	body := whole[:len(whole)-format.Size()]
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	rounds := gittest.Rounds(40, 2000)
	before := to.Files()
	store := open(t, to)
	refused, same := 0, 0
	for i := range rounds {
		var damaged []byte
		switch i % 4 {
		case 0:
			damaged = whole[:random.IntN(len(whole))]
		case 1:
			damaged = good.Sum(body[:random.IntN(len(body))])
		case 2:
			damaged = slices.Clone(whole)
			damaged[random.IntN(len(whole))] ^= 1 << random.IntN(8)
		case 3:
			damaged = slices.Clone(body)
			for range 1 + random.IntN(3) {
				damaged[random.IntN(len(body))] ^= 1 << random.IntN(8)
			}
			damaged = good.Sum(damaged)
		}
		in, err := receive(t, store, damaged)
		var got []string
		if err == nil {
			got, err = namesOf(in)
		}
		in.Discard()
		var git *git.Error
		switch {
		case err == nil && slices.Equal(got, names):
			same++
			if i%4 < 3 {
				t.Errorf("round %d: %x was taken in", i, damaged)
			}
		case err == nil: // other objects than were announced
			refused++
		case ofPeer(err), errors.As(err, &git) && git.OutOfMemory():
			refused++
		default:
			t.Errorf("round %d: %x: %v", i, damaged, err)
		}
	}
	unchanged(t, "damage", to, before)
	if err := accept(t, store, whole, names); err != nil {
		t.Errorf("the good pack after all that: %v", err)
	}
	gittest.Figures(t, "packs cut or flipped", rounds, "refused %d, without effect %d, stores changed 0", refused, same)
}

// An object with the name of one of ours, but other content, is refused. Two objects that really share a name can't be had;
// so here it is ours that is not what its name says, which git can't tell from a collision.
func TestSameNameOtherContent(t *testing.T) {
	for _, packed := range []bool{false, true} {
		to := gittest.New(t)
		other := to.GitIn("something else\n", "hash-object", "-w", "--stdin")
		content, err := os.ReadFile(to.LooseFile(other))
		if err != nil {
			t.Fatal(err)
		}
		var p gittest.Pack
		name := hex.EncodeToString(p.Object(gittest.PackBlob, []byte("what it should be\n")))
		if packed { // as a delta, which git hashes only once it is resolved
			p = gittest.Pack{}
			first := p.Offset()
			p.Object(gittest.PackBlob, []byte("what it is\n"))
			p.OfsDelta(uint64(p.Offset()-first), gittest.Delta(11, 18, gittest.Insert("what it should be\n")))
		}
		if err := os.MkdirAll(filepath.Dir(to.LooseFile(name)), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to.LooseFile(name), content, 0o444); err != nil {
			t.Fatal(err)
		}
		before := to.Files()
		err = accept(t, open(t, to), p.Bytes(), nil)
		if !ofPeer(err) || !strings.Contains(err.Error(), "COLLISION FOUND WITH "+name) {
			t.Errorf("a delta: %v: %v", packed, err)
		}
		unchanged(t, "collision", to, before)
	}
}
