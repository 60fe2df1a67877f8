package switchboard

import (
	"encoding/binary"
	"errors"
	"io"
	"time"
)

// leaveTime is how long a client may take to close its connection once its
// session is closed on both sides. Before that lingerTime is how long it may
// show no sign of life, and maxLinger how long it may take in all.
const (
	leaveTime  = time.Second
	lingerTime = 10 * time.Second
	maxLinger  = 10 * time.Minute
)

// refuse ends a session that was refused something.
func (s *session) refuse(err error) {
	line := "internal error; try again"
	var refused *refusal
	if errors.As(err, &refused) {
		s.client.server.counters.add(refused.reason)
		s.client.log.Debug("refused", "reason", string(refused.reason))
		line = refused.line
	} else {
		s.client.server.log.Error("refusing a session", "error", err.Error())
	}
	s.finish(1, line, true)
}

// stderr writes a line to the client's standard error.
func (s *session) stderr(line string) {
	s.client.within(func() {
		s.write.Lock()
		defer s.write.Unlock()
		if !s.sentEOF {
			io.WriteString(s.channel.Stderr(), line+"\n")
		}
	})
}

// sendEOF passes the other side's end of file on. If that is the last thing
// to happen on the link, the exit status goes before it: a client that has
// said its own end of file closes the channel when it hears the other's.
func (s *session) sendEOF(last bool) {
	s.client.within(func() {
		s.write.Lock()
		defer s.write.Unlock()
		if last {
			s.exitStatus(0)
		} else {
			s.client.tail.begin()
		}
		s.sentEOF = true
		s.channel.CloseWrite()
	})
}

// exitStatus is described in RFC 4254, section 6.10. It needs s.write.
func (s *session) exitStatus(status uint32) {
	s.channel.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, status))
	s.told = true
}

// finish ends the session with an exit status, and with a line on standard
// error unless line is empty or the end of file has been passed on already:
// nothing can follow that. It then waits for the client to leave, so that what
// is still on its way reaches it, and closes the connection. If sole is set,
// nobody else is writing to the channel.
func (s *session) finish(status uint32, line string, sole bool) {
	s.finished.Do(func() {
		if line != "" {
			s.stderr("switchboard: " + line)
		}
		s.client.within(func() {
			s.write.Lock()
			defer s.write.Unlock()
			if !s.told || status != 0 {
				s.exitStatus(status)
			}
			if sole && !s.sentEOF {
				s.sentEOF = true
				s.channel.CloseWrite()
			}
			s.channel.Close()
		})
		s.client.tail.letGo()
		s.linger()
		s.client.close()
	})
}

// linger waits for the client to close its session, which shows that it has
// got everything, and then its connection.
func (s *session) linger() {
	if s.client.meter.isStopped() {
		// Nothing of it would be seen any more.
		select {
		case <-s.gone:
		case <-time.After(leaveTime):
		}
		return
	}
	longest := time.NewTimer(maxLinger)
	defer longest.Stop()
	seen := s.client.meter.total()
	for closed := false; !closed; {
		select {
		case <-s.gone:
			closed = true
		case <-longest.C:
			return
		case <-time.After(lingerTime):
			now := s.client.meter.total()
			if now == seen {
				return
			}
			seen = now
		}
	}
	select {
	case <-s.client.done:
	case <-time.After(leaveTime):
	}
}
