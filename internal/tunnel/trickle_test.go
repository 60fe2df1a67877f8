package tunnel

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aig/internal/gittest"
)

// openAgainst opens the tunnel to somebody who reads everything or nothing and says what talk writes, in a synctest bubble.
// It returns how long that took, and the error.
func openAgainst(t *testing.T, server, reads bool, talk func(w io.Writer)) (took time.Duration, err error) {
	t.Helper()
	o := Options{Signer: signer(t, "ed25519"), Trusted: trusts(signer(t, "ed25519")), Timing: Timing{Timeout: time.Minute}}
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		if reads {
			go io.Copy(io.Discard, theirs)
		}
		go talk(theirs)
		start := time.Now()
		_, err = Open(t.Context(), ours, server, o)
		took = time.Since(start)
		time.Sleep(time.Minute) // the others find their pipe closed
	})
	return took, err
}

// We don't wait beyond the timeout for a peer that says nothing after its preface, or doesn't even read.
func TestHandshakeDoesNotHang(t *testing.T) {
	for _, server := range []bool{false, true} {
		for _, reads := range []bool{true, false} {
			took, err := openAgainst(t, server, reads, func(io.Writer) {})
			if err == nil || !strings.Contains(err.Error(), "not over after 1m0s") || took != time.Minute {
				t.Errorf("as server %v, reads %v: after %s: %v", server, reads, took, err)
			}
		}
	}
}

// A peer that sends a byte a second of an endless beginning of SSH keeps us for the timeout and no longer, be it in its
// version, in lines before that, or in a packet.
func TestHandshakeHasAnEnd(t *testing.T) {
	for _, server := range []bool{false, true} {
		for what, says := range map[string]string{
			"version":        "SSH-2.0-" + strings.Repeat("x", 240),
			"lines before":   strings.Repeat("\x1b[2J hello\r\n", 20),
			"a packet":       "SSH-2.0-x\r\n\x00\x00\x7f\xf0\x04\x14" + strings.Repeat("\x00", 200),
			"single newline": strings.Repeat("\n", 200),
		} {
			took, err := openAgainst(t, server, true, func(w io.Writer) {
				for i := range says {
					if _, err := w.Write([]byte{says[i]}); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			})
			if err == nil || took > time.Minute {
				t.Fatalf("as server %v, %s: after %s: %v", server, what, took, err)
			}
			gittest.MustBeClean(t, err.Error())
		}
	}
}

// The election ends in time too, if the peer's preface trickles in.
func TestElectHasAnEnd(t *testing.T) {
	elected := func(timeout, pause time.Duration) (took time.Duration, err error) {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer theirs.Close()
			go io.Copy(io.Discard, theirs)
			go func() {
				for _, b := range (preface{Version, 7}).append(nil) {
					if _, err := theirs.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(pause)
				}
			}()
			start := time.Now()
			_, _, err = Elect(t.Context(), ours, Timing{Timeout: timeout})
			took = time.Since(start)
			time.Sleep(time.Minute)
		})
		return took, err
	}
	took, err := elected(10*time.Second, time.Second)
	if err == nil || took != 10*time.Second {
		t.Errorf("a byte a second: after %s: %v", took, err)
	}
	if took, err = elected(10*time.Second, 0); err != nil {
		t.Errorf("without a pause: after %s: %v", took, err)
	}
}
