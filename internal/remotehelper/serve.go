// Package remotehelper speaks git's remote-helper line protocol (gitremote-helpers(7)) with the git that started the
// helper: git writes commands to our standard input, one a line, and reads the answers from our standard output.
//
// The package knows the lines and nothing of what is behind them: a Remote lists references and brings objects. What git
// writes is trusted; what a Remote lists was named by a stranger, and is checked before git reads it.
//
// The push capability is offered so that a push is refused with a reason and before it opens a connection: without it git asks
// for a plain list. connect and stateless-connect are not offered: with them git starts the helper a second time in one fetch to
// follow tags, and a token in its address may work only once. Nor is check-connectivity: git skips its own check only for a helper
// that keeps its one pack with a .keep file, which this one never does.
package remotehelper

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"aig/internal/oid"
)

// Remote is what is at the other end. Serve calls its methods one at a time.
type Remote interface {
	// List opens the connection and returns the peer's references. It is called at most once.
	List(ctx context.Context) (Listing, error)

	// Fetch brings all of the peer's objects into the repository that git set for us (GIT_DIR), showing progress if asked
	// to. It is called after List, and possibly again: git asks for tags that it wants to follow in a second batch. git
	// finds out by itself which of its wants didn't come.
	Fetch(ctx context.Context, progress bool) error

	// Leave ends the conversation in peace: git wants nothing more, and may have wanted only the list. It is called once,
	// if List has succeeded, no Fetch has failed and Serve's context has not ended. git waits for it.
	Leave(ctx context.Context) error
}

var (
	errGone = errors.New("git went away before it had its answer")
	errPush = errors.New("aig cannot push: let the other side run git fetch")
)

// Serve answers git's commands on in with lines on out until git has no more. After an error the helper must print it and
// exit with a status other than 0: for most errors git prints nothing itself. Warnings go to stderr, a line each.
//
// The end of in means that git has gone, and ends the context of a call to the Remote. What notices it, a goroutine that
// reads from in, outlives Serve until then: after an error git keeps its end open until the helper has exited, so Serve can't
// wait for it.
func Serve(ctx context.Context, in io.Reader, out io.Writer, stderr io.Writer, remote Remote) error {
	s := &server{remote: remote, lines: make(chan string), out: bufio.NewWriter(out), stderr: stderr}
	serving, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		// It reads one line ahead of what was asked for, and so notices the end while the Remote is busy.
		scanner := bufio.NewScanner(in)
		for scanner.Scan() {
			select {
			case s.lines <- scanner.Text():
			case <-serving.Done():
				return
			}
		}
		if err := scanner.Err(); err != nil {
			stop(fmt.Errorf("reading from git: %w", err))
		}
		stop(errGone) // the first reason counts
	}()
	err := s.run(serving)
	if s.listing == nil || s.broken || ctx.Err() != nil {
		return err
	}
	if leaveErr := remote.Leave(ctx); err == nil {
		err = leaveErr
	}
	return err
}

type server struct {
	remote  Remote
	lines   chan string   // from git
	out     *bufio.Writer // written to by Serve's goroutine only
	stderr  io.Writer
	listing *Listing // nil until List has succeeded
	broken  bool     // a Fetch has failed, and with it the conversation

	progress     bool // git wants progress to be shown
	objectFormat bool // git wants to hear the object format in a listing
	warned       bool // that an option has no effect
}

// run answers one command or batch after the other, until git says or shows that it wants no more.
func (s *server) run(ctx context.Context) error {
	for {
		verb, rest, err := s.next(ctx)
		if errors.Is(err, errGone) || err == nil && verb == "" {
			return nil
		}
		if err == nil {
			err = s.answer(ctx, verb, rest)
		}
		if err != nil {
			return err
		}
		if err := s.out.Flush(); err != nil {
			return fmt.Errorf("answering git: %w", err)
		}
	}
}

// next returns the next line from git: a verb, and the rest. An empty verb ends a batch or, outside of one, the conversation.
func (s *server) next(ctx context.Context) (verb, rest string, err error) {
	select {
	case line := <-s.lines:
		verb, rest, _ = strings.Cut(line, " ")
		return verb, rest, nil
	case <-ctx.Done():
		return "", "", context.Cause(ctx)
	}
}

func (s *server) answer(ctx context.Context, verb, rest string) error {
	switch verb {
	case "capabilities":
		fmt.Fprint(s.out, "option\nfetch\npush\nobject-format\n\n")
	case "option":
		s.setOption(rest)
	case "list":
		if rest == "for-push" {
			return errPush // to which git adds nothing
		}
		return s.list(ctx)
	case "fetch":
		return s.fetch(ctx)
	default:
		return fmt.Errorf("git sent an unknown command: %.200q", verb)
	}
	return nil
}

func (s *server) list(ctx context.Context) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	if !s.objectFormat && s.listing.Format != oid.SHA1 {
		return fmt.Errorf("the peer's repository has object format %s, and this git didn't ask for it: it needs git 2.29 or newer",
			s.listing.Format)
	}
	s.listing.write(s.out, s.objectFormat)
	return nil
}

// open lists the peer's references, unless that has been done.
func (s *server) open(ctx context.Context) error {
	if s.listing != nil {
		return nil
	}
	raw, err := s.remote.List(ctx)
	if err == nil {
		sifted := sift(raw, s.stderr)
		s.listing = &sifted
	}
	return err
}

// fetch answers a batch, of which the first line has been read. What it asks for doesn't matter: everything comes.
func (s *server) fetch(ctx context.Context) error {
	for verb := "fetch"; verb != ""; {
		var err error
		if verb, _, err = s.next(ctx); err != nil {
			return err
		}
		if verb != "" && verb != "fetch" {
			return fmt.Errorf("git sent %.200q in the middle of a batch of fetch commands", verb)
		}
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.remote.Fetch(ctx, s.progress); err != nil {
		s.broken = true
		return err
	}
	fmt.Fprintln(s.out)
	return nil
}

// setOption answers an option command.
func (s *server) setOption(option string) {
	name, value, _ := strings.Cut(option, " ")
	answer := "unsupported"
	switch name {
	case "progress":
		s.progress = value == "true"
		answer = "ok"
	case "object-format":
		// git only ever sends "true", and up to git 2.44 no value; those versions die of any answer but "ok".
		s.objectFormat = value == "" || value == "true"
		if s.objectFormat {
			answer = "ok"
		}
	case "verbosity", "cloning", "followtags":
		answer = "ok" // nothing here depends on them
	case "depth", "deepen-since", "deepen-not", "deepen-relative", "filter", "refetch", "update-shallow", "updateshallow", "family":
		if value == "0" || value == "false" {
			answer = "ok" // the second fetch, for tags, resets what the first may have set
		} else if !s.warned {
			s.warned = true
			fmt.Fprintln(s.stderr, "warning: --depth, --filter, --refetch, -4 and the like have no effect with aig: "+
				"all that is missing is fetched, over the pipe that the address opens")
		}
	}
	fmt.Fprintln(s.out, answer)
}
