package switchboard

import (
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/crypto/ssh"
)

// Options configure a [Server]. Start from [DefaultOptions]: a zero value doesn't mean "the default".
type Options struct {
	HostKey ssh.MultiAlgorithmSigner // as [HostKey] reads or makes it
	Logger  *slog.Logger             // never sees a token, a byte of a link or a foreign string

	Metrics *Metrics // of this server alone; nothing in them names a client, a token or a key

	Memory     *Memory    // who waits here; nil makes one
	Rendezvous Rendezvous // where sides find each other; nil is Memory
	ClusterKey []byte     // as HostKey returns it; nil lets no node in

	Landing string // the answer to "help"

	MaxConnections int // open connections, in all
	MaxWaiting     int // sides that wait for their other side
	MaxLinks       int // links at the same time
	Lookups        int // tokens that one client may try a minute; see lookups
	TokenDigits    int // least length of a token, 5 to 16

	HandshakeTime time.Duration // for the SSH handshake, host key question included
	CommandTime   time.Duration // from there to the command
	WaitTime      time.Duration // for the other side to come; 0 is for ever
	IdleTime      time.Duration // of a link on which no byte moves; 0 is for ever
	SilentTime    time.Duration // for the first byte of the side that joined
	ControlTime   time.Duration // for a client to take a line or an exit status

	KeepaliveInterval time.Duration // between two keepalive requests
	KeepaliveTime     time.Duration // without a byte from the client after one

	Grace time.Duration // for running links, once the server is being stopped
}

// landing is the landing text by default.
const landing = `This is a switchboard for git aig-sync: it joins the SSH sessions of two people
into one pipe, over which their git repositories exchange what each lacks.

    alice$ git aig-sync invite bob "ssh HOST"      and reads a code out to Bob
    bob$   git aig-sync accept alice "ssh HOST"    and types it in

From then on "git aig-sync bob" and "git aig-sync alice" are enough. Without
pairing, ssh HOST new gives a token, and ssh HOST TOKEN joins whoever waits.

Whoever runs this sees your address, when you meet, and how many bytes move. The
rest is an SSH connection between the two of you, which can't be read here.
Nothing is stored. No user name, key or password is wanted.
`

// maxLanding bounds a landing text, in bytes: a client has [Options.ControlTime] to read it.
const maxLanding = 16 << 10

// DefaultOptions returns options for a small public host, without a HostKey and a Logger. Clients can make the process hold less
// than 0.75 MiB for each connection whose command is not known (see handshakeBudget and openingBudget), 6 MiB for each waiting side
// and 12 MiB for each link (see backlogBudget), the heap's own slack included: 3.4 GiB if malicious clients take every place.
// Honest ones leave at most SSH's window of 2 MiB unread in each direction. The system's own buffers come on top.
func DefaultOptions() Options {
	return Options{
		Metrics: NewMetrics(),
		Landing: landing,

		MaxConnections: 1024,
		MaxWaiting:     256,
		MaxLinks:       128,
		Lookups:        60,
		TokenDigits:    minTokenDigits,

		// A person compares a fingerprint in the middle of the handshake.
		HandshakeTime: 2 * time.Minute,
		CommandTime:   30 * time.Second,
		WaitTime:      12 * time.Hour,
		IdleTime:      30 * time.Minute,
		SilentTime:    time.Minute,
		ControlTime:   10 * time.Second,

		KeepaliveInterval: 15 * time.Second,
		KeepaliveTime:     45 * time.Second,

		Grace: 30 * time.Second,
	}
}

// Check returns what is wrong with the limits and times, if anything.
func (o *Options) Check() error {
	if o.TokenDigits < minTokenDigits || o.TokenDigits > maxTokenDigits {
		return fmt.Errorf("a token has %d to %d digits, not %d", minTokenDigits, maxTokenDigits, o.TokenDigits)
	}
	if len(o.Landing) > maxLanding {
		return fmt.Errorf("the landing text is %d bytes long; the limit is %d", len(o.Landing), maxLanding)
	}
	for _, limit := range []struct {
		name string
		ok   bool
	}{
		{"the limit on connections", o.MaxConnections > 0},
		{"the limit on waiting sides", o.MaxWaiting > 0},
		{"the limit on links", o.MaxLinks > 0},
		{"the limit on look-ups", o.Lookups > 0},
		{"the handshake time", o.HandshakeTime > 0},
		{"the command time", o.CommandTime > 0},
		{"the waiting time", o.WaitTime >= 0},
		{"the idle time", o.IdleTime >= 0},
		{"the silent time", o.SilentTime > 0},
		{"the control time", o.ControlTime > 0},
		{"the keepalive interval", o.KeepaliveInterval > 0},
		{"the keepalive time", o.KeepaliveTime > 0},
		{"the grace time", o.Grace >= 0},
	} {
		if !limit.ok {
			return fmt.Errorf("%s is too small", limit.name)
		}
	}
	return nil
}
