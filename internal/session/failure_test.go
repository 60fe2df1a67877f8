package session

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aig/internal/oid"
	"aig/internal/wire"
)

// unwritable is a pipe on which every write fails. What the peer has said arrives after some time, then nothing until it is
// closed.
type unwritable struct {
	said   io.Reader
	after  time.Duration
	closed chan struct{}
}

func (p *unwritable) Read(b []byte) (int, error) {
	select {
	case <-time.After(p.after):
	case <-p.closed:
		return 0, io.ErrClosedPipe
	}
	p.after = 0
	if n, err := p.said.Read(b); err == nil {
		return n, nil
	}
	<-p.closed
	return 0, io.ErrClosedPipe
}

func (*unwritable) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }
func (*unwritable) CloseWrite() error         { return nil }

func (p *unwritable) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

// A peer that gives up closes its pipe, and our write fails before we have read why. We report its reason if that arrives
// soon, and the failed write otherwise.
func TestReasonBehindABrokenPipe(t *testing.T) {
	var abort bytes.Buffer
	if err := wire.NewWriter(&abort).Write(wire.TypeAbort, wire.AppendText(nil, "no room")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after time.Duration
		want  string
		took  time.Duration
	}{
		{0, `"no room"`, 0},
		{lastWords / 2, `"no room"`, lastWords / 2},
		{2 * lastWords, "broken pipe", lastWords},
	} {
		synctest.Test(t, func(t *testing.T) {
			pipe := &unwritable{bytes.NewReader(abort.Bytes()), c.after, make(chan struct{})}
			began := time.Now()
			_, err := Run(t.Context(), pipe, Options{
				Direction: wire.Both, Agent: "test", Timeout: time.Minute, Common: func(uint64) {}, Warn: func(string) {},
				Objects: func(context.Context) (*oid.List, error) { return oid.NewList(oid.SHA1), nil },
			})
			took := time.Since(began)
			if err == nil || !strings.Contains(err.Error(), c.want) || took != c.took {
				t.Errorf("after %s: %v, and not %s after %s", took, err, c.want, c.took)
			}
			pipe.Close()
			synctest.Wait()
		})
	}
}

// However many objects are refused or left out, a hundred are named, and then it is said that there are more.
func TestWarningsAreBounded(t *testing.T) {
	var lines []string
	s := &session{o: Options{Warn: func(line string) { lines = append(lines, line) }}}
	for i := range 3 * maxWarned {
		s.warn("object %d", i)
	}
	if last := len(lines) - 1; last != maxWarned || lines[0] != "object 0" || !strings.HasPrefix(lines[last], "more objects") {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
}
