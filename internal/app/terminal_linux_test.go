package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aig/internal/gittest"
)

// On a terminal a long report is summed up; a script, or a person who asks for it, gets all of it.
func TestReportOnTerminal(t *testing.T) {
	for _, tt := range []struct {
		name    string
		objects int
		form    Report
		want    string
	}{
		{"few", 2, ReportAsFits, "= 0\r\n> obj:sha1:*\r\n> obj:sha1:*\r\n.\r\n"},
		{"many", 1234, ReportAsFits, "= 0\r\n> 1,234 objects, *iB\r\n< 0 objects, 0 bytes\r\n.\r\n"},
		{"all of many", 150, ReportFull, "= 0\r\n" + strings.Repeat("> obj:sha1:*\r\n", 150) + ".\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			alice, bob := newPerson(t), newPerson(t)
			alice.Blobs("blob", tt.objects)
			user, program := gittest.Terminal(t)
			defer user.Close()
			defer program.Close()
			c := alice.config(bob)
			c.Transport, c.Stdout, c.Report = leadsTo(t, bob.config(alice)), program, tt.form
			wait := start(t, c, nil, Sync)
			var seen []byte
			user.SetReadDeadline(time.Now().Add(time.Minute))
			for buf := make([]byte, 4096); !strings.HasSuffix(string(seen), "\n.\r\n"); {
				n, err := user.Read(buf)
				seen = append(seen, buf[:n]...)
				if err != nil {
					t.Fatalf("%v, after %q", err, seen)
				}
			}
			if o := wait(); o.err != nil || !like(string(seen), tt.want) {
				t.Errorf("%v\n%s", o.err, seen)
			}
		})
	}
}

// A person who gets a token at a terminal reads what the other side has to type, and that we wait.
func TestWaitingAtTerminal(t *testing.T) {
	alice, bob := newPerson(t), newPerson(t)
	board := filepath.Join(t.TempDir(), "switch board")
	if err := os.WriteFile(board, []byte("echo 17e58 >&2; exec sleep 100"), 0o600); err != nil {
		t.Fatal(err)
	}
	user, program := gittest.Terminal(t)
	defer user.Close()
	defer program.Close()
	c := alice.config(bob)
	c.Transport, c.Stderr = "sh '"+board+"' new", program
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wait := start(t, c, nil, func(_ context.Context, c Config) error { return Sync(ctx, c) })
	want := fmt.Sprintf("transport: \"17e58\\n\"\r\ntell the other side: AIG_TRUST=%s git aig-sync 'sh '\\''%s'\\'' 17e58'\r\nwaiting for it …\r\n", alice.fingerprint, board)
	var seen []byte
	user.SetReadDeadline(time.Now().Add(time.Minute))
	for buf := make([]byte, 4096); len(seen) < len(want); {
		n, err := user.Read(buf)
		seen = append(seen, buf[:n]...)
		if err != nil {
			t.Fatalf("%v, after %q", err, seen)
		}
	}
	if string(seen) != want {
		t.Errorf("the terminal shows\n%s, not\n%s", seen, want)
	}
	cancel()
	if o := wait(); !errors.Is(o.err, context.Canceled) {
		t.Error(o.err)
	}
}
