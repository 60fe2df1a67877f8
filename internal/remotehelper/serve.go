// Package remotehelper speaks git's remote-helper line protocol (gitremote-helpers(7)) with the git that started the
// helper: git writes commands to our standard input, one a line, and reads the answers from our standard output.
//
// The package knows the lines and nothing of what is behind them: a Remote lists references and brings objects. What git
// writes is trusted; what a Remote lists was named by a stranger, and is checked before git reads it.
//
// The push capability is offered so that a push can be refused with a reason: without it git says no more than "failed to
// push some refs". connect and stateless-connect are not offered: with them git starts the helper a second time in one
// fetch to follow tags, and a token in its address may work only once. Nor is check-connectivity: git skips its own check
// only for a helper that keeps its one pack with a .keep file, which this one never does.
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

// whyNoPush is what git shows beside each reference that it was asked to push.
const whyNoPush = "aig cannot push: let the other side run git fetch"

// Serve answers git's commands on in with lines on out until git has no more. After an error the helper must print it and
// exit with a status other than 0: for most errors git prints nothing itself. Warnings go to stderr, a line each.
//
// While the Remote is busy, an end of in means that git has gone, and ends the call's context. When ctx ends, Serve
// returns its cause, and ends a pending read from in by SetReadDeadline. If in has no deadlines, or its SetReadDeadline
// fails, as a blocking file's does, one goroutine stays behind in Read.
func Serve(ctx context.Context, in io.Reader, out io.Writer, stderr io.Writer, remote Remote) error {
	s := &server{remote: remote, lines: newLines(in), out: bufio.NewWriter(out), stderr: stderr, said: make(map[string]bool)}
	defer s.lines.close()

	err := s.run(ctx)
	if s.pushing && err == nil {
		fmt.Fprintf(stderr, "warning: %s\n", whyNoPush) // for `git push --delete`, which finds nothing to delete and asks no more
	}
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
	lines   *lines
	out     *bufio.Writer // written to by Serve's goroutine only
	stderr  io.Writer
	listing *Listing // nil until List has succeeded
	broken  bool     // a Fetch has failed, and with it the conversation
	pushing bool     // git is about to push, and has not been told that it can't

	progress     bool            // git wants progress to be shown
	objectFormat bool            // git wants to hear the object format in a listing
	said         map[string]bool // warnings about options
}

// command is one line from git: a verb, and the rest. An empty verb ends a batch or, outside of one, the conversation.
type command struct{ verb, rest string }

// run answers one command or batch after the other, until git says or shows that it wants no more.
func (s *server) run(ctx context.Context) error {
	for {
		c, err := s.next(ctx)
		if errors.Is(err, io.EOF) || err == nil && c.verb == "" {
			return nil
		}
		if err == nil {
			err = s.answer(ctx, c)
		}
		if err != nil {
			return err
		}
		if err := s.out.Flush(); err != nil {
			return fmt.Errorf("answering git: %w", err)
		}
	}
}

func (s *server) next(ctx context.Context) (command, error) {
	line, err := s.lines.next(ctx)
	verb, rest, _ := strings.Cut(line, " ")
	return command{verb, rest}, err
}

func (s *server) answer(ctx context.Context, c command) error {
	switch c.verb {
	case "capabilities":
		fmt.Fprint(s.out, "option\nfetch\npush\nobject-format\n\n")
	case "option":
		s.setOption(c.rest)
	case "list":
		return s.list(ctx, c.rest == "for-push")
	case "fetch":
		return s.fetch(ctx, c)
	case "push":
		return s.push(ctx, c)
	default:
		return fmt.Errorf("git sent an unknown command: %.200q", c.verb)
	}
	return nil
}

func (s *server) list(ctx context.Context, forPush bool) error {
	if forPush {
		s.pushing = true
		// A push opens no connection, and no reference of the peer's must make git think that it is up to date.
		fmt.Fprintln(s.out)
		return nil
	}
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
	return s.lines.during(ctx, func(ctx context.Context) error {
		raw, err := s.remote.List(ctx)
		if err == nil {
			sifted := sift(raw, s.stderr)
			s.listing = &sifted
		}
		return err
	})
}

// fetch reads the batch that begins with c and answers it. What it asks for doesn't matter: everything comes.
func (s *server) fetch(ctx context.Context, c command) error {
	if _, err := s.batch(ctx, c); err != nil {
		return err
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	err := s.lines.during(ctx, func(ctx context.Context) error { return s.remote.Fetch(ctx, s.progress) })
	if err != nil {
		s.broken = true
		return err
	}
	fmt.Fprintln(s.out)
	return nil
}

// push reads the batch that begins with c and refuses it, reference by reference.
func (s *server) push(ctx context.Context, c command) error {
	batch, err := s.batch(ctx, c)
	if err != nil {
		return err
	}
	s.pushing = false
	for _, c := range batch { // "push [+][<source>]:<destination>"
		_, destination, _ := strings.Cut(c.rest, ":")
		fmt.Fprintf(s.out, "error %s %s\n", destination, whyNoPush)
	}
	fmt.Fprintln(s.out)
	return nil
}

// batch returns first and the commands of the same verb that follow, up to the blank line. A batch of pushes may hold
// options; they are answered at once.
func (s *server) batch(ctx context.Context, first command) ([]command, error) {
	batch := []command{first}
	for {
		c, err := s.next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("git went away in the middle of a batch of %d %s commands", len(batch), first.verb)
		case err != nil:
			return nil, err
		case c.verb == "":
			return batch, nil
		case c.verb == first.verb:
			batch = append(batch, c)
		case c.verb == "option" && first.verb == "push":
			s.setOption(c.rest)
			if err := s.out.Flush(); err != nil {
				return nil, fmt.Errorf("answering git: %w", err)
			}
		default:
			return nil, fmt.Errorf("git sent %q in the middle of a batch of %s commands", c.verb, first.verb)
		}
	}
}
