package switchboard

import (
	"encoding/binary"
	"errors"
	"log/slog"

	"golang.org/x/crypto/ssh"
)

// reason names why somebody was refused or cut off: a label of the metrics, and a key in the log.
type reason string

const (
	tooManyConnections reason = "connections" // evicted or not admitted: MaxConnections are open
	noHandshake        reason = "handshake"   // no SSH handshake in time, or a broken one
	noCommand          reason = "no_command"  // no command in time
	unknownCommand     reason = "command"     // not a command of ours
	refusedRequest     reason = "request"     // shell, pty, subsystem, agent, X11
	refusedForward     reason = "forward"     // a port forward
	refusedChannel     reason = "channel"     // a further or foreign channel
	tooManyWaiting     reason = "waiting"     // evicted or not admitted: MaxWaiting sides are waiting
	waitedLong         reason = "waited"      // nobody came in time
	replacedBy         reason = "replaced"    // another session of the same side of a meeting came
	wrongToken         reason = "token"       // nobody waits under this token
	tooManyLookups     reason = "lookups"     // this client or its network has tried too many tokens
	tooManyLinks       reason = "links"       // evicted or not admitted: MaxLinks are running
	idleLink           reason = "idle"        // nothing moved on a link in time
	silentSide         reason = "silent"      // the side that joined said nothing in time
	deadPeer           reason = "dead"        // no sign of life in time
	flooding           reason = "flood"       // too many requests or key exchanges, or too much unread
	goingDown          reason = "going_down"  // the switchboard is being stopped
	slowReader         reason = "slow"        // did not take a line or an exit status in time
	clusterAway        reason = "cluster"     // the other nodes could not be asked
	nodeLost           reason = "node"        // another node could not be reached, or was lost
	otherNode          reason = "other_node"  // refused by another node
	outOfDescriptors   reason = "accept"      // accepting failed, and was slowed down
)

// tooManyLine is what a client is told that is not admitted, or is evicted for another one.
const tooManyLine = "too many connections are open; try again later"

// refusal is the error that a client is told.
type refusal struct {
	reason reason
	line   string
}

func (r *refusal) Error() string { return r.line }

var (
	errNobody   error = &refusal{wrongToken, "nobody is waiting under this token; each works once, and \"new\" gives one"}
	errNodeLost error = &refusal{nodeLost, "the other side's switchboard was lost; try again"}
)

// ErrAway is what a client is told if the side that it asks for doesn't wait here, while the other nodes can't be asked.
var ErrAway error = &refusal{clusterAway, "nobody is waiting here under this token, and the other switchboards can't be asked just now; try again in a minute"}

// count counts and logs an error if it is a refusal, and returns its reason. Log names the client.
func (s *Server) count(err error, log *slog.Logger) (string, bool) {
	var refused *refusal
	if !errors.As(err, &refused) {
		return "", false
	}
	s.refused(refused.reason, log)
	return string(refused.reason), true
}

// refused counts a refusal, and logs it at the debug level. Log names the client.
func (s *Server) refused(r reason, log *slog.Logger) {
	log.Debug("refused", "reason", string(r))
	s.opt.Metrics.refusals.WithLabelValues(string(r)).Inc()
}

// disconnect returns an SSH_MSG_DISCONNECT packet as it is before the first key exchange (RFC 4253, sections 6 and 11.1). Clients
// show its line.
func disconnect(line string) []byte {
	const message, byApplication, block = 1, 11, 8
	payload := append([]byte{message}, ssh.Marshal(struct {
		Reason         uint32
		Text, Language string
	}{byApplication, "switchboard: " + line, "en"})...)
	padding := 2*block - (5+len(payload))%block // at least 4 bytes
	packet := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+padding))
	packet = append(packet, byte(padding))
	return append(append(packet, payload...), make([]byte, padding)...)
}
