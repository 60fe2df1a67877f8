package switchboard

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// lingerTime is how long a client may send nothing after we have closed its session until it does so, too, and leaveTime how long
// it may take from there to close its connection.
const (
	lingerTime = 10 * time.Second
	leaveTime  = time.Second
)

// session is the session channel of a client (RFC 4254, section 6).
type session struct {
	metered
	client *client
	spoilt error         // an earlier request for which the command is refused
	start  chan start    // the first request for a command, shell or subsystem
	gone   chan struct{} // closed when the channel is closed or its connection has ended

	write    sync.Mutex // guards sentEOF, and orders end of file after everything else
	sentEOF  bool
	finished sync.Once
}

// start is a request to start something in a session, or why it is refused.
type start struct {
	command command
	err     error
}

// serveRequests answers the session's requests until the channel is closed.
func (s *session) serveRequests(requests <-chan *ssh.Request) {
	defer close(s.gone)
	spoil := func(line string) {
		if s.spoilt == nil {
			s.spoilt = &refusal{refusedRequest, line}
		}
	}
	started := false
	for r := range requests {
		if !s.client.allow() {
			continue
		}
		ok, starts := false, false
		var st start
		switch r.Type {
		case "exec":
			starts = true
			st.command, st.err = parseExec(r.Payload)
			if st.err != nil {
				st.err = &refusal{unknownCommand, st.err.Error() + "; " + askFor}
			}
		case "shell", "subsystem":
			starts = true
			st.err = &refusal{refusedRequest, "no " + r.Type + " here; " + askFor + ", as in: ssh HOST help"}
		case "pty-req":
			// There is none, but to say so here would make ssh -tt exit with a status of its own before it has read the line.
			ok = !started
			spoil("no terminal here; try ssh -T")
		case "auth-agent-req@openssh.com":
			spoil("no agent forwarding here; try ssh -a")
		case "x11-req":
			spoil("no X11 forwarding here; try ssh -x")
		} // others, such as "env" and "window-change", do no harm if ignored
		starts = starts && !started
		if starts {
			s.meter.turn(obeying, backlogBudget)
		}
		// A refused command is answered with success, too: only then does a client show what follows on standard error and exit
		// with our status.
		if r.WantReply {
			r.Reply(ok || starts, nil)
		}
		if starts {
			started = true
			if st.err == nil {
				st.err = s.spoilt
			}
			s.start <- st
		}
	}
}

// RemoteAddr implements [Side].
func (s *session) RemoteAddr() net.Addr { return s.meter.RemoteAddr() }

// Lost implements [Side].
func (s *session) Lost() error { return nil }

// Gone implements [Side].
func (s *session) Gone() <-chan struct{} { return s.gone }

// tell runs f, which writes to the client, and closes the connection if the client has not read that in time. Calls run one after
// the other.
func (s *session) tell(f func()) {
	slow := time.AfterFunc(s.client.server.opt.ControlTime, func() {
		s.client.server.refused(slowReader, s.client.log)
		s.client.close()
	})
	defer slow.Stop()
	s.write.Lock()
	defer s.write.Unlock()
	f()
}

// Tell implements [Side]. No line can follow an end of file that has been passed on.
func (s *session) Tell(line string) {
	s.tell(func() {
		if !s.sentEOF {
			io.WriteString(s.Channel.Stderr(), line+"\n")
		}
	})
}

// CloseWrite implements [Side].
func (s *session) CloseWrite() {
	s.tell(func() {
		s.exitStatus(0)
		s.sentEOF = true
		s.Channel.CloseWrite()
	})
}

// exitStatus sends an exit status (RFC 4254, section 6.10).
func (s *session) exitStatus(status uint32) {
	s.Channel.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, status))
}

// Finish implements [Side].
func (s *session) Finish(status uint32, line string) {
	s.finished.Do(func() {
		s.client.place.unsettle(s.client.close)
		if line != "" {
			s.Tell("switchboard: " + line)
		}
		s.tell(func() {
			if status != 0 || !s.sentEOF {
				s.exitStatus(status)
			}
			s.Channel.Close()
		})
		// The client closes its session, which shows that it has received everything, and then its connection.
		s.meter.watch(lingerTime, s.gone)
		select {
		case <-s.client.done:
		case <-time.After(leaveTime):
		}
		s.client.close()
	})
}
