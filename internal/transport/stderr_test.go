//go:build unix

package transport

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
)

// Lines of standard error come whole, as they were written, and in order.
func TestStderrLines(t *testing.T) {
	long := strings.Repeat("x", MaxLine+10)
	tests := []struct {
		name, expression string
		want             []string
	}{
		{"two lines", `printf 'a\nb\n' >&2`, []string{"a\n", "b\n"}},
		{"empty line", `printf '\n' >&2`, []string{"\n"}},
		{"nothing", `:`, nil},
		{"no line end", `printf 'a\nrest' >&2`, []string{"a\n", "rest"}},
		{"control characters", `printf '\033[2Ja\r\000\377\n' >&2`, []string{"\x1b[2Ja\r\x00\xff\n"}},
		{"overlong", `printf '%s\nnext\n' ` + long + ` >&2`, []string{long[:MaxLine], "xxxxxxxxxx\n", "next\n"}},
		{"exactly as long", `printf %s ` + long[:MaxLine] + ` >&2`, []string{long[:MaxLine]}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := newLines()
			tr := start(t, Options{Expression: test.expression, Stderr: l.add, Grace: patience})
			if _, ended := tr.Ended(); !ended {
				t.Fatal("hasn't ended")
			}
			if got := l.get(); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// A line of standard error is delivered while the transport goes on, and so is a
// piece of an overlong line that isn't complete.
func TestStderrAtOnce(t *testing.T) {
	l := newLines()
	tr := start(t, Options{Stderr: l.add, Expression: `echo 17e58 >&2; read x; ` +
		`head -c 4096 /dev/zero >&2; read x`})
	if got := l.await(t, 1); got[0] != "17e58\n" {
		t.Errorf("got %q", got)
	}
	io.WriteString(tr, "\n")
	if got := l.await(t, 2); got[1] != strings.Repeat("\x00", MaxLine) {
		t.Errorf("got %q", got)
	}
}

// A question has no line end, and is delivered while the transport waits for the answer; the rest of its line follows by itself.
func TestStderrQuestion(t *testing.T) {
	l := newLines()
	tr := start(t, Options{Stderr: l.add, Expression: `printf 'go on? ' >&2; read x; echo "you said $x" >&2; read x`})
	if got := l.await(t, 1); got[0] != "go on? " {
		t.Errorf("got %q", got)
	}
	io.WriteString(tr, "yes\n")
	if got := l.await(t, 2); got[1] != "you said yes\n" {
		t.Errorf("got %q", got)
	}
}

// Close delivers everything that was written to standard error before the end,
// even if the lines are taken slowly.
func TestStderrCompleteAtClose(t *testing.T) {
	l := newLines()
	gate := make(chan struct{})
	var once sync.Once
	tr := start(t, Options{
		Expression: `i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done >&2; echo done; cat`,
		Stderr: func(line string) {
			once.Do(func() { <-gate })
			l.add(line)
		},
	})
	b := make([]byte, 5)
	inTime(t, "reading", func() { io.ReadFull(tr, b) })
	closed := make(chan error, 1)
	go func() { closed <- tr.Close() }()
	inTime(t, "the shell's end", func() { <-tr.proc.exited })
	close(gate)
	inTime(t, "Close", func() { <-closed })
	if got := l.get(); len(got) != 2000 || got[1999] != "line 1999\n" {
		t.Errorf("%d lines", len(got))
	}
}
