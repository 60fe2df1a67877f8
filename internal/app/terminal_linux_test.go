package app

import (
	"strings"
	"testing"
	"time"

	"aig/internal/gittest"
)

// On a terminal a person reads how much has moved where that is too much to read; a script, and whoever asks, reads all.
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
