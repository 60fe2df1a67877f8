package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"aig/internal/ref"
)

// Frames come back as they were written, up to the longest, and the end of the stream is never a clean one: neither in a frame
// nor between two.
func TestFrames(t *testing.T) {
	var stream bytes.Buffer
	w := NewWriter(&stream)
	bodies := [][]byte{{}, []byte("x"), bytes.Repeat([]byte("y"), MaxBody)}
	for _, b := range bodies {
		if err := w.Write(TypePack, b[:len(b)/2], b[len(b)/2:]); err != nil {
			t.Fatal(err)
		}
	}
	whole := stream.Bytes()
	r := NewReader(bytes.NewReader(whole))
	for _, b := range bodies {
		f, err := r.Next()
		if err != nil || f.Type != TypePack || !bytes.Equal(f.Body, b) {
			t.Fatalf("%v, type %q, %d bytes, want %d", err, rune(f.Type), len(f.Body), len(b))
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("end between frames: %v", err)
	}
	r = NewReader(bytes.NewReader(whole[:len(whole)-1]))
	for range len(bodies) - 1 {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("end within a frame: %v", err)
	}
	if err := w.Write(TypePack, make([]byte, MaxBody+1)); err == nil {
		t.Error("an over-long frame was written")
	}
}

// After an abort nothing more is written.
func TestLastFrame(t *testing.T) {
	var stream bytes.Buffer
	w := NewWriter(&stream)
	if err := w.Write(TypeAbort, []byte("why")); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(TypeAlive); err == nil || stream.String() != "0008Xwhy" {
		t.Errorf("%v, %q", err, stream.String())
	}
}

// What is not a frame is an error of the other end's, quoted; a frame cut short, even in its length, is an end of the pipe.
func TestNotFrames(t *testing.T) {
	for _, s := range []string{"0000", "0004", "0001", "xxxx", "SSH-2.0", "ffff", "fff1", "+005A", "0x5A", "\x1b[2J\n"} {
		_, err := NewReader(strings.NewReader(s)).Next()
		if !errors.Is(err, ErrNotFrame) || !strings.HasSuffix(err.Error(), fmt.Sprintf("%q", s[:4])) {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", "0", "00", "000", "0005", "000a12"} {
		if _, err := NewReader(strings.NewReader(s)).Next(); err != io.ErrUnexpectedEOF {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// A pkt-line that git would take for an error packet is a frame like any other.
func TestErrorLineIsAFrame(t *testing.T) {
	f, err := NewReader(strings.NewReader("000dERR \x1b[2Jx")).Next()
	if err != nil || f.Type != 'E' || string(f.Body) != "RR \x1b[2Jx" {
		t.Errorf("%q, %v", f.Body, err)
	}
}

// An unknown key is ignored, so that a later program can say more; every mandatory key must appear once, and be well-formed.
func TestHello(t *testing.T) {
	good := "versions 1 3\nobject-format sha256\ndirection pull\nobjects 407095\nagent aig/9\n"
	want := Hello{Oldest: 1, Newest: 3, Format: "sha256", Direction: Pull, Objects: 407095, Agent: "aig/9"}
	for _, s := range []string{good, "colour blue\n" + good + "colour green\nempty \n"} {
		if h, err := ParseHello([]byte(s)); err != nil || h != want {
			t.Errorf("%q: %+v, %v", s, h, err)
		}
	}
	for _, bad := range [][2]string{
		{"objects 407095\n", ""}, {"agent aig/9\n", "agent aig/9"}, {"pull", "sideways"}, {"407095", "-1"}, {"407095", "1e9"},
		{"407095", "9223372036854775808"}, {"407095", "007"}, {"1 3", "3 1"}, {"1 3", "1"}, {"agent", "\nagent"}, {"agent", "word\nagent"}, {"agent", " value\nagent"}, {"objects", "objects 1\nobjects"},
	} {
		s := strings.Replace(good, bad[0], bad[1], 1)
		if h, err := ParseHello([]byte(s)); err == nil {
			t.Errorf("%q passed as %+v", s, h)
		}
	}
}

// A context is text that fits on a line and can be shown; a hello without that key has none.
func TestHelloContext(t *testing.T) {
	const plain = "versions 1 1\nobject-format sha1\ndirection both\nobjects 0\nagent x\n"
	for _, word := range []string{"", "holiday", " two words ", "Übung ☃ \u202e", strings.Repeat("w", maxContext)} {
		want := Hello{Oldest: 1, Newest: 1, Format: "sha1", Direction: Both, Agent: "x", Context: word}
		body := want.Append(nil)
		if h, err := ParseHello(body); err != nil || h != want {
			t.Errorf("%q: %+v, %v", word, h, err)
		}
		if says := plain != string(body); says != (word != "") {
			t.Errorf("%q is said as %q", word, body)
		}
	}
	for _, word := range []string{"", "a\tb", "a\x00", "a\x7f", "a\u0085b", "a\xff", strings.Repeat("w", maxContext+1)} {
		if CheckContext(word) == nil {
			t.Errorf("%q can be a context", word)
		}
		if h, err := ParseHello([]byte(plain + "context " + word + "\n")); err == nil {
			t.Errorf("%q passed as %+v", word, h)
		}
	}
	if h, err := ParseHello([]byte(plain + "context a\ncontext a\n")); err == nil {
		t.Errorf("two contexts passed as %+v", h)
	}
}

// References come back as they were told, however many frames they take, and anything else is an error.
func TestRefs(t *testing.T) {
	told := []ref.Ref{{Name: "HEAD", Target: "refs/heads/main"}, {OID: "0000", Name: "refs/tags/v1", Peeled: "0001"}}
	for i := range 5000 {
		told = append(told, ref.Ref{OID: fmt.Sprintf("%040x", i), Name: fmt.Sprintf("refs/heads/branch-%d", i)})
	}
	var got []ref.Ref
	frames := 0
	for rest := told; len(rest) > 0; frames++ {
		var body []byte
		body, rest = AppendRefs(nil, rest)
		if len(body) > MaxBody {
			t.Fatalf("a frame of %d bytes", len(body))
		}
		refs, err := ParseRefs(body)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, refs...)
	}
	var size int
	for rest := told; len(rest) > 0; {
		var body []byte
		body, rest = AppendRefs(nil, rest)
		size += len(body)
	}
	if size != RefsSize(told) {
		t.Errorf("%d bytes of references, RefsSize says %d", size, RefsSize(told))
	}
	if !reflect.DeepEqual(got, told) || frames < 4 {
		t.Errorf("%d references came back of %d, in %d frames", len(got), len(told), frames)
	}
	for _, bad := range []string{"", "oid\n", "oid name", " name\n", "oid \n", "x\n\ny z\n", "a " + strings.Repeat("b", maxRefLine) + "\n"} {
		if refs, err := ParseRefs([]byte(bad)); err == nil {
			t.Errorf("%.40q passed as %v", bad, refs)
		}
	}
}

// A text that is too long is cut, but not within a character; what is no character goes.
func TestTextIsCut(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
	}{
		{strings.Repeat("x", maxText), maxText},
		{strings.Repeat("x", maxText+1), maxText},
		{strings.Repeat("x", maxText-1) + "…", maxText - 1},
		{strings.Repeat("x", maxText-3) + "…x", maxText},
		{strings.Repeat("\x80", maxText+9), 0},
	} {
		if got := AppendText(nil, c.text); string(got) != c.text[:c.want] {
			t.Errorf("%d bytes are cut to %d, not %d", len(c.text), len(got), c.want)
		}
	}
}
