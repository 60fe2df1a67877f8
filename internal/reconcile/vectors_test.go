package reconcile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

// vectors is the content of testdata/vectors.json, against which another implementation can be tested.
type vectors struct {
	About []string       `json:"about"`
	Names []nameVector   `json:"names"`
	Walks []walkVector   `json:"walks"`
	Sets  []setVector    `json:"sets"`
	Pairs []pairVector   `json:"pairs"`
	Pace  []windowVector `json:"windows"`
}

type nameVector struct {
	Key    string `json:"key"`
	Name   string `json:"name"`
	Short  string `json:"short"`
	Check  string `json:"check"`
	Digest string `json:"digest"`
}

type walkVector struct {
	Short   string   `json:"short"`
	Indices []uint64 `json:"indices_below_10000"`
}

type setVector struct {
	Key      string   `json:"key"`
	NameSize int      `json:"name_size"`
	First    int      `json:"first"`
	Count    int      `json:"count"`
	Names    []string `json:"names,omitempty"`
	Digest   string   `json:"digest"`
	Symbols  []string `json:"first_symbols"`
	At       []string `json:"symbols_110_to_113"`
	SHA256   string   `json:"sha256_of_symbols_0_to_4999"`
}

type pairVector struct {
	Key            string `json:"key"`
	NameSize       int    `json:"name_size"`
	FirstA         int    `json:"first_a"`
	CountA         int    `json:"count_a"`
	FirstB         int    `json:"first_b"`
	CountB         int    `json:"count_b"`
	Mode           string `json:"mode"`
	Estimate       uint64 `json:"estimate"`
	Limit          uint64 `json:"limit"`
	Needed         uint64 `json:"needed"`
	CommonDigest   string `json:"common_digest"`
	OnlyA          int    `json:"only_a"`
	OnlyB          int    `json:"only_b"`
	SmallestTheirs string `json:"smallest_short_of_only_b,omitempty"`
}

type windowVector struct {
	Received uint64 `json:"received"`
	Estimate uint64 `json:"estimate"`
	Window   uint64 `json:"window"`
}

// vectorName returns name n: the first size bytes of the SHA-256 of "name " and the number in decimal.
func vectorName(n, size int) []byte {
	h := sha256.Sum256(fmt.Appendf(nil, "name %d", n))
	return h[:size]
}

func vectorSet(key Key, first, count, size int) *Set {
	var names []byte
	for n := first; n < first+count; n++ {
		names = append(names, vectorName(n, size)...)
	}
	return NewSet(key, size, names)
}

func hex64(n uint64) string { return fmt.Sprintf("%016x", n) }

func makeVectors(t *testing.T) vectors {
	zero := Key{}
	key := Key{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	v := vectors{About: []string{
		"Name n of a set is the first name_size bytes of the SHA-256 of the text \"name n\", n in decimal; sets hold names first to first+count-1.",
		"Short names, check hashes and digests are numbers in hexadecimal; symbols are as on the wire: sum, check sum, and the count in symbols 0 to 111.",
		"Sides a and b of a pair know each other's count; needed is the number of symbols after which both know the difference, 0 where they send lists.",
		"estimate is d of the page's section on pacing, and limit how many symbols the other side may send in all; both are as they are when 112 symbols have been received, and 0 and 112 where the difference is known by then.",
		"windows are no part of the protocol: how many symbols this program has sent in all when it has received so many, as an example of pacing.",
	}}
	for _, k := range []Key{zero, key} {
		for _, size := range []int{20, 32} {
			name := vectorName(0, size)
			short, digest := k.Hash(name)
			v.Names = append(v.Names, nameVector{hex.EncodeToString(k[:]), hex.EncodeToString(name), hex64(short), hex64(k.check(short)), hex64(digest)})
		}
	}
	for _, short := range []uint64{0, 1, 0x0123456789abcdef, 1<<64 - 1} {
		w := walkVector{Short: hex64(short)}
		for k := range blockOf(9999) + 1 {
			var block []uint64
			walk := startWalk(short, blockAt(k))
			for i, ok := walk.next(); ok; i, ok = walk.next() {
				if i < 10_000 {
					block = append([]uint64{i}, block...)
				}
			}
			w.Indices = append(w.Indices, block...)
		}
		v.Walks = append(v.Walks, w)
	}
	for _, c := range []setVector{{NameSize: 20}, {NameSize: 20, First: 7, Count: 1}, {NameSize: 32, First: 7, Count: 1}, {NameSize: 20, Count: 3}, {NameSize: 20, Count: 1000}, {NameSize: 32, Count: 1000}, {NameSize: 20, Count: 70_000}} {
		s := vectorSet(key, c.First, c.Count, c.NameSize)
		c.Key, c.Digest = hex.EncodeToString(key[:]), hex64(s.first.digest)
		if c.Count <= 3 {
			for n := c.First; n < c.First+c.Count; n++ {
				c.Names = append(c.Names, hex.EncodeToString(vectorName(n, c.NameSize)))
			}
		}
		var all []byte
		for k := range blockOf(4999) + 1 {
			for j, cl := range s.encode(blockAt(k)) {
				i := blockAt(k).low + uint64(j)
				sym := symbol{cell: cl}
				if i < FirstBlock {
					sym.count = s.first.counts[i]
				}
				wire := appendSymbol(nil, i, sym)
				if i < 5000 {
					all = append(all, wire...)
				}
				if i < 8 {
					c.Symbols = append(c.Symbols, hex.EncodeToString(wire))
				}
				if i >= 110 && i <= 113 {
					c.At = append(c.At, hex.EncodeToString(wire))
				}
			}
		}
		sum := sha256.Sum256(all)
		c.SHA256 = hex.EncodeToString(sum[:])
		v.Sets = append(v.Sets, c)
	}
	for _, c := range []pairVector{
		{NameSize: 20, CountA: 1000, CountB: 1000},
		{NameSize: 20, CountA: 1000, FirstB: 1, CountB: 1000},
		{NameSize: 20, CountA: 1000, FirstB: 2, CountB: 1001},
		{NameSize: 20, CountA: 1000, CountB: 1006},
		{NameSize: 20, CountA: 1008, FirstB: 4, CountB: 1000},
		{NameSize: 32, CountA: 1000, FirstB: 30, CountB: 990},
		{NameSize: 20, CountA: 5000, FirstB: 400, CountB: 5000},
		{NameSize: 20, CountA: 1000, FirstB: 900, CountB: 1000},
		{NameSize: 20, CountA: 0, CountB: 1000},
		// Beyond 2^16: counts, and the difference of the sizes.
		{NameSize: 20, CountA: 70_000, FirstB: 300, CountB: 70_200},
		{NameSize: 20, CountA: 300_000, FirstB: 70_000, CountB: 230_000},
	} {
		a, b := vectorSet(key, c.FirstA, c.CountA, c.NameSize), vectorSet(key, c.FirstB, c.CountB, c.NameSize)
		x, y := (&pair{a: a, b: b}).exchanges(t)
		pipe{}.run(t, x, y)
		c.Key, c.Mode = hex.EncodeToString(key[:]), map[Mode]string{Symbols: "symbols", List: "list"}[x.mode]
		c.Estimate, c.Limit, c.Needed = x.estimate, x.limit, x.decoder.needed
		c.OnlyA, c.OnlyB = len(x.Mine()), len(x.Theirs())
		c.CommonDigest = hex64(a.CommonDigest(x.Mine(), func(i uint32) []byte { return vectorName(c.FirstA+int(i), c.NameSize) }))
		if c.OnlyB > 0 {
			c.SmallestTheirs = hex64(x.Theirs()[0])
		}
		v.Pairs = append(v.Pairs, c)
	}
	for _, c := range []windowVector{{0, 0, 0}, {111, 0, 0}, {112, 1000, 0}, {112, 100, 0}, {800, 1000, 0}, {1400, 900, 0}, {100_000, 110_000, 0}} {
		c.Window = window(c.Received, c.Estimate)
		v.Pace = append(v.Pace, c)
	}
	return v
}

// This implementation computes what testdata/vectors.json says. After a change of the protocol, and only then, run go test
// -run Vectors -update.
func TestVectors(t *testing.T) {
	const file = "testdata/vectors.json"
	got := makeVectors(t)
	if *update {
		text, err := json.MarshalIndent(got, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(text, '\n'), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var want vectors
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	w, g := reflect.ValueOf(want), reflect.ValueOf(got)
	for i := range w.NumField() {
		if !reflect.DeepEqual(w.Field(i).Interface(), g.Field(i).Interface()) {
			t.Errorf("%s: not as in %s", w.Type().Field(i).Name, file)
		}
	}
}

// SipHash is that of its authors. The vectors, with the key 000102...0f, are from their reference code: 8 bytes of input with 64
// bits of output, and no input with 128 bits.
func TestSipHash(t *testing.T) {
	key := Key{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	if got := key.check(0x0001020304050607); got != 0x93f5f5799a932462 {
		t.Errorf("check hash %016x", got)
	}
	if short, digest := key.Hash(nil); short != 0xe6a825ba047f81a3 || digest != 0x930255c71472f66d {
		t.Errorf("short name %016x, digest %016x", short, digest)
	}
}
