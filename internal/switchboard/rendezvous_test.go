package switchboard

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"math"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
)

func TestTokenWorksOnce(t *testing.T) {
	r := NewMemory(minTokenDigits, 60, rand.Reader)
	w, err := r.New(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[0-9a-f]{5}$`).MatchString(w.Key.Name) {
		t.Errorf("the token is %q", w.Key.Name)
	}
	if r.claim(Key{Name: "00000" + w.Key.Name}) != nil {
		t.Error("taken by another token")
	}
	if r.claim(Key{Name: w.Key.Name}) != w || !isClosed(w.Ended) {
		t.Error("not taken")
	}
	if r.claim(Key{Name: w.Key.Name}) != nil || r.Leave(w) {
		t.Error("taken and gone a second time")
	}

	w, _ = r.New(t.Context(), nil)
	if !r.Leave(w) || r.Leave(w) {
		t.Error("a side that waits can be removed once")
	}
	if r.claim(Key{Name: w.Key.Name}) != nil || isClosed(w.Ended) {
		t.Error("taken though it had gone")
	}
	if len(r.waiting) != 0 || r.tokens != 0 {
		t.Errorf("left are %v, %d", r.waiting, r.tokens)
	}
}

// Of many who take and one who cancels, exactly one gets the side.
func TestTakenOnce(t *testing.T) {
	r := NewMemory(minTokenDigits, 60, rand.Reader)
	for range 100 {
		w, err := r.New(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var winners atomic.Int32
		var wait sync.WaitGroup
		for i := range 8 {
			wait.Go(func() {
				if i == 0 && r.Leave(w) || i > 0 && r.claim(Key{Name: w.Key.Name}) != nil {
					winners.Add(1)
				}
			})
		}
		wait.Wait()
		if n := winners.Load(); n != 1 {
			t.Fatalf("%d got it", n)
		}
	}
}

// A token drawn again while somebody waits under it is not given out again.
func TestTokenUnique(t *testing.T) {
	var script bytes.Buffer
	for _, n := range []uint64{0x17e58, 0x17e58, 0x00001, 0x17e58, 0x00001, 0x00002} {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], n<<44|0xfff) // the five topmost digits count
		script.Write(b[:])
	}
	r := NewMemory(minTokenDigits, 60, &script)
	for _, want := range []string{"17e58", "00001", "00002"} {
		w, err := r.New(t.Context(), nil)
		if err != nil || w.Key.Name != want {
			t.Fatalf("token %v, %v, want %s", w, err, want)
		}
		r.tokens = 0 // so that all have five digits
	}
	if _, err := r.New(t.Context(), nil); err == nil {
		t.Error("a token without randomness")
	}
	r = NewMemory(minTokenDigits, 60, same{})
	if _, err := r.New(t.Context(), nil); err != nil {
		t.Error(err)
	}
	r.digits = 6 // as many as the second one gets anyway
	if w, err := r.New(t.Context(), nil); err != nil || w.Key.Name != "000000" {
		t.Errorf("%v, %v", w, err)
	}
	if w, err := r.New(t.Context(), nil); err == nil {
		t.Errorf("from a broken source of randomness came a second %q", w.Key.Name)
	}
}

// same is a broken source of randomness.
type same struct{}

func (same) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A guess hits with a chance of at most 2^-20, however many wait, and however
// they came: tokens of each length are counted by themselves.
func TestTokenDigits(t *testing.T) {
	for _, c := range []struct{ waiting, want int }{{1, 5}, {2, 6}, {16, 6}, {17, 7}, {256, 7}, {257, 8}, {math.MaxInt32, 13}} {
		if got := tokenDigits(5, c.waiting); got != c.want {
			t.Errorf("%d waiting: %d digits, want %d", c.waiting, got, c.want)
		}
	}
	if got := tokenDigits(16, 1); got != 16 {
		t.Errorf("%d digits", got)
	}
	r := NewMemory(minTokenDigits, 60, rand.Reader)
	var waiting []*Wait
	for range 300 {
		for range 3 {
			w, err := r.New(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			waiting = append(waiting, w)
		}
		r.Leave(waiting[0]) // the oldest, whose token is shorter than most
		waiting = waiting[1:]
		lengths := make(map[int]int)
		for _, w := range waiting {
			lengths[len(w.Key.Name)]++
		}
		for digits, n := range lengths {
			if uint64(n)<<20 > uint64(1)<<(4*digits) {
				t.Fatalf("%d of %d wait under tokens of %d digits", n, len(waiting), digits)
			}
		}
	}
	for digits := 5; digits <= 16; digits++ {
		if token, err := r.token(digits); err != nil || len(token) != digits {
			t.Errorf("%d digits: %q, %v", digits, token, err)
		}
	}
}
