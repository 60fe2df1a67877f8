// Package switchboard joins the SSH sessions of two strangers into one pipe.
//
// One asks for "new", is told a token and waits; the other asks for the token; from then on each one's output is the other's
// input. The switchboard lets everybody in, knows nobody, stores nothing and can't tell what it carries.
//
// The files: switchboard (the server), client and session (the SSH side), exec and obey (the commands), rendezvous (who waits for
// whom), link (the relay), node and remote (sides at another node, and the way there), limits (how many there may be of anything,
// and who is evicted), meter (how much unread data a client may leave here), refusal (what a refused client is told), metrics.
package switchboard

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/time/rate"
)

const (
	// reportInterval is the time between two lines of counters in the log.
	reportInterval = time.Minute

	// A link is logged by two lines, but only so many links are logged: strangers can make hundreds a second, and must not fill the
	// disk that way.
	linkLineBurst = 100
	linkLineRate  = 0.1 // a second

	// serverVersion is our version string (RFC 4253, section 4.2).
	serverVersion = "SSH-2.0-aig-switchboard"

	// maxFarewells is how many clients that are not admitted may be told so at the same time.
	maxFarewells = 64

	// Bounds of the pause after a failure to accept.
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// Server is a switchboard. Make one with [New].
type Server struct {
	opt        Options
	log        *slog.Logger
	large      chan struct{} // see meter
	farewells  chan struct{} // has room for maxFarewells
	nodeUser   string        // empty if this is no node of a cluster
	linkNumber atomic.Uint64
	linkLines  *rate.Limiter // how many links are logged
	unlogged   atomic.Uint64 // how many were not

	connections, waiting, links *pool
}

// New returns a server. The options must have a HostKey and a Logger, and pass [Options.Check].
func New(opt Options) *Server {
	if opt.Memory == nil {
		opt.Memory = NewMemory(opt.TokenDigits, opt.Lookups, rand.Reader)
	}
	if opt.Rendezvous == nil {
		opt.Rendezvous = opt.Memory
	}
	var user string
	if opt.ClusterKey != nil {
		user = nodeUser(opt.ClusterKey)
	}
	bounded := func(name string, most int) *pool {
		return newPool(most, func(crowd int) { opt.Metrics.evictions.WithLabelValues(name).Observe(float64(crowd)) })
	}
	s := &Server{
		opt:         opt,
		log:         opt.Logger,
		large:       make(chan struct{}, maxLarge),
		farewells:   make(chan struct{}, maxFarewells),
		nodeUser:    user,
		linkLines:   rate.NewLimiter(linkLineRate, linkLineBurst),
		connections: bounded("connections", opt.MaxConnections),
		waiting:     bounded("waiting", opt.MaxWaiting),
		links:       bounded("links", opt.MaxLinks),
	}
	opt.Metrics.watch(s.connections.number, s.waiting.number, s.links.number)
	return s
}

// Serve serves connections from ln, which it closes. When ctx ends, it accepts no new connections or commands, sends away those who
// wait, gives running links [Options.Grace] to end and then every client [Options.ControlTime] to read its last line, and returns
// nil. Every goroutine it started has ended when it returns. It returns an error only if the listener has failed for good.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	s.log.Info("listening", "addr", ln.Addr().String(), "fingerprint", ssh.FingerprintSHA256(s.opt.HostKey.PublicKey()))

	defer context.AfterFunc(ctx, func() { ln.Close() })()
	lasting := context.WithoutCancel(ctx)
	commands, endCommands := context.WithCancelCause(lasting)
	linkCtx, endLinks := context.WithCancelCause(lasting)
	lastCtx, endAll := context.WithCancel(lasting)
	defer endAll()
	down := &refusal{goingDown, "the switchboard is going down"}

	var clients, reporter sync.WaitGroup
	reported := make(chan struct{})
	reporter.Go(func() { s.report(reported) })

	err := s.accept(ctx, ln, func(conn net.Conn) {
		c := s.admit(commands, conn)
		clients.Go(func() {
			defer conn.Close()
			if c == nil {
				s.turnAway(conn)
				return
			}
			defer c.leave(nil)
			defer c.place.leave()
			defer context.AfterFunc(lastCtx, c.close)()
			c.linkCtx = linkCtx
			c.serve()
		})
	})
	ln.Close()
	s.log.Info("going down", "grace", s.opt.Grace.String())
	endCommands(down)
	grace := time.AfterFunc(s.opt.Grace, func() { endLinks(down) })
	last := time.AfterFunc(s.opt.Grace+s.opt.ControlTime, endAll)
	clients.Wait()
	grace.Stop()
	last.Stop()
	endLinks(nil)
	close(reported)
	reporter.Wait()
	s.log.Info("stopped")
	return err
}

// accept hands every connection to take until ctx ends. If accepting fails, it pauses and tries again, ever more slowly; if the
// system has no descriptor or memory left, it first drops a client that has no command yet.
func (s *Server) accept(ctx context.Context, ln net.Listener, take func(net.Conn)) error {
	pause := minAcceptPause
	for {
		conn, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case err == nil:
			pause = minAcceptPause
			take(conn)
			continue
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accepting on %v: %w", ln.Addr(), err)
		case exhausted(err):
			s.connections.shrink()
		}
		s.refused(outOfDescriptors, s.log.With("error", err.Error(), "pause", pause.String()))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, maxAcceptPause)
	}
}

// exhausted reports whether an error means that the process or the system has run out of something that closed connections give
// back.
func exhausted(err error) bool {
	errno, ok := errors.AsType[syscall.Errno](err)
	return ok && slices.Contains([]syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}, errno)
}

// admit returns a client for a connection, or nil if there is no place for it.
func (s *Server) admit(ctx context.Context, conn net.Conn) *client {
	ctx, leave := context.WithCancelCause(ctx)
	log := s.log.With("from", conn.RemoteAddr().String())
	place := s.connections.enter([]net.Addr{conn.RemoteAddr()}, oldest(), func() {
		leave(&refusal{tooManyConnections, tooManyLine})
	})
	if place == nil {
		leave(nil)
		s.refused(tooManyConnections, log)
		return nil
	}
	c := &client{
		server:   s,
		meter:    newMeter(conn, s.large),
		place:    place,
		ctx:      ctx,
		leave:    leave,
		done:     make(chan struct{}),
		log:      log,
		requests: rate.NewLimiter(requestRate, requestBurst),
	}
	c.meter.flooded = c.cut
	return c
}

// turnAway tells a client that it is not admitted, and reads what it sends for a moment: if the connection were closed while it
// sends, it would see only a reset. If there are too many such clients, turnAway just returns.
func (s *Server) turnAway(conn net.Conn) {
	select {
	case s.farewells <- struct{}{}:
	default:
		return
	}
	defer func() { <-s.farewells }()
	deadline := time.Now().Add(leaveTime)
	conn.SetDeadline(deadline)
	newMeter(conn, nil).tell(tooManyLine)
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	io.CopyN(io.Discard, conn, handshakeBudget)
}

// report logs the counters of refusals whenever they have changed, until done is closed.
func (s *Server) report(done <-chan struct{}) {
	tick := time.NewTicker(reportInterval)
	defer tick.Stop()
	var last []slog.Attr
	for running := true; running; {
		select {
		case <-tick.C:
		case <-done:
			running = false
		}
		if counts := s.opt.Metrics.refusalCounts(); !slices.EqualFunc(counts, last, slog.Attr.Equal) {
			last = counts
			s.log.LogAttrs(context.Background(), slog.LevelInfo, "refused", counts...)
		}
		if n := s.unlogged.Swap(0); n > 0 {
			s.log.Info("links were not logged", "number", n)
		}
	}
}
