// Package remotehelper speaks git's remote-helper line protocol (gitremote-helpers(7)) with the git that started the
// helper: git writes commands to our standard input, one a line, and reads the answers from our standard output.
//
// The package knows the lines and nothing of what is behind them: a Remote lists references and brings objects. What git
// writes is parsed strictly; what a Remote lists was named by a stranger, and is checked before git reads it.
//
// The push capability is there so that a push can be refused well: without it git says no more than "failed to push some
// refs". connect and stateless-connect are not offered: with them git starts the helper a second time in one fetch to
// follow tags, and what a helper is started with may be good for one time only. Nor is check-connectivity: git spares its
// own check only for a helper that keeps its one pack by a .keep file, which this one never does.
package remotehelper

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
)

// Remote is what is at the other end. Serve calls its methods one at a time.
type Remote interface {
	// List opens the connection and returns the peer's references. It is called at most once.
	List(ctx context.Context) (Listing, error)

	// Fetch brings all objects of the peer's into the repository that git set for us (GIT_DIR), showing progress if asked
	// to. It is called after List, and possibly again: git asks for tags that it wants to follow in a second batch. git
	// finds out by itself what of its wants didn't come.
	Fetch(ctx context.Context, progress bool) error

	// Leave ends the conversation in peace: git wants nothing more, and may have wanted nothing but the list. It is called
	// once, if List has succeeded, no Fetch has failed and Serve's context has not ended. git waits for it.
	Leave(ctx context.Context) error
}

// whyNoPush is what git shows beside each reference that it was asked to push.
const whyNoPush = "aig gives no references away: let the other side run git fetch"

// Serve answers git's commands on in with lines on out until git has no more. After an error the helper must exit with a
// status other than 0, having printed the error: git itself prints none for most of them. Warnings go to stderr, a line each.
//
// While the Remote is busy, an end of in means that git has gone, and ends the call's context. When ctx ends, Serve
// returns its cause; a read from in that is under way then is ended by SetReadDeadline, and if in has no deadlines (or
// its SetReadDeadline fails, as a blocking file's does) one goroutine stays behind in Read.
func Serve(ctx context.Context, in io.Reader, out io.Writer, stderr io.Writer, remote Remote) error {
	s := &server{remote: remote, lines: newLines(in), out: bufio.NewWriter(out), stderr: stderr}
	defer s.lines.close()

	err := s.run(ctx)
	if s.pushing && err == nil {
		fmt.Fprintf(stderr, "warning: %s\n", whyNoPush) // to `git push --delete`, which finds nothing to delete and asks no more
	}
	if s.listing == nil || s.broken || ctx.Err() != nil {
		return err
	}
	return errors.Join(err, remote.Leave(ctx))
}

type server struct {
	remote  Remote
	lines   *lines
	out     *bufio.Writer // written to by Serve's goroutine only
	stderr  io.Writer
	options options
	listing *Listing // nil until List has succeeded
	broken  bool     // a Fetch has failed, and with it the conversation
	pushing bool     // git is about to push, and has not been told that it can't
}

// run answers one command or batch after the other, until git says or shows that it wants no more.
func (s *server) run(ctx context.Context) error {
	for {
		c, err := s.next(ctx)
		if errors.Is(err, io.EOF) || err == nil && c.verb == blank {
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
	if err != nil {
		return command{}, err
	}
	return parseCommand(line)
}

func (s *server) answer(ctx context.Context, c command) error {
	switch c.verb {
	case capabilities:
		fmt.Fprint(s.out, "option\nfetch\npush\nobject-format\n\n")
	case option:
		s.setOption(c)
	case list:
		return s.list(ctx)
	case listForPush:
		s.pushing = true
		// Nothing is opened for a push, and no reference of the peer's must make git think that it is up to date.
		fmt.Fprintln(s.out)
	case fetch:
		return s.fetch(ctx, c)
	case push:
		return s.push(ctx, c)
	}
	return nil
}

func (s *server) setOption(c command) {
	answer, warning := s.options.set(c)
	if warning != "" {
		fmt.Fprintf(s.stderr, "warning: %s\n", warning)
	}
	fmt.Fprintln(s.out, answer)
}

func (s *server) list(ctx context.Context) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	if !s.options.objectFormat && s.listing.ObjectFormat != "sha1" {
		return fmt.Errorf("the peer's repository has object format %s, and this git didn't ask for it: it needs git 2.29 or newer",
			s.listing.ObjectFormat)
	}
	s.listing.write(s.out, s.options.objectFormat)
	return nil
}

// open lists the peer's references, if that hasn't been done.
func (s *server) open(ctx context.Context) error {
	if s.listing != nil {
		return nil
	}
	var raw Listing
	err := s.lines.during(ctx, func(ctx context.Context) (err error) {
		raw, err = s.remote.List(ctx)
		return err
	})
	if err != nil {
		return err
	}
	// The conversation is open from here on, even if the listing is of no use.
	s.listing = &Listing{}
	sifted, err := sift(raw, s.stderr)
	if err != nil {
		return err
	}
	s.listing = &sifted
	return nil
}

// fetch takes the batch that begins with c and answers it.
func (s *server) fetch(ctx context.Context, c command) error {
	batch, err := s.batch(ctx, c)
	if err != nil {
		return err
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	for _, c := range batch {
		if len(c.oid) != hexDigits(s.listing.ObjectFormat) {
			return fmt.Errorf("git wants to fetch %s, which is no %s object name", c.oid, s.listing.ObjectFormat)
		}
	}
	err = s.lines.during(ctx, func(ctx context.Context) error { return s.remote.Fetch(ctx, s.options.progress) })
	if err != nil {
		s.broken = true
		return err
	}
	fmt.Fprintln(s.out)
	return nil
}

// push takes the batch that begins with c and refuses it, reference by reference.
func (s *server) push(ctx context.Context, c command) error {
	batch, err := s.batch(ctx, c)
	if err != nil {
		return err
	}
	s.pushing = false
	for _, c := range batch {
		fmt.Fprintf(s.out, "error %s %s\n", c.destination, whyNoPush)
	}
	fmt.Fprintln(s.out)
	return nil
}

// batch returns first and the commands of its kind that follow it, up to the blank line. Options may stand in a batch of
// pushes; they are answered at once.
func (s *server) batch(ctx context.Context, first command) ([]command, error) {
	batch := []command{first}
	for {
		c, err := s.next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("git went away in the middle of a batch of %d %s commands", len(batch), first.verb)
		case err != nil:
			return nil, err
		case c.verb == blank:
			return batch, nil
		case c.verb == first.verb:
			batch = append(batch, c)
		case c.verb == option && first.verb == push:
			s.setOption(c)
			if err := s.out.Flush(); err != nil {
				return nil, fmt.Errorf("answering git: %w", err)
			}
		default:
			return nil, fmt.Errorf("git sent %q in the middle of a batch of %s commands", c.verb, first.verb)
		}
	}
}
