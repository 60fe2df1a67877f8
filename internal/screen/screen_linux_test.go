package screen

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aig/internal/gittest"
	"aig/internal/session"
)

// On a terminal the progress line gives way to whole lines, and nothing of it is left at the end.
func TestProgressGivesWay(t *testing.T) {
	user, program := gittest.Terminal(t)
	defer user.Close()
	defer program.Close()
	s := New(program)
	if !s.IsTerminal() {
		t.Error("it is a terminal")
	}
	var status session.Status
	status.Phase("waiting for the peer")
	stop := s.Start(&status, 0)
	seen := expect(t, user, "waiting for the peer")
	fmt.Fprintln(s, "a line")
	seen += expect(t, user, "a line\r\n")
	stop()
	stop()
	fmt.Fprintln(s, "the last line")
	seen += expect(t, user, "the last line\r\n")
	for _, line := range []string{"a line", "the last line"} {
		if got := shown(seen, line); got != line {
			t.Errorf("the terminal shows %q, not %q", got, line)
		}
	}
}

// shown returns the line of a terminal that ends with the text, with each carriage return obeyed.
func shown(output, text string) string {
	line, _, _ := strings.Cut(output[:strings.Index(output, text)+len(text)], "\r\n")
	if i := strings.LastIndex(output[:strings.Index(output, text)], "\r\n"); i >= 0 {
		line = output[i+2 : strings.Index(output, text)+len(text)]
	}
	var cells []byte
	for part := range strings.SplitSeq(line, "\r") {
		cells = append([]byte(part), cells[min(len(cells), len(part)):]...)
	}
	return string(bytes.TrimRight(cells, " "))
}

func expect(t *testing.T, user *os.File, text string) string {
	t.Helper()
	user.SetReadDeadline(time.Now().Add(30 * time.Second))
	var all []byte
	for buf := make([]byte, 1024); !strings.Contains(string(all), text); {
		n, err := user.Read(buf)
		all = append(all, buf[:n]...)
		if err != nil {
			t.Fatalf("%v, after %q", err, all)
		}
	}
	return string(all)
}

// What the progress line says, and that it fits a terminal.
func TestProgressLine(t *testing.T) {
	for want, p := range map[string]session.Progress{
		"negotiating": {Phase: "negotiating"},
		"> 50% of 2, 1.00 KiB | 2.00 KiB/s, 0:10 left":                         {Exchanges: true, Give: 2, Given: 1, BytesOut: 1024},
		"> 50% of 2, 5 bytes; < 75% of 4, 3.00 MiB | 2.00 KiB/s, 0:05 left":    {Exchanges: true, Give: 2, Given: 1, BytesOut: 5, Want: 4, Got: 3, BytesIn: 3 << 20},
		"> 100% of 2, 5 bytes; waiting for the peer":                           {Exchanges: true, Give: 2, Given: 2, BytesOut: 5, Phase: "waiting for the peer"},
		"> 0% of 2, 0 bytes | 2.00 KiB/s":                                      {Exchanges: true, Give: 2},
		"> 50% of 20000000, 5.00 GiB; < 50% of 40000000, 2048.00 GiB | 2.00 K": {Exchanges: true, Give: 2e7, Given: 1e7, BytesOut: 5 << 30, Want: 4e7, Got: 2e7, BytesIn: 2 << 40},
	} {
		if got := progressLine(p, 2048, 10*time.Second); !strings.HasPrefix(got, want) || len(got) > 79 {
			t.Errorf("%q, not %q", got, want)
		}
	}
	if got := progressLine(session.Progress{Exchanges: true, Want: 1, Phase: "stalled"}, 0, 0); got != "< 0% of 1, 0 bytes; stalled" {
		t.Errorf("%q", got)
	}
}

// The speed is that of the last full second, not of a tenth of it; after one in which nothing moved, the phase takes its place.
func TestSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		screen, err := os.Create(filepath.Join(t.TempDir(), "screen"))
		if err != nil {
			t.Fatal(err)
		}
		defer screen.Close()
		began := time.Now()
		progress := func() session.Progress { // ever faster, for three seconds
			s := min(time.Since(began), 3*time.Second).Seconds()
			return session.Progress{Exchanges: true, Want: 2, BytesIn: uint64(100 * s * s), Phase: "stalled"}
		}
		stopping := make(chan struct{})
		go New(screen).show(progress, 0, stopping)
		time.Sleep(1550 * time.Millisecond) // in the bubble's time: to the middle between two draws, past a full second
		for _, want := range []string{"625 bytes | 300 bytes/s", "900 bytes | 500 bytes/s", "900 bytes; stalled"} {
			time.Sleep(time.Second) // the next one
			drawn, _ := os.ReadFile(screen.Name())
			if at := bytes.LastIndexByte(drawn, '\r'); !strings.HasSuffix(strings.TrimRight(string(drawn[at:]), " "), want) {
				t.Errorf("after %v: %q, not %q", time.Since(began), drawn[at:], want)
			}
		}
		close(stopping)
	})
}
