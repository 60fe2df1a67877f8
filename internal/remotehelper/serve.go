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

// Remote has the whole conversation with the peer. Once it knows the peer's references it calls decide. If git then wants objects, it
// brings all of the peer's into the repository that git set for us (GIT_DIR): git finds out by itself which of its wants didn't come.
// If not, it says goodbye to the peer. After an error of decide's it does neither. Its context ends if git goes without its answer.
type Remote func(ctx context.Context, decide Decide) error

// Decide answers git until git wants objects, and then says whether it wants to see progress too, or until it wants no more.
type Decide func(Listing) (wanted, progress bool, err error)

var (
	errGone = errors.New("git went away before it had its answer")
	errPush = errors.New("aig cannot push: let the other side run git fetch")
)

// Serve answers git's commands on in with lines on out until git has no more. After an error the helper must print it and
// exit with a status other than 0: for most errors git prints nothing itself. Warnings go to stderr, a line each.
//
// What notices the end of in while the Remote is busy, a goroutine that reads from in, outlives Serve until then: after an error
// git keeps its end open until the helper has exited, so Serve can't wait for it.
func Serve(ctx context.Context, in io.Reader, out io.Writer, stderr io.Writer, remote Remote) error {
	s := &server{lines: make(chan string), out: bufio.NewWriter(out), stderr: stderr}
	git, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		// It reads one line ahead of what was asked for.
		scanner := bufio.NewScanner(in)
		for scanner.Scan() {
			select {
			case s.lines <- scanner.Text():
			case <-git.Done():
				return
			}
		}
		if err := scanner.Err(); err != nil {
			stop(fmt.Errorf("reading from git: %w", err))
		}
		stop(errGone) // the first reason counts
	}()
	return s.serve(ctx, git, remote)
}

type server struct {
	lines   chan string   // from git
	out     *bufio.Writer // written to by one goroutine at a time
	stderr  io.Writer
	listing Listing
	fetched bool // the objects have come

	progress     bool // git wants progress to be shown
	objectFormat bool // git wants to hear the object format in a listing
	warned       bool // that an option has no effect
}

// serve answers git, and what needs the peer in the middle of the Remote's conversation. The context git ends with ctx, or when git
// goes.
func (s *server) serve(ctx, git context.Context, remote Remote) error {
	command, err := s.next(git)
	if command == "" || err != nil {
		return err
	}
	conversing, end := context.WithCancelCause(ctx)
	defer end(nil)
	endWithGit := func() { end(context.Cause(git)) }
	stop := context.AfterFunc(git, endWithGit)
	var wanted bool
	ended := remote(conversing, func(l Listing) (bool, bool, error) {
		stop() // git may go now, if it wants nothing
		s.listing = sift(l, s.stderr)
		if wanted, err = s.answer(git, command); wanted {
			context.AfterFunc(git, endWithGit)
		}
		return wanted, s.progress, context.Cause(ctx)
	})
	if err == nil {
		err = ended
	}
	if err == nil && wanted {
		s.fetched = true
		_, err = s.answer(git, "fetch")
	}
	return err
}

// answer answers a command and those that follow. It returns early, with true, at a batch that wants objects.
func (s *server) answer(ctx context.Context, command string) (wanted bool, err error) {
	for command != "" {
		switch {
		case command == "list":
			err = s.list()
		case s.fetched: // a second batch is for tags: there is nothing left to come
			fmt.Fprintln(s.out)
		default:
			return true, nil
		}
		if err == nil {
			command, err = s.next(ctx)
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// next returns the next command that needs the peer, list or a batch of fetch, and "" if git wants no more. It answers those before it.
func (s *server) next(ctx context.Context) (command string, err error) {
	for {
		verb, rest, err := s.line(ctx)
		switch {
		case errors.Is(err, errGone):
			return "", nil
		case err != nil:
			return "", err
		}
		switch verb {
		case "capabilities":
			fmt.Fprint(s.out, "option\nfetch\npush\nobject-format\n\n")
		case "option":
			s.setOption(rest)
		case "list":
			if rest == "for-push" {
				return "", errPush // to which git adds nothing
			}
			return verb, nil
		case "fetch": // what a batch asks for doesn't matter: everything comes
			for verb == "fetch" && err == nil {
				verb, _, err = s.line(ctx)
			}
			if err == nil && verb != "" {
				err = fmt.Errorf("git sent %.200q in the middle of a batch of fetch commands", verb)
			}
			return "fetch", err
		case "":
			return "", nil
		default:
			return "", fmt.Errorf("git sent an unknown command: %.200q", verb)
		}
	}
}

// line returns the next line from git, a verb and the rest, when git has the answers to all lines before. An empty verb ends a batch
// or, outside of one, the conversation.
func (s *server) line(ctx context.Context) (verb, rest string, err error) {
	if err := s.out.Flush(); err != nil {
		return "", "", fmt.Errorf("answering git: %w", err)
	}
	select {
	case line := <-s.lines:
		verb, rest, _ = strings.Cut(line, " ")
		return verb, rest, nil
	case <-ctx.Done():
		return "", "", context.Cause(ctx)
	}
}

func (s *server) list() error {
	if !s.objectFormat && s.listing.Format != oid.SHA1 {
		return fmt.Errorf("the peer's repository has object format %s, and this git didn't ask for it: it needs git 2.29 or newer",
			s.listing.Format)
	}
	s.listing.write(s.out, s.objectFormat)
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
