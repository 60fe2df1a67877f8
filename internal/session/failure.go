package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"aig/internal/git"
	"aig/internal/wire"
)

// PeerError says that the peer gave up, with the reason it gave.
type PeerError struct{ Reason string }

func (e *PeerError) Error() string { return fmt.Sprintf("the peer gave up: %q", e.Reason) }

// OmittedError says that a conversation came to its end, but some objects were left out: the side that has them can't read
// them, or the other side refuses them. Everything else is stored on both sides.
type OmittedError struct {
	Ours, Theirs int
}

func (e *OmittedError) Error() string {
	const ours, theirs = "%d of our objects can't be read here or were refused by the peer, and were left out: the warnings above name them; git fsck shows what is damaged",
		"%d of the peer's objects can't be read there or were refused here, and were left out: the warnings name them; its side should run git fsck"
	var what []string
	if e.Ours > 0 {
		what = append(what, fmt.Sprintf(ours, e.Ours))
	}
	if e.Theirs > 0 {
		what = append(what, fmt.Sprintf(theirs, e.Theirs))
	}
	return strings.Join(what, "; ") + "; everything else is stored"
}

// maxWarned bounds how many objects are named that either side refuses or leaves out; it may be all of them.
const maxWarned = 100

// warn names an object that either side refuses or leaves out.
func (s *session) warn(format string, args ...any) {
	switch n := s.warned.Add(1); {
	case n <= maxWarned:
		s.o.Warn(fmt.Sprintf(format, args...))
	case n == maxWarned+1:
		s.o.Warn("more objects are refused or left out; they are not named")
	}
}

// fail ends the conversation with its first failure, tells the peer, and returns that failure.
func (s *session) fail(err error) error {
	s.failing.Do(func() {
		s.cancel(err)
		s.sayWhy(err)
		s.pipe.Close() // frees whoever waits in Read or Write
	})
	return context.Cause(s.ctx)
}

// ownError is a failure on this side. It may name paths, so its details are not for the peer.
type ownError struct {
	at  string // what we were doing
	err error
}

// Own says that something failed on this side, and what we were doing. The peer is told no more of it than that.
func Own(at string, err error) error {
	if err == nil {
		return nil
	}
	return &ownError{at, err}
}

func (e *ownError) Error() string { return e.at + ": " + e.err.Error() }
func (e *ownError) Unwrap() error { return e.err }

// toldReason returns what to tell the peer of a failure: nothing about this machine, and nothing at all before the two hellos
// have been found to match.
func (s *session) toldReason(err error) string {
	var failed *ownError
	switch {
	case !s.compared.Load():
		return "no reason is given until the two hellos are found to match"
	case errors.As(err, &failed):
		return failed.at + " failed on this side" + machineReason(err) + "; see its own message"
	case errors.As(err, new(*git.Error)), errors.As(err, new(*fs.PathError)):
		return "something failed on this side" + machineReason(err) + "; see its own message"
	}
	return err.Error()
}

// machineReason returns why this machine failed, in words of the system's or git's that name nothing on it.
func machineReason(err error) string {
	var failed *git.Error
	var number syscall.Errno
	switch {
	case errors.As(err, &failed) && failed.OutOfMemory():
		return ": not enough memory, or aig.maxMemory is too low"
	case errors.As(err, &failed):
		for _, words := range git.MachineWords() {
			if failed.Says(words) {
				return ": " + words
			}
		}
		return ": " + failed.Err.Error() // how git ended, such as by a signal
	case errors.As(err, &number):
		text := number.Error()
		return ": " + strings.ToUpper(text[:1]) + text[1:] // as git spells it
	}
	return ""
}

// sayWhy tells the peer why we give up, if it still can.
func (s *session) sayWhy(err error) {
	if errors.As(err, new(*PeerError)) || isPipe(err) {
		return
	}
	// The write blocks if the peer does not read.
	timer := time.AfterFunc(lastWords, func() { s.pipe.Close() })
	defer timer.Stop()
	if s.out.Write(wire.TypeAbort, wire.AppendText(nil, s.toldReason(err))) == nil {
		s.pipe.CloseWrite()
	}
}

// pipeError says that the pipe itself failed or ended.
type pipeError struct {
	while string
	err   error
}

func (e *pipeError) Error() string {
	if errors.Is(e.err, io.ErrUnexpectedEOF) || errors.Is(e.err, io.EOF) {
		return fmt.Sprintf("the pipe ended %s: the link broke or the other side was stopped; "+
			"what has arrived complete is kept; run the same command again, with a new token if it had one", e.while)
	}
	if silent := errSilent(0); errors.As(e.err, &silent) {
		return fmt.Sprintf("%v %s: the link or the other side is stuck", silent, e.while)
	}
	return fmt.Sprintf("the pipe failed %s: %v", e.while, e.err)
}

func (e *pipeError) Unwrap() error { return e.err }

// isPipe reports whether an error means that the peer can't be told anything any more.
func isPipe(err error) bool {
	var broken *pipeError
	return errors.As(err, &broken)
}
