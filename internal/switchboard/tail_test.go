package switchboard

import (
	"io"
	"net"
	"testing"
	"time"
)

// tailPair returns a tail and the connection at whose other end it is, and a
// channel of what is read from it, burst by burst, that is closed at its end.
func tailPair(t *testing.T) (*tail, net.Conn, <-chan string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	far, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	tl := newTail(near)
	bursts := make(chan string, 100)
	go func() {
		defer close(bursts)
		buf := make([]byte, 100)
		for {
			n, err := tl.Read(buf)
			if err != nil {
				return
			}
			bursts <- string(buf[:n])
		}
	}()
	t.Cleanup(func() {
		far.Close()
		tl.Close()
		for range bursts {
		}
	})
	return tl, far, bursts
}

// expect reads bursts until they make up a text.
func expect(t *testing.T, bursts <-chan string, want string) {
	t.Helper()
	got := ""
	for timeout := time.After(patience); got != want; {
		select {
		case s, ok := <-bursts:
			if got += s; !ok || len(got) > len(want) {
				t.Fatalf("%q came, want %q", got, want)
			}
		case <-timeout:
			t.Fatalf("%q came in time, want %q", got, want)
		}
	}
}

// nothing expects that nothing is handed on for several moments.
func nothing(t *testing.T, bursts <-chan string) {
	t.Helper()
	select {
	case s, ok := <-bursts:
		t.Fatalf("%q came, %v", s, ok)
	case <-time.After(3 * tailTime):
	}
}

// Everything comes in the end, in order, when no end of file does.
func TestTailHandsOn(t *testing.T) {
	t.Parallel()
	tl, far, bursts := tailPair(t)
	io.WriteString(far, "before")
	expect(t, bursts, "before")
	tl.begin()
	for range 3 {
		io.WriteString(far, "one two three")
		expect(t, bursts, "one two three")
	}
	io.WriteString(far, "x")
	expect(t, bursts, "x")
	tl.letGo()
	io.WriteString(far, "after")
	expect(t, bursts, "after")
}

// The connection's end comes after the last byte.
func TestTailEnd(t *testing.T) {
	t.Parallel()
	tl, far, bursts := tailPair(t)
	tl.begin()
	io.WriteString(far, "last words")
	far.Close()
	expect(t, bursts, "last words")
	if s, ok := <-bursts; ok {
		t.Errorf("%q came after the end", s)
	}
	if proven, _ := tl.end(); proven {
		t.Error("a broken connection counts as an end of file that was said")
	}
}

// When SSH shows an end of file while the last byte is missing, that byte and
// all that follows wait until they are let go; whether the connection has
// ended by then or not.
func TestTailKeeps(t *testing.T) {
	t.Parallel()
	for _, ends := range []bool{false, true} {
		tl, far, bursts := tailPair(t)
		tl.begin()
		io.WriteString(far, "EOF CLOSE")
		if ends {
			far.(*net.TCPConn).CloseWrite()
		}
		expect(t, bursts, "EOF CLOS")
		if proven, kept := tl.end(); !proven || !kept {
			t.Fatal("the missing byte was not seen")
		}
		tl.prove()
		if !tl.parked() {
			t.Error("not parked")
		}
		if !ends {
			io.WriteString(far, " more")
		}
		nothing(t, bursts)
		tl.letGo()
		if ends {
			expect(t, bursts, "E")
			if s, ok := <-bursts; ok {
				t.Errorf("%q came after the end", s)
			}
		} else {
			expect(t, bursts, "E more")
		}
	}
}

// The same when the end of file came alone and was proven by what followed.
func TestTailKeepsWhatFollows(t *testing.T) {
	t.Parallel()
	tl, far, bursts := tailPair(t)
	tl.begin()
	io.WriteString(far, "EOF")
	expect(t, bursts, "EOF")
	if proven, kept := tl.end(); proven || !kept {
		t.Fatal("nothing is missing")
	}
	io.WriteString(far, "CLOSE")
	expect(t, bursts, "CLOS")
	tl.prove()
	nothing(t, bursts)
	tl.letGo()
	expect(t, bursts, "E")
}

// An end of file that was proven before the tail begins parks it at once.
func TestTailBeginsLate(t *testing.T) {
	t.Parallel()
	tl, far, bursts := tailPair(t)
	if proven, kept := tl.end(); proven || kept {
		t.Fatal("nothing is missing")
	}
	tl.prove()
	tl.begin()
	io.WriteString(far, "x")
	// The reader was waiting for this already, and has not handed it on.
	nothing(t, bursts)
	tl.letGo()
	expect(t, bursts, "x")
}
