package switchboard

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	sourceA = netip.MustParsePrefix("192.0.2.1/32")
	sourceB = netip.MustParsePrefix("192.0.2.2/32")
)

// mustRefuse expects a refusal for this reason.
func mustRefuse(t *testing.T, err error, want reason) {
	t.Helper()
	var r *refusal
	if !errors.As(err, &r) || r.reason != want {
		t.Errorf("%v, want a refusal for %q", err, want)
	}
}

func TestTokenWorksOnce(t *testing.T) {
	o := DefaultOptions()
	r := newRendezvous(&o, rand.Reader)
	w, err := r.add(nil, sourceA, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[0-9a-f]{5}$`).MatchString(w.key) {
		t.Errorf("the token is %q", w.key)
	}
	_, err = r.take("00000"+w.key, sourceB)
	mustRefuse(t, err, wrongToken)
	if got, err := r.take(w.key, sourceB); got != w || err != nil {
		t.Errorf("take: %v, %v", got, err)
	}
	_, err = r.take(w.key, sourceB)
	mustRefuse(t, err, wrongToken)
	if r.remove(w) {
		t.Error("a side that was taken could be removed")
	}

	w, _ = r.add(nil, sourceA, 0)
	if !r.remove(w) || r.remove(w) {
		t.Error("a side that waits can be removed once")
	}
	_, err = r.take(w.key, sourceB)
	mustRefuse(t, err, wrongToken)
	if len(r.waiting) != 0 || len(r.perSource) != 0 {
		t.Errorf("the table holds %v, %v", r.waiting, r.perSource)
	}
}

// Of many who take and one who removes, exactly one gets the side.
func TestTakenOnce(t *testing.T) {
	o := DefaultOptions()
	o.MaxLinks = 1000
	r := newRendezvous(&o, rand.Reader)
	for range 100 {
		w, err := r.add(nil, sourceA, 0)
		if err != nil {
			t.Fatal(err)
		}
		var winners atomic.Int32
		var wait sync.WaitGroup
		for i := range 8 {
			wait.Go(func() {
				if i == 0 {
					if r.remove(w) {
						winners.Add(1)
					}
				} else if _, err := r.take(w.key, sourceB); err == nil {
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

func TestWaitingLimits(t *testing.T) {
	o := DefaultOptions()
	o.MaxWaiting, o.MaxWaitingPerSource, o.MaxLinks = 3, 2, 1
	r := newRendezvous(&o, rand.Reader)
	add := func(source netip.Prefix) *waiter {
		t.Helper()
		w, err := r.add(nil, source, 0)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	first, second := add(sourceA), add(sourceA)
	_, err := r.add(nil, sourceA, 0)
	mustRefuse(t, err, tooManyOfSource)
	add(sourceB)
	_, err = r.add(nil, sourceB, 0)
	mustRefuse(t, err, tooManyWaiting)

	if _, err := r.take(first.key, sourceB); err != nil {
		t.Fatal(err)
	}
	// A link too many does not spend the token.
	_, err = r.take(second.key, sourceB)
	mustRefuse(t, err, tooManyLinks)
	r.release(first, sourceB)
	if _, err := r.take(second.key, sourceB); err != nil {
		t.Errorf("after a link has ended: %v", err)
	}
	add(sourceA)
}

// A link counts for the sources of both its sides, once if they are the same,
// and gives its places back.
func TestLinksPerSource(t *testing.T) {
	o := DefaultOptions()
	o.MaxLinksPerSource = 2
	r := newRendezvous(&o, rand.Reader)
	add := func(source netip.Prefix) *waiter {
		t.Helper()
		w, err := r.add(nil, source, 0)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	take := func(w *waiter, source netip.Prefix) {
		t.Helper()
		if got, err := r.take(w.key, source); got != w || err != nil {
			t.Fatalf("%v, %v", got, err)
		}
	}
	own, mixed := add(sourceA), add(sourceA)
	take(own, sourceA)
	take(mixed, sourceB)
	for _, sides := range [][2]netip.Prefix{{sourceA, sourceB}, {sourceB, sourceA}, {sourceA, sourceA}} {
		w := add(sides[0])
		_, err := r.take(w.key, sides[1])
		mustRefuse(t, err, tooManyLinksOfSource)
		if !r.remove(w) {
			t.Error("the token was spent")
		}
	}
	take(add(sourceB), sourceB)
	r.release(mixed, sourceB)
	r.release(own, sourceA)
	r.release(&waiter{source: sourceB}, sourceB)
	if r.links != 0 || len(r.linked) != 0 {
		t.Errorf("left are %d links, %v", r.links, r.linked)
	}
}

// A token drawn again, while it waits or soon after, is not given out again.
func TestTokenUnique(t *testing.T) {
	var script bytes.Buffer
	for _, n := range []uint64{0x17e58, 0x17e58, 0x00001, 0x17e58, 0x00001, 0x00002} {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], n<<44|0xfff) // the five topmost digits count
		script.Write(b[:])
	}
	o := DefaultOptions()
	r := newRendezvous(&o, &script)
	for _, want := range []string{"17e58", "00001", "00002"} {
		w, err := r.add(nil, sourceA, 0)
		if err != nil || w.key != want {
			t.Fatalf("token %v, %v, want %s", w, err, want)
		}
		r.remove(w)
	}
	if _, err := r.add(nil, sourceA, 0); err == nil {
		t.Error("a token without randomness")
	}
	if _, err := newRendezvous(&o, same{}).add(nil, sourceA, 0); err != nil {
		t.Error(err)
	}
	r = newRendezvous(&o, same{})
	r.add(nil, sourceA, 0)
	if w, err := r.add(nil, sourceA, 0); err == nil {
		t.Errorf("from a broken source of randomness came a second %q", w.key)
	}
}

// same is a broken source of randomness.
type same struct{}

func (same) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// No more spent tokens are remembered than was said.
func TestSpentTokensBounded(t *testing.T) {
	o := DefaultOptions()
	r := newRendezvous(&o, rand.Reader)
	for range spentTokens + 1000 {
		w, err := r.add(nil, sourceA, 0)
		if err != nil {
			t.Fatal(err)
		}
		r.remove(w)
	}
	if len(r.spent) != spentTokens || len(r.order) != spentTokens {
		t.Errorf("%d and %d are remembered", len(r.spent), len(r.order))
	}
}

// The length of a token is the least that the documented inequality allows,
// reckoned here with integers of any size.
func TestTokenDigits(t *testing.T) {
	for _, c := range []struct{ waiting, wrong, want int }{
		{0, 0, 5}, {15, 0, 5}, {16, 0, 6}, {255, 0, 6}, {256, 0, 7},
		{0, 240, 5}, {0, 241, 6}, {1, 10_000, 7}, {1023, 1 << 20, 11},
	} {
		got := tokenDigits(5, c.waiting, c.wrong)
		if got != c.want {
			t.Errorf("%d waiting, %d wrong: %d digits, want %d", c.waiting, c.wrong, got, c.want)
		}
		need := new(big.Int).Mul(big.NewInt(int64(c.waiting)+1), big.NewInt(int64(c.wrong)+16))
		need.Lsh(need, 12)
		if space := new(big.Int).Lsh(big.NewInt(1), uint(4*got)); space.Cmp(need) < 0 {
			t.Errorf("%d waiting, %d wrong: %v tokens are fewer than %v", c.waiting, c.wrong, space, need)
		}
	}
	if got := tokenDigits(16, math.MaxInt, math.MaxInt); got != 16 {
		t.Errorf("%d digits", got)
	}
	if got := tokenDigits(5, math.MaxInt, math.MaxInt); got != 15 {
		t.Errorf("%d digits", got)
	}
	o := DefaultOptions()
	r := newRendezvous(&o, rand.Reader)
	w, err := r.add(nil, sourceA, 10_000)
	if err != nil || len(w.key) != 7 {
		t.Errorf("while many are guessing, a token is %v, %v", w, err)
	}
	for digits := 5; digits <= 16; digits++ {
		if token, err := r.token(digits); err != nil || len(token) != digits {
			t.Errorf("%d digits: %s", digits, fmt.Sprint(token, err))
		}
	}
}
