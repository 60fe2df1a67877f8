package switchboard

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"aig/internal/sshguard"
)

// noStatus stands for an exit status that has not come yet.
const noStatus = -1

// remote is a side that waited at another node, reached through a connection to that node.
type remote struct {
	metered
	conn  ssh.Conn
	limit time.Duration // for the node to take a line
	wait  sync.WaitGroup

	first    chan string   // gets the first line on standard error; closed at its end
	line     string        // the last one; read it once first is closed
	spoke    chan struct{} // closed when the first exit status has come
	status   atomic.Int64  // the last one, or noStatus
	gone     chan struct{} // closed when the channel is closed or the connection has ended
	finished sync.Once
	ended    sync.Once
}

// joinAt joins this session to the side that it asked for, which waits at another node. Waited is how long this session has waited.
func (s *session) joinAt(node string, key Key, waited time.Duration) error {
	r, err := s.client.server.dial(s.client.ctx, node)
	if err != nil {
		s.client.log.Debug("another node can't be reached", "node", node, "error", err.Error())
		return &refusal{nodeLost, "the other side's switchboard can't be reached; try again"}
	}
	text := fmt.Sprintf("forward %s %d %s", s.RemoteAddr(), waited.Milliseconds(), key.Name)
	if key.Letter != "" {
		text += " " + key.Letter
	}
	line, err := r.ask(s.client.ctx, text)
	switch {
	case err != nil:
		r.Finish(1, "")
		return err
	case line == waitedLine:
		return s.carry(s, r)
	case line == switchedLine:
		return s.carry(r, s)
	}
	r.Finish(0, "")
	if line == errNobody.Error() {
		return errNobody // somebody did wait a moment ago
	}
	return &refusal{otherNode, line}
}

// dial connects to another node and opens a session there.
func (s *Server) dial(ctx context.Context, node string) (_ *remote, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.opt.ControlTime)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", node)
	if err != nil {
		return nil, err
	}
	r := &remote{
		metered: metered{meter: newMeter(conn, nil)}, limit: s.opt.ControlTime,
		first: make(chan string, 1), spoke: make(chan struct{}), gone: make(chan struct{}),
	}
	r.status.Store(noStatus)
	r.meter.flooded = func(string) { conn.Close() }
	r.meter.turn(obeying, backlogBudget)
	stop := context.AfterFunc(ctx, func() { r.meter.Close() })
	defer func() {
		if !stop() && err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			r.leave()
		}
	}()
	inner, channels, requests, err := ssh.NewClientConn(r.meter, node, &ssh.ClientConfig{
		Config:          sshguard.Config(),
		User:            s.nodeUser,
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(s.opt.HostKey)},
		HostKeyCallback: ssh.FixedHostKey(s.opt.HostKey.PublicKey()),
		ClientVersion:   serverVersion,
	})
	if err != nil {
		return nil, err
	}
	r.conn = inner
	r.wait.Go(func() { ssh.DiscardRequests(requests) })
	r.wait.Go(func() {
		for ch := range channels {
			ch.Reject(ssh.Prohibited, "")
		}
	})
	of, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	r.wait.Go(func() { r.serveRequests(of) })
	r.wait.Go(r.readLines)
	// The other node sends its clients keepalives more often than that.
	r.wait.Go(func() { r.meter.watch(s.opt.KeepaliveInterval+s.opt.KeepaliveTime, r.gone) })
	return r, nil
}

// open opens the session. It gives up when ctx ends, as x/crypto's client waits for an answer for ever if the connection ends just
// when it asks (v0.58.0).
func (r *remote) open(ctx context.Context) (<-chan *ssh.Request, error) {
	type answer struct {
		channel  ssh.Channel
		requests <-chan *ssh.Request
		err      error
	}
	answers := make(chan answer, 1)
	go func() {
		channel, requests, err := r.conn.OpenChannel("session", nil)
		answers <- answer{channel, requests, err}
	}()
	select {
	case a := <-answers:
		r.Channel = a.channel
		return a.requests, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// ask asks the node for a side, and returns its first line.
func (r *remote) ask(ctx context.Context, text string) (string, error) {
	lost := &refusal{nodeLost, "the other side's switchboard does not answer; try again"}
	ctx, cancel := context.WithTimeoutCause(ctx, r.limit, lost)
	defer cancel()
	defer context.AfterFunc(ctx, func() { r.meter.Close() })()
	if ok, err := r.Channel.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{text})); err != nil || !ok {
		return "", lost
	}
	line, ok := <-r.first
	if !ok {
		return "", lost
	}
	return line, nil
}

// serveRequests notes the exit statuses, until the channel is closed.
func (r *remote) serveRequests(requests <-chan *ssh.Request) {
	defer close(r.gone)
	for request := range requests {
		if request.Type == "exit-status" && len(request.Payload) == 4 {
			if r.status.Swap(int64(binary.BigEndian.Uint32(request.Payload))) == noStatus {
				close(r.spoke)
			}
		}
		if request.WantReply {
			request.Reply(false, nil)
		}
	}
}

// readLines reads the lines on standard error, until its end.
func (r *remote) readLines() {
	defer close(r.first)
	lines := bufio.NewScanner(r.Channel.Stderr())
	lines.Buffer(nil, 2*maxLine)
	for first := true; lines.Scan(); first = false {
		line := printable(strings.TrimPrefix(lines.Text(), "switchboard: "))
		if first {
			r.first <- line
		} else {
			r.line = line
		}
	}
	io.Copy(io.Discard, r.Channel.Stderr())
}

// Lost implements [Side]. Status 0 comes before an end of file, any other one at the end of the session.
func (r *remote) Lost() error {
	select {
	case <-r.spoke:
	case <-r.gone:
	}
	if r.status.Load() == 0 {
		return nil
	}
	<-r.gone
	for range r.first { // to its end
	}
	switch {
	case r.status.Load() == noStatus:
		return errNodeLost
	case r.status.Load() == 0:
		return nil
	case r.line != "":
		return &refusal{otherNode, r.line}
	}
	return errLeft
}

// Tell implements [Side]. It does nothing: the side's own node has told it.
func (r *remote) Tell(string) {}

// RemoteAddr implements [Side]: the side is counted at its own node.
func (r *remote) RemoteAddr() net.Addr { return nil }

// Gone implements [Side].
func (r *remote) Gone() <-chan struct{} { return r.gone }

// end tells the node, once, how our side has ended.
func (r *remote) end(line string) {
	r.ended.Do(func() { r.Channel.SendRequest(endRequest, false, ssh.Marshal(struct{ Line string }{line})) })
}

// CloseWrite implements [Side].
func (r *remote) CloseWrite() {
	slow := time.AfterFunc(r.limit, func() { r.meter.Close() })
	defer slow.Stop()
	r.end("")
	r.Channel.CloseWrite()
}

// Finish implements [Side].
func (r *remote) Finish(_ uint32, line string) {
	r.finished.Do(func() {
		slow := time.AfterFunc(r.limit, func() { r.meter.Close() })
		r.end(line)
		r.Channel.Close()
		<-r.gone
		slow.Stop()
		r.leave()
	})
}

// leave closes the connection, and waits until its goroutines have ended.
func (r *remote) leave() {
	r.meter.Close()
	if r.conn != nil {
		sshguard.Drain(r.conn)
		r.conn.Wait()
	}
	r.wait.Wait()
}
