package wire

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"aig/internal/ref"
)

// FuzzFrames checks that whatever is read as frames marshals to what was read, and that nothing else panics.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("0005A0009Stest0000"))
	f.Add([]byte("fff0P"))
	f.Add([]byte("0009ERR "))
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := NewReader(bytes.NewReader(stream))
		var again bytes.Buffer
		for {
			frame, err := r.Next()
			if err != nil {
				break
			}
			if err := NewWriter(&again).Write(frame.Type, frame.Body); err != nil {
				t.Fatal(err)
			}
		}
		// Lengths may be written in upper-case digits.
		if got := again.Bytes(); !bytes.EqualFold(got, stream[:len(got)]) {
			t.Errorf("%q became %q", stream, got)
		}
	})
}

// FuzzHello checks that a hello, which may have keys that we don't know, parses to the same again once it is marshalled, that
// marshalling it once more changes nothing, and that an error shows nothing raw.
func FuzzHello(f *testing.F) {
	f.Add([]byte("versions 1 1\nobject-format sha1\ndirection both\nobjects 0\nagent x\n"))
	f.Add([]byte("colour blue\nversions 1 3\nobject-format sha256\ndirection pull\nobjects 407095\nagent aig/9\nrefs 7\nhold 1\n"))
	f.Add([]byte("versions 1 1\nobject-format sha1\ndirection pull\nobjects 0\nagent x\ncontext two words\nhold 1\n"))
	f.Add([]byte("versions 3 1\nagent \x1b[2J\nagent \r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		hello, err := ParseHello(body)
		if err != nil {
			mustBePlain(t, err)
			return
		}
		once := hello.Append(nil)
		again, err := ParseHello(once)
		if err != nil || again != hello {
			t.Errorf("%+v became %+v, %v", hello, again, err)
		}
		if twice := again.Append(nil); !bytes.Equal(once, twice) {
			t.Errorf("%q became %q", once, twice)
		}
	})
}

// FuzzRefs checks that references that parse satisfy CanTell and survive being told again, and that any reference that satisfies
// CanTell comes back as it was.
func FuzzRefs(f *testing.F) {
	f.Add([]byte("unborn HEAD symref-target:refs/heads/main\n4b825dc6 refs/tags/v1 peeled:4b825dc6\n"), "4b825dc6", "HEAD", "refs/heads/main", "")
	f.Add([]byte("a b  peeled: symref-target:c other:\n"), "0000", "refs/heads/\x1b[2J\r\x00\xff", "", "0001")
	f.Add([]byte("a b"), "unborn", "refs/heads/two words", "a\nb", "c d")
	f.Fuzz(func(t *testing.T, body []byte, oid, name, target, peeled string) {
		refs, err := ParseRefs(body)
		if err != nil {
			mustBePlain(t, err)
		} else {
			var again []byte
			for rest := refs; len(rest) > 0; {
				again, rest = AppendRefs(again, rest)
			}
			if read, err := ParseRefs(again); err != nil || !slices.Equal(read, refs) {
				t.Errorf("%q became %q, %v", body, again, err)
			}
			for _, r := range refs {
				if !CanTell(r) {
					t.Errorf("read what can't be told: %q", r)
				}
			}
		}
		if r := (ref.Ref{OID: oid, Name: name, Target: target, Peeled: peeled}); CanTell(r) {
			told, _ := AppendRefs(nil, []ref.Ref{r})
			if got, err := ParseRefs(told); err != nil || len(got) != 1 || got[0] != r {
				t.Errorf("%q was told as %q and read as %q, %v", r, told, got, err)
			}
		}
	})
}

// FuzzMessages checks, for every binary message, that what parses marshals to what was read, byte for byte.
func FuzzMessages(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01"))
	f.Add([]byte("\x00\x00\x00\x01\x00\x00\x00\x02"))
	f.Add([]byte("\x00\x00\x00\x07disk full"))
	f.Add([]byte("0123456789abcdef"))
	f.Add([]byte("0123456789abcdef0123"))
	f.Add([]byte("0123456789abcdef0123456789abcdef"))
	f.Add(bytes.Repeat([]byte("x"), 2*partialSize))
	f.Add(bytes.Repeat([]byte("x"), maxText+5))
	f.Fuzz(func(t *testing.T, body []byte) {
		same := func(what string, got []byte, err error) {
			if err != nil {
				mustBePlain(t, err)
			} else if !bytes.Equal(got, body) {
				t.Errorf("%s: %q became %q", what, body, got)
			}
		}
		end, err := Parse[PackEnd](body, "pack end")
		same("pack end", Append(nil, end), err)
		common, err := Parse[Common](body, "common")
		same("common", Append(nil, common), err)
		for _, size := range []int{20, 32} {
			refused, err := ParseRefused(body, size)
			if utf8.ValidString(refused.Reason) {
				same("refusal", refused.Append(nil), err)
			}
			begin, err := ParsePackBegin(body, size)
			same("pack begin", begin.Append(nil), err)
		}
		partials, err := ParsePartials(body)
		var again []byte
		for _, p := range partials {
			again = Append(again, p)
		}
		same("partial packs", again, err)
		number, err := Parse[uint32](body, "number")
		same("number", Append(nil, number), err)
		count, err := Parse[uint64](body, "count")
		same("count", Append(nil, count), err)
		text, err := ParseText(body)
		if utf8.ValidString(text) {
			same("text", AppendText(nil, text), err)
		}
		for _, size := range []int{20, 32} {
			if err := CheckNames(body, size); err != nil {
				mustBePlain(t, err)
			} else if len(body) == 0 || len(body)%size != 0 {
				t.Errorf("%d bytes of names of %d bytes each", len(body), size)
			}
		}
	})
}

// mustBePlain fails if an error could affect a terminal: foreign text in it must be quoted.
func mustBePlain(t *testing.T, err error) {
	t.Helper()
	if strings.ContainsFunc(err.Error(), func(c rune) bool { return c < ' ' || c == 0x7f }) {
		t.Errorf("the error is %q", err)
	}
}
