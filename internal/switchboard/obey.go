package switchboard

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strconv"
	"time"
)

// run waits for the session's command and obeys it.
func (s *session) run() {
	var st start
	select {
	case st = <-s.start:
	case <-time.After(s.client.server.opt.CommandTime):
		st.err = &refusal{noCommand, "no command came in time; " + askFor}
	case <-s.gone:
		return
	case <-s.client.ctx.Done():
		st.err = context.Cause(s.client.ctx)
	}
	if st.err == nil && !s.client.place.settle() {
		st.err = context.Cause(s.client.ctx)
	}
	if st.err == nil {
		st.err = s.obey(st.command)
	}
	if st.err != nil {
		s.refuse(st.err)
	}
}

// obey waits for the other side, or joins it.
func (s *session) obey(c command) error {
	server := s.client.server
	switch {
	case c.help:
		s.tell(func() { io.WriteString(s, server.opt.Landing) })
		s.Finish(0, "")
		return nil
	case c.key.Letter != "":
		return s.meet(c.key)
	case c.key.Name == "":
		w, err := server.opt.Rendezvous.New(s.client.ctx, s)
		if err != nil {
			return err
		}
		_, err = s.waitAs(w)
		return err
	}
	waits, node, err := server.opt.Rendezvous.Take(s.client.ctx, c.key.Name, s.RemoteAddr())
	if err != nil {
		return err
	}
	server.opt.Metrics.lookups.WithLabelValues(strconv.FormatBool(waits != nil || node != "")).Inc()
	switch {
	case waits != nil:
		return s.client.carry(waits.Side, s)
	case node != "":
		return s.joinAt(node, c.key, 0)
	}
	return errNobody
}

// meet joins the other side of a meeting, or waits for it. If that waits at another node, and has gone by the time we get there, we
// wait again.
func (s *session) meet(key Key) error {
	for range 5 {
		other, own := s.client.server.opt.Rendezvous.Meet(key, s)
		if other != nil {
			return s.client.carry(other.Side, s)
		}
		node, err := s.waitAs(own)
		if node == "" {
			return err
		}
		if err := s.joinAt(node, key, time.Since(own.Since)); err != errNobody {
			return err
		}
	}
	return &refusal{nodeLost, "the other side of this meeting keeps disappearing; try again"}
}

// waitAs waits until another session joins w, which is this session's own wait; the other one carries the link and finishes this
// session. If the other side of a meeting waits at another node, waitAs returns that node's address.
func (s *session) waitAs(w *Wait) (node string, err error) {
	server := s.client.server
	ctx, end := context.WithCancelCause(s.client.ctx)
	defer end(nil)
	if limit := server.opt.WaitTime; limit > 0 {
		late := time.AfterFunc(limit, func() { end(&refusal{waitedLong, "nobody came in " + limit.String()}) })
		defer late.Stop()
	}
	place := server.waiting.enter([]net.Addr{s.RemoteAddr()}, oldest(), func() {
		end(&refusal{tooManyWaiting, "too many are waiting here, most of them from your network, and you have waited longest"})
	})
	if place == nil {
		end(&refusal{tooManyWaiting, "too many are waiting here already; try again later"})
	} else {
		defer place.leave()
		if w.Key.Letter == "" {
			s.Tell(w.Key.Name)
		}
	}
	select {
	case <-w.Ended:
	case node = <-w.Elsewhere:
	case <-s.gone:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if server.opt.Rendezvous.Leave(w) {
		return node, err
	}
	<-w.Ended
	if w.Replaced {
		return "", &refusal{replacedBy, "another session of your side of this meeting has taken your place"}
	}
	return "", nil
}

// carry runs the link between a side that waited and one that joined it, one of which came by this connection.
func (c *client) carry(waited, joined Side) error {
	server := c.server
	ctx, end := context.WithCancelCause(c.linkCtx)
	defer end(nil)
	l := newLink(waited, joined, &server.opt)
	place := server.links.enter([]net.Addr{waited.RemoteAddr(), joined.RemoteAddr()}, l.lastMoved, func() {
		end(&refusal{tooManyLinks, "too many links are running, most of them from your network, and this one was the quietest"})
	})
	if place == nil {
		err := &refusal{tooManyLinks, "too many links are running; try again later"}
		waited.Finish(1, err.line)
		joined.Finish(1, err.line)
		return err
	}
	defer place.leave()
	joined.Tell("switched")
	number := server.linkNumber.Add(1)
	log, level := server.log.With("link", number), slog.LevelInfo
	if !server.linkLines.Allow() {
		server.unlogged.Add(1)
		level = slog.LevelDebug
	}
	log.Log(context.Background(), level, "linked")
	how := "well"
	if err := l.run(ctx); err == errLeft {
		how = "left early"
	} else if err != nil {
		how, _ = server.count(err, c.log.With("link", number))
	}
	there, back, took := l.directions[0].bytes.Load(), l.directions[1].bytes.Load(), time.Since(l.began)
	server.opt.Metrics.links.WithLabelValues(how).Observe(took.Seconds())
	server.opt.Metrics.bytes.WithLabelValues("from_waiting").Add(float64(there))
	server.opt.Metrics.bytes.WithLabelValues("to_waiting").Add(float64(back))
	log.Log(context.Background(), level, "link ended", "how", how, "bytes", there, "back", back, "seconds", int64(took.Seconds()))
	return nil
}

// refuse counts a refusal, tells the client why, and ends the session.
func (s *session) refuse(err error) {
	line := "internal error; try again"
	if _, ok := s.client.server.count(err, s.client.log); ok {
		line = err.Error()
	} else {
		s.client.server.log.Error("refusing a session", "error", err.Error())
	}
	s.Finish(1, line)
}
