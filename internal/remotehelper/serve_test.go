package remotehelper

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aig/internal/oid"
	"aig/internal/ref"
)

const (
	one  = "1111111111111111111111111111111111111111"
	two  = "2222222222222222222222222222222222222222"
	long = "3333333333333333333333333333333333333333333333333333333333333333"
	caps = "option\nfetch\npush\nobject-format\n\n"

	noEffect = "warning: --depth, --filter, --refetch, -4 and the like have no effect with aig: all that is missing is fetched, over the pipe that the address opens\n"
)

// fake is a peer, whose remote notes what becomes of the conversation.
type fake struct {
	listing  Listing
	listErr  error
	fetchErr error
	leaveErr error
	fetching chan struct{} // if not nil, closed when objects are wanted, which come only when the context ends
	calls    []string
}

func (f *fake) note(call string) { f.calls = append(f.calls, call) }

func (f *fake) remote(ctx context.Context, decide Decide) error {
	f.note("list")
	if f.listErr != nil {
		return f.listErr
	}
	wanted, progress, err := decide(f.listing)
	switch {
	case err != nil:
		return err
	case !wanted:
		f.note("leave")
		return f.leaveErr
	case progress:
		f.note("fetch with progress")
	default:
		f.note("fetch")
	}
	if f.fetching != nil {
		close(f.fetching)
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return f.fetchErr
}

var small = Listing{Format: oid.SHA1, Refs: []ref.Ref{
	{Name: "refs/tags/v1", OID: two, Peeled: one},
	{Name: "refs/heads/main", OID: one},
	{Name: "HEAD", OID: one, Target: "refs/heads/main"},
}}

const smallLines = "@refs/heads/main HEAD\n" + one + " refs/heads/main\n" + two + " refs/tags/v1\n" + one + " refs/tags/v1^{}\n\n"

// What git may write, what it then reads, what the Remote is asked, and what the user reads.
func TestTranscripts(t *testing.T) {
	broken := errors.New("the pipe broke")
	for _, tt := range []struct {
		name   string
		remote fake
		in     string
		out    string
		stderr string
		calls  string // joined by "; "
		err    string // part of the error; empty if there is none
	}{
		{name: "git goes at once", in: ""},
		{name: "capabilities, and nothing wanted: nothing is opened", in: "capabilities\n\n", out: caps},
		{name: "ls-remote of git 2.39", remote: fake{listing: small},
			in:  "capabilities\noption progress false\noption verbosity 1\noption object-format\nlist\n\n",
			out: caps + "ok\nok\nok\n:object-format sha1\n" + smallLines, calls: "list; leave"},
		{name: "ls-remote of git 2.45 and newer", remote: fake{listing: small},
			in: "option object-format true\nlist\n\n", out: "ok\n:object-format sha1\n" + smallLines, calls: "list; leave"},
		{name: "a git that knows no object formats", remote: fake{listing: small}, in: "list\n\n", out: smallLines, calls: "list; leave"},
		{name: "the list is asked for once", remote: fake{listing: small}, in: "list\nlist\n\n", out: smallLines + smallLines, calls: "list; leave"},
		{name: "SHA-256", remote: fake{listing: Listing{"sha256", []ref.Ref{{Name: "refs/heads/main", OID: long}}}},
			in:    "option object-format true\nlist\nfetch " + long + " refs/heads/main\n\n\n",
			out:   "ok\n:object-format sha256\n" + long + " refs/heads/main\n\n\n",
			calls: "list; fetch"},
		{name: "SHA-256 and a git that knows no object formats", remote: fake{listing: Listing{"sha256", nil}},
			in: "list\n\n", calls: "list; leave", err: "object format sha256"},
		{name: "two batches: the second is for tags", remote: fake{listing: small},
			in: "list\noption followtags true\nfetch " + one + " refs/heads/main\nfetch " + one + " refs/heads/main\n\n" +
				"option followtags false\noption depth 0\noption deepen-relative false\nfetch " + two + " refs/tags/v1\n\n\n",
			out: smallLines + "ok\n\nok\nok\nok\n\n", calls: "list; fetch"},
		{name: "an object by its name, which opens the connection", remote: fake{listing: small},
			in: "fetch " + one + " " + one + "\n\n\n", out: "\n", calls: "list; fetch"},
		{name: "progress, asked for", remote: fake{listing: small},
			in:  "list\noption progress true\noption cloning true\nfetch " + one + " HEAD\n\n\n",
			out: smallLines + "ok\nok\n\n", calls: "list; fetch with progress"},
		{name: "progress, taken back", remote: fake{listing: small},
			in:  "list\noption progress true\noption progress false\nfetch " + one + " HEAD\n\n\n",
			out: smallLines + "ok\nok\n\n", calls: "list; fetch"},

		{name: "what has no effect is said once", remote: fake{listing: small},
			in: "option depth 1\noption deepen-since yesterday\noption deepen-not v1\noption deepen-relative true\noption filter blob:none\n" +
				"option refetch true\noption updateshallow yes\noption update-shallow true\noption family ipv4\n\n",
			out: strings.Repeat("unsupported\n", 9), stderr: noEffect},
		{name: "unknown options",
			in:  "option servpath x\noption new-thing\noption check-connectivity true\noption object-format sha256\n\n",
			out: "unsupported\nunsupported\nunsupported\nunsupported\n"},

		{name: "push: nothing is opened", in: "capabilities\noption object-format true\nlist for-push\n", out: caps + "ok\n", err: "aig cannot push: let the other side run git fetch"},

		{name: "an unknown command", in: "connect git-upload-pack\n", err: `"connect"`},
		{name: "a command that could be a terminal's", in: "\x1b[2J\n", err: `"\x1b[2J"`},
		{name: "a line too long", in: "option x " + strings.Repeat("y", bufio.MaxScanTokenSize) + "\n", err: "too long"},
		{name: "an end in the middle of a line", remote: fake{listing: small}, in: "list\nfet", out: smallLines, calls: "list; leave", err: `unknown command: "fet"`},
		{name: "an end in the middle of a batch: nothing is fetched", remote: fake{listing: small},
			in: "list\nfetch " + one + " HEAD\n", out: smallLines, calls: "list; leave", err: "git went away"},
		{name: "another command in the middle of a batch", remote: fake{listing: small},
			in: "fetch " + one + " HEAD\nlist\n\n", err: `"list" in the middle of a batch of fetch commands`},
		{name: "an end without the blank line", remote: fake{listing: small}, in: "list\n", out: smallLines, calls: "list; leave"},
		{name: "a list that fails", remote: fake{listErr: broken}, in: "list\n\n", calls: "list", err: "the pipe broke"},
		{name: "a fetch that fails", remote: fake{listing: small, fetchErr: broken},
			in: "list\nfetch " + one + " HEAD\n\n\n", out: smallLines, calls: "list; fetch", err: "the pipe broke"},
		{name: "an end that fails too: the first error counts", remote: fake{listing: small, leaveErr: errors.New("no goodbye")},
			in: "list\nconnect\n", out: smallLines, calls: "list; leave", err: `"connect"`},
		{name: "an end that fails", remote: fake{listing: small, leaveErr: broken}, in: "list\n\n", out: smallLines, calls: "list; leave", err: "the pipe broke"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, stderr bytes.Buffer
			err := Serve(t.Context(), strings.NewReader(tt.in), &out, &stderr, tt.remote.remote)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, not one with %q", err, tt.err)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q is more than one line", err)
			}
			if out.String() != tt.out {
				t.Errorf("git reads\n%s\nand should read\n%s", out.String(), tt.out)
			}
			if stderr.String() != tt.stderr {
				t.Errorf("the user reads\n%s\nand should read\n%s", stderr.String(), tt.stderr)
			}
			if calls := strings.Join(tt.remote.calls, "; "); calls != tt.calls {
				t.Errorf("the Remote was asked %q, not %q", calls, tt.calls)
			}
		})
	}
}

// serveOnPipe runs Serve on the operating system's pipes, as git starts helpers, and returns git's ends of them.
func serveOnPipe(t *testing.T, ctx context.Context, remote Remote) (git *os.File, answers *bufio.Reader, served <-chan error) {
	t.Helper()
	in, git, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	answersEnd, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range []*os.File{in, git, answersEnd, out} {
			f.Close()
		}
	})
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, in, out, io.Discard, remote) }()
	return git, bufio.NewReader(answersEnd), done
}

func await(t *testing.T, served <-chan error) error {
	t.Helper()
	select {
	case err := <-served:
		return err
	case <-time.After(30 * time.Second):
		t.Fatal("Serve hangs")
		return nil
	}
}

// A git that is killed while objects come ends the fetch.
func TestGitGoesDuringFetch(t *testing.T) {
	b := &fake{listing: small, fetching: make(chan struct{})}
	git, _, served := serveOnPipe(t, t.Context(), b.remote)
	fmt.Fprintf(git, "fetch %s HEAD\n\n", one)
	<-b.fetching
	git.Close()
	if err := await(t, served); !errors.Is(err, errGone) {
		t.Errorf("error %v, not %v", err, errGone)
	}
}

// A git that is killed while the peer is waited for ends the wait.
func TestGitGoesDuringList(t *testing.T) {
	git, _, served := serveOnPipe(t, t.Context(), func(ctx context.Context, _ Decide) error {
		<-ctx.Done()
		return context.Cause(ctx)
	})
	fmt.Fprintln(git, "list")
	git.Close()
	if err := await(t, served); !errors.Is(err, errGone) {
		t.Errorf("error %v, not %v", err, errGone)
	}
}

// A git that goes once it has decided against a fetch, as it always does, or without a word, doesn't disturb the goodbye.
func TestGitGoesDuringGoodbye(t *testing.T) {
	for _, says := range []string{"list\n\n", "list\n"} {
		synctest.Test(t, func(t *testing.T) {
			in, git := io.Pipe()
			answers, out := io.Pipe()
			go func() {
				io.WriteString(git, says[:5])
				io.ReadFull(answers, make([]byte, len(smallLines)))
				io.WriteString(git, says[5:])
				git.Close()
			}()
			err := Serve(t.Context(), in, out, io.Discard, func(ctx context.Context, decide Decide) error {
				if wanted, _, err := decide(small); wanted || err != nil {
					t.Errorf("wanted %t, error %v", wanted, err)
				}
				synctest.Wait() // the end has been noticed
				return ctx.Err()
			})
			if err != nil {
				t.Errorf("after %q: %v", says, err)
			}
		})
	}
}

// The end of the context ends Serve, whether it waits for the Remote or for git.
func TestContextEnds(t *testing.T) {
	interrupted := errors.New("interrupted")
	t.Run("during a fetch", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		b := &fake{listing: small, fetching: make(chan struct{})}
		git, _, served := serveOnPipe(t, ctx, b.remote)
		fmt.Fprintf(git, "fetch %s HEAD\n\n", one)
		<-b.fetching
		cancel(interrupted)
		if err := await(t, served); !errors.Is(err, interrupted) {
			t.Errorf("error %v, not %v", err, interrupted)
		}
	})
	t.Run("between commands", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		f := &fake{listing: small}
		git, answers, served := serveOnPipe(t, ctx, f.remote)
		fmt.Fprint(git, "list\noption verbosity 1\n")
		for line := ""; line != "ok\n"; {
			var err error
			if line, err = answers.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		cancel(interrupted)
		if err := await(t, served); !errors.Is(err, interrupted) {
			t.Errorf("error %v, not %v", err, interrupted)
		}
		if calls := strings.Join(f.calls, "; "); calls != "list" {
			t.Errorf("the Remote was asked %q; an interruption is no peaceful end", calls)
		}
	})
}

// An answer that git no longer reads is an error, not a success.
func TestGitDoesNotRead(t *testing.T) {
	r, w := io.Pipe()
	r.Close()
	err := Serve(t.Context(), strings.NewReader("capabilities\n\n"), w, io.Discard, (&fake{}).remote)
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error %v, not %v", err, io.ErrClosedPipe)
	}
}

// A batch of any length is one decision.
func TestLargeBatch(t *testing.T) {
	var in strings.Builder
	const n = 50_000
	for i := range n {
		in.WriteString("fetch " + one + " refs/heads/" + strings.Repeat("x", 1+i%50) + "\n")
	}
	in.WriteString("\n\n")
	r := &fake{listing: small}
	if err := Serve(t.Context(), strings.NewReader(in.String()), io.Discard, io.Discard, r.remote); err != nil {
		t.Fatal(err)
	}
	if len(r.calls) != 2 {
		t.Errorf("the Remote was asked %q", r.calls)
	}
}
