package switchboard

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// commandGrace is how long a command may follow a request that is refused,
	// so that the refusal comes as the answer to the command.
	commandGrace = 2 * time.Second
)

// session is the session channel of a client (RFC 4254, section 6).
type session struct {
	client  *client
	channel ssh.Channel

	start   chan start              // the first request for a command, shell or subsystem
	refused chan struct{}           // has an element once a request has set spoilt
	spoilt  atomic.Pointer[refusal] // what was asked for that spoils the session
	gone    chan struct{}           // closed when the channel is closed or its connection ended

	write    sync.Mutex // guards the following and orders end of file after everything else
	sentEOF  bool
	finished sync.Once
}

// start is a request that starts something in a session.
type start struct {
	command command
	refusal *refusal
}

func newSession(c *client, channel ssh.Channel, forward bool) *session {
	s := &session{
		client:  c,
		channel: channel,
		start:   make(chan start, 1),
		refused: make(chan struct{}, 1),
		gone:    make(chan struct{}),
	}
	if forward {
		s.spoilt.Store(&refusal{refusedForward, "no port forwarding here; try ssh -o ClearAllForwardings=yes"})
	}
	return s
}

// serveRequests answers the session's requests until the channel is closed.
func (s *session) serveRequests(requests <-chan *ssh.Request) {
	defer close(s.gone)
	started := false
	for r := range requests {
		if !s.client.allow() {
			continue
		}
		var st start
		ok, granted := false, false
		switch r.Type {
		case "exec":
			ok = true
			st.command, st.refusal = s.parse(r.Payload)
		case "shell":
			ok = true
			st.refusal = &refusal{refusedRequest, "no shell here; ask for \"new\" or for a token, as in: ssh HOST new"}
		case "subsystem":
			ok = true
			st.refusal = &refusal{refusedRequest, "no subsystem here; ask for \"new\" or for a token, as in: ssh HOST new"}
		case "pty-req":
			s.spoil("no terminal here; try ssh -T")
			// There is none, but to say so here would make ssh -tt give up
			// with a status of its own before it could read the line.
			granted = true
		case "auth-agent-req@openssh.com":
			s.spoil("no agent forwarding here; try ssh -a")
		case "x11-req":
			s.spoil("no X11 forwarding here; try ssh -x")
		}
		// Everything else, such as "env" and "window-change", does no harm
		// unheeded. A refused command is answered with success, too: only then
		// does a client show what follows on standard error and take the exit
		// status as its own.
		ok = ok && !started
		if ok {
			s.client.meter.turn(obeying, backlogBudget)
		}
		if r.WantReply {
			r.Reply(ok || granted && !started, nil)
		}
		if ok {
			started = true
			s.start <- st
		}
	}
}

func (s *session) parse(payload []byte) (command, *refusal) {
	cmd, err := parseExec(payload)
	if err != nil {
		return cmd, &refusal{unknownCommand, err.Error() + "; ask for \"new\" or for a token"}
	}
	return cmd, nil
}

// spoil notes the first request that is refused together with its session.
func (s *session) spoil(line string) {
	if s.spoilt.CompareAndSwap(nil, &refusal{refusedRequest, line}) {
		s.refused <- struct{}{}
	}
}

// discardStderr throws away what the client sends as standard error, which
// would fill its window.
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
	opt := &s.client.server.opt
	overdue := time.NewTimer(opt.CommandTime)
	defer overdue.Stop()
	var st start
	for waiting := true; waiting; {
		select {
		case st = <-s.start:
			waiting = false
		case <-s.refused:
			overdue.Reset(min(commandGrace, opt.CommandTime))
		case <-overdue.C:
			st.refusal = s.spoilt.Load()
			if st.refusal == nil {
				st.refusal = &refusal{noCommand, "no command came in time; ask for \"new\" or for a token"}
			}
			waiting = false
		case <-s.gone:
			return
		case <-s.client.ctx.Done():
			s.refuse(context.Cause(s.client.ctx))
			return
		}
	}
	if spoilt := s.spoilt.Load(); st.refusal == nil && spoilt != nil {
		st.refusal = spoilt
	}
	var err error
	switch {
	case st.refusal != nil:
		err = st.refusal
	case !s.client.place.settle():
		err = context.Cause(s.client.ctx)
	case st.command.meeting != "":
		err = s.runMeet(st.command)
	case st.command.token != "":
		err = s.runToken(st.command.token)
	default:
		err = s.runNew()
	}
	if err != nil {
		s.refuse(err)
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

// waitAs waits until another session has joined w, which is this one's: that
// one carries the link, and finishes this session.
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
