package switchboard

import (
	"encoding/binary"
	"io"
	"time"
)

// lingerTime is how long a client may show no sign of life until its session is closed on both sides, and leaveTime how long
// it may take from there to close its connection.
const (
	lingerTime = 10 * time.Second
	leaveTime  = time.Second
)

// refuse ends a session that was refused something.
func (s *session) refuse(err error) {
	line := "internal error; try again"
	if reason, ok := s.client.server.count(err); ok {
		s.client.log.Debug("refused", "reason", reason)
		line = err.Error()
	} else {
		s.client.server.log.Error("refusing a session", "error", err.Error())
	}
	s.Finish(1, line)
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

// CloseWrite implements [Side].
func (s *session) CloseWrite() {
	s.client.within(func() {
		s.write.Lock()
		defer s.write.Unlock()
		s.exitStatus(0)
		s.sentEOF = true
		s.channel.CloseWrite()
	})
}

// exitStatus is described in RFC 4254, section 6.10. It needs s.write.
func (s *session) exitStatus(status uint32) {
	s.channel.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, status))
}

// Finish implements [Side]. No line can follow an end of file that has been passed on.
func (s *session) Finish(status uint32, line string) {
	s.finished.Do(func() {
		s.client.place.unsettle(s.client.close)
		if line != "" {
			s.stderr("switchboard: " + line)
		}
		s.client.within(func() {
			s.write.Lock()
			defer s.write.Unlock()
			if status != 0 || !s.sentEOF {
				s.exitStatus(status)
			}
			s.channel.Close()
		})
		s.linger()
		s.client.close()
	})
}

// linger waits for the client to close its session, which shows that it has got everything, and then its connection.
func (s *session) linger() {
	seen := s.client.meter.total()
	for closed := false; !closed; {
		select {
		case <-s.gone:
			closed = true
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
