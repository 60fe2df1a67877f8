package switchboard

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// session is the session channel of a client (RFC 4254, section 6).
type session struct {
	client  *client
	channel ssh.Channel
	forward bool          // a port forward was asked for before it was opened
	start   chan start    // the first request for a command, shell or subsystem
	gone    chan struct{} // closed when the channel is closed or its connection has ended

	write    sync.Mutex // guards sentEOF, and orders end of file after everything else
	sentEOF  bool
	finished sync.Once
}

// start is a request that starts something in a session, or why it is refused.
type start struct {
	command command
	err     error
}

func newSession(c *client, channel ssh.Channel, forward bool) *session {
	return &session{client: c, channel: channel, forward: forward, start: make(chan start, 1), gone: make(chan struct{})}
}

// serveRequests answers the session's requests until the channel is closed.
func (s *session) serveRequests(requests <-chan *ssh.Request) {
	defer close(s.gone)
	var spoilt error // what was asked for that the command is refused for
	if s.forward {
		spoilt = &refusal{refusedForward, "no port forwarding here; try ssh -o ClearAllForwardings=yes"}
	}
	spoil := func(line string) {
		if spoilt == nil {
			spoilt = &refusal{refusedRequest, line}
		}
	}
	started := false
	for r := range requests {
		if !s.client.allow() {
			continue
		}
		ok := !started
		starts := ok
		var st start
		switch r.Type {
		case "exec":
			if st.command, st.err = parseExec(r.Payload); st.err != nil {
				st.err = &refusal{unknownCommand, st.err.Error() + "; ask for \"new\" or for a token"}
			}
		case "shell", "subsystem":
			st.err = &refusal{refusedRequest, "no " + r.Type + " here; ask for \"new\" or for a token, as in: ssh HOST new"}
		case "pty-req":
			// There is none, but to say so here would make ssh -tt give up with a status of its own before it could read the
			// line.
			starts = false
			spoil("no terminal here; try ssh -T")
		case "auth-agent-req@openssh.com":
			ok, starts = false, false
			spoil("no agent forwarding here; try ssh -a")
		case "x11-req":
			ok, starts = false, false
			spoil("no X11 forwarding here; try ssh -x")
		default: // such as "env" and "window-change", which do no harm unheeded
			ok, starts = false, false
		}
		if starts {
			s.client.meter.turn(obeying, backlogBudget)
		}
		// A refused command is answered with success, too: only then does a client show what follows on standard error and
		// take the exit status as its own.
		if r.WantReply {
			r.Reply(ok, nil)
		}
		if starts {
			started = true
			if st.err == nil {
				st.err = spoilt
			}
			s.start <- st
		}
	}
}

// discardStderr throws away what the client sends as standard error, which would fill its window.
func (s *session) discardStderr() { io.Copy(io.Discard, s.channel.Stderr()) }

// Read implements [Side].
func (s *session) Read(p []byte) (int, error) {
	meter := s.client.meter
	meter.reading()
	n, err := s.channel.Read(p)
	meter.took(n, n < len(p))
	return n, err
}

// Write implements [Side].
func (s *session) Write(p []byte) (int, error) {
	n, err := s.channel.Write(p)
	s.client.meter.expect(n >> 10) // its window adjustments: at most 36 bytes for 96 KiB with the clients known
	return n, err
}

// RemoteAddr implements [Side].
func (s *session) RemoteAddr() net.Addr { return s.client.meter.RemoteAddr() }

// Gone implements [Side].
func (s *session) Gone() <-chan struct{} { return s.gone }

// run waits for the session's command and obeys it.
func (s *session) run() {
	var st start
	select {
	case st = <-s.start:
	case <-time.After(s.client.server.opt.CommandTime):
		st.err = &refusal{noCommand, "no command came in time; ask for \"new\" or for a token"}
	case <-s.gone:
		return
	case <-s.client.ctx.Done():
		st.err = context.Cause(s.client.ctx)
	}
	switch {
	case st.err != nil:
	case !s.client.place.settle():
		st.err = context.Cause(s.client.ctx)
	case st.command.meeting != "":
		st.err = s.runMeet(st.command)
	case st.command.token != "":
		st.err = s.runToken(st.command.token)
	default:
		st.err = s.runNew()
	}
	if st.err != nil {
		s.refuse(st.err)
	}
}

// runNew gives out a token and waits for the other side.
func (s *session) runNew() error {
	w, err := s.client.server.rendezvous.New(s)
	if err != nil {
		return err
	}
	return s.waitAs(w)
}

// runMeet joins the other side of a meeting, or waits for it.
func (s *session) runMeet(cmd command) error {
	w, joined := s.client.server.rendezvous.Meet(cmd.meeting, cmd.letter, s)
	if joined {
		return s.join(w.Side)
	}
	return s.waitAs(w)
}

// runToken joins the side that waits under a token.
func (s *session) runToken(token string) error {
	server := s.client.server
	if !server.lookups.allow(s.RemoteAddr()) {
		return &refusal{tooManyLookups, "too many tokens have been tried from your address or network; try again in a minute"}
	}
	w := server.rendezvous.Take(token)
	if w == nil {
		return &refusal{wrongToken, "nobody is waiting under this token; each works once, and \"new\" gives one"}
	}
	return s.join(w.Side)
}

// waitAs waits until another session has joined w, which is this one's: that one carries the link, and finishes this
// session.
func (s *session) waitAs(w *Wait) error {
	server := s.client.server
	pushedOut := make(chan struct{})
	place := server.waiting.enter([]net.Addr{s.RemoteAddr()}, oldest(), func() { close(pushedOut) })
	var err error
	if place == nil {
		err = &refusal{tooManyWaiting, "too many are waiting here already; try again later"}
	} else {
		defer place.leave()
		if w.Token != "" {
			s.stderr(w.Token)
		}
		var overdue <-chan time.Time
		if server.opt.WaitTime > 0 {
			overdue = time.After(server.opt.WaitTime)
		}
		select {
		case <-w.Joined:
			return nil
		case <-w.Replaced:
		case <-s.gone:
		case <-pushedOut:
			err = &refusal{tooManyWaiting, "too many are waiting here, most of them from your network, and you have waited longest"}
		case <-overdue:
			err = &refusal{waitedLong, "nobody came in " + server.opt.WaitTime.String()}
		case <-s.client.ctx.Done():
			err = context.Cause(s.client.ctx)
		}
	}
	if server.rendezvous.Cancel(w) {
		return err
	}
	select {
	case <-w.Joined:
		return nil
	case <-w.Replaced:
		return &refusal{replacedBy, "another session of your side of this meeting has taken your place"}
	}
}

// join carries the link of a side that waited and this session.
func (s *session) join(waited Side) error {
	server := s.client.server
	ctx, end := context.WithCancelCause(s.client.linkCtx)
	defer end(nil)
	l := newLink(waited, s, &server.opt)
	place := server.links.enter([]net.Addr{waited.RemoteAddr(), s.RemoteAddr()}, l.lastMoved, func() {
		end(&refusal{tooManyLinks, "too many links are running, most of them of your network, and this one was the quietest"})
	})
	if place == nil {
		err := &refusal{tooManyLinks, "too many links are running; try again later"}
		waited.Finish(1, err.line)
		return err
	}
	defer place.leave()
	s.stderr("switched")
	log, level := server.log.With("link", server.linkNumber.Add(1)), slog.LevelInfo
	if !server.linkLines.Allow() {
		server.unlogged.Add(1)
		level = slog.LevelDebug
	}
	log.Log(context.Background(), level, "linked")
	began := time.Now()
	how := "well"
	if err := l.run(ctx); err == errLeft {
		how = "left early"
	} else if err != nil {
		how, _ = server.count(err)
	}
	log.Log(context.Background(), level, "link ended", "how", how, "bytes", l.directions[0].bytes.Load(),
		"back", l.directions[1].bytes.Load(), "seconds", int64(time.Since(began).Seconds()))
	return nil
}
