package app

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"aig/internal/branches"
	"aig/internal/intake"
	"aig/internal/objects"
	"aig/internal/oid"
	"aig/internal/pairing"
	"aig/internal/ref"
	"aig/internal/refs"
	"aig/internal/screen"
	"aig/internal/session"
	"aig/internal/snapshot"
)

// Sync makes our store and the peer's equal, and reports what has moved. A nil error means
// that both sides hold everything and have said so.
func Sync(ctx context.Context, c Config) error {
	remote, err := c.resolve(ctx)
	if err != nil {
		return err
	}
	if err := c.completeSync(ctx, remote); err != nil {
		return err
	}
	s := newRun(c)
	s.remote = remote
	if s.store, err = intake.Open(ctx, c.Git); err != nil {
		return err
	}
	if err = s.takeSnapshot(ctx); err != nil {
		return err
	}
	s.status.Phase("waiting for the peer to come")
	link, err := c.connect(ctx, remote, false, s.screen, func() { s.arrived(ctx) })
	if err != nil {
		return err
	}
	defer link.Close()
	return link.Explain(s.sync(ctx, link))
}

// resolve replaces the name of a remote by the transport that it stands for, and returns the name, or "" if it was none.
func (c *Config) resolve(ctx context.Context) (remote string, err error) {
	if c.Transport == "-" {
		return "", nil
	}
	url, ok, err := c.Git.RemoteURL(ctx, c.Transport)
	transport, isAig := strings.CutPrefix(url, "aig::")
	switch {
	case err != nil:
		return "", err
	case ok && isAig:
		remote, c.Transport = c.Transport, transport
	case c.isNoCommand() && (c.Transport == string(pairing.Invite) || c.Transport == string(pairing.Accept)):
		return "", fmt.Errorf("%s takes a name: git aig-sync %[1]s <name> [<transport>]", c.Transport)
	case c.isNoCommand():
		return "", fmt.Errorf("there is no remote %q whose address begins with aig::, and no program of that name", c.Transport)
	}
	return remote, nil
}

// takeSnapshot commits uncommitted work, if asked to.
func (s *run) takeSnapshot(ctx context.Context) error {
	configured, _, err := s.Git.Config(ctx, "aig.snapshot", "bool")
	wanted := configured == "true"
	if s.Snapshot != nil {
		wanted = *s.Snapshot
	}
	if err != nil || !wanted {
		return err
	}
	s.status.Phase("making a snapshot of uncommitted work")
	defer s.startProgress(&s.status)()
	if s.snapshot, err = snapshot.Take(ctx, s.store.Repo); err == nil && s.snapshot != "" {
		fmt.Fprintf(s.screen, "snapshot: your uncommitted work is in %s\n", s.snapshot)
	}
	return err
}

// countTime bounds the look at the working tree, which the hello waits for.
const countTime = 2 * time.Second

// countUncommitted returns how many files have uncommitted changes. The peer is told, so that somebody asks for a snapshot
// while there is time. If counting fails or takes long, nothing is said.
func (s *run) countUncommitted(ctx context.Context) (int, error) {
	if s.snapshot != "" || s.Branches == BranchesOff || !s.Direction.Gives() {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	return snapshot.Count(ctx, s.store.Repo)
}

// isNoCommand reports whether the transport is a plain word that sh would not find: the name of a remote, misspelt.
func (c *Config) isNoCommand() bool {
	if !ref.Plain(c.Transport) || strings.Contains(c.Transport, "/") {
		return false
	}
	_, err := exec.LookPath(c.Transport)
	return err != nil
}

// run is one Sync, from an open transport to the end of the report.
type run struct {
	Config
	remote string // the name of the peer's remote, or ""
	store  *intake.Store
	screen *screen.Screen
	report *report
	peer   []byte // its key, once it has been met

	snapshot string // the commit of uncommitted work, or ""

	// From the peer's arrival on:
	status  session.Status
	cancel  context.CancelFunc
	objects func() (*oid.List, error)
	told    func() ([]ref.Ref, error)
	changed func() (int, error) // files with uncommitted changes
	stop    func()              // wipes the progress line
}

func newRun(c Config) *run {
	s := &run{Config: c, screen: screen.New(c.Stderr)}
	s.status.Tell = s.tellPhase
	return s
}

// arrived starts what needs a peer to have come, but not its key: the store is listed during the handshake's round trips.
// Not earlier, since the peer may take hours to come.
func (s *run) arrived(ctx context.Context) {
	ctx, s.cancel = context.WithCancel(ctx)
	s.objects = begin(ctx, func(ctx context.Context) (*oid.List, error) { return objects.List(ctx, s.store.Repo) })
	s.told = begin(ctx, s.tellRefs)
	s.changed = begin(ctx, s.countUncommitted)
	s.status.Phase("SSH handshake with the peer")
	s.stop = s.startProgress(&s.status)
}

// tellPhase tells the trace, and with --verbose the user, which phase begins.
func (s *run) tellPhase(name string) {
	s.Git.Trace.Phase(name)
	if s.Verbose {
		fmt.Fprintln(s.screen, name)
	}
}

// startProgress shows progress until the function that it returns is called: like git on a terminal only, unless told otherwise.
func (s *run) startProgress(status *session.Status) (stop func()) {
	shown := s.screen.IsTerminal()
	if s.Progress != nil {
		shown = *s.Progress
	}
	if s.Quiet || !shown {
		return func() {}
	}
	return s.screen.Start(status, s.progressDelay())
}

// progressDelay returns how long we are silent before progress is shown. The default is one second, not git's two: somebody
// else waits with us.
func (c Config) progressDelay() time.Duration {
	if seconds, err := strconv.ParseUint(c.getenv("GIT_PROGRESS_DELAY"), 10, 16); err == nil {
		return time.Duration(seconds) * time.Second
	}
	return time.Second
}

// offer chooses which of the objects that the peer lacks are given.
func (s *run) offer(ctx context.Context, list *oid.List, lacks []uint32) ([]uint32, error) {
	if s.Give == GiveReachable {
		reach := refs.Unhidden()
		if s.snapshot != "" {
			reach = append(reach, s.snapshot)
		}
		return objects.Reached(ctx, s.store.Repo, list, lacks, reach...)
	}
	borrowed, err := objects.Borrowed(ctx, s.store.Repo, list, lacks)
	if len(borrowed) == 0 || err != nil {
		return lacks, err
	}
	reached, err := objects.Reached(ctx, s.store.Repo, list, borrowed, "--all")
	kept := oid.NewBitmap(list.Len(), borrowed)
	for _, at := range reached {
		kept.Remove(at)
	}
	return slices.DeleteFunc(slices.Clone(lacks), kept.Has), err
}

func (s *run) sync(ctx context.Context, link *Link) error {
	defer s.end()
	s.report = newReport(s.Config, s.screen, s.store.Format)
	result, err := link.converse(ctx, session.Options{
		Store:     s.store,
		Direction: s.Direction,
		Objects:   func(context.Context) (*oid.List, error) { return s.objects() },
		Offer:     s.offer,
		Refs:      func(context.Context) ([]ref.Ref, error) { return s.told() },
		Uncommitted: func(context.Context) int {
			n, _ := s.changed()
			return n
		},
		Common: s.report.common,
		Status: &s.status,
		DryRun: s.DryRun,
	})
	if dry := new(session.DryRunError); errors.As(err, &dry) {
		s.end()
		fmt.Fprintln(s.screen, "a dry run: nothing has moved")
		return s.report.would(dry)
	}
	var omitted *session.OmittedError
	if result == nil {
		return err
	}
	s.peer = link.peer.Marshal()
	if err != nil {
		s.noteHeads(result.Heads)
		if !errors.As(err, &omitted) {
			return err
		}
	}
	s.end()
	if result.Left && (s.Transport != "-" || s.Report != ReportAsFits) {
		fmt.Fprintln(s.screen, "the peer has looked at our references and taken nothing")
	}
	if reportErr := s.report.moved(result, s.status.Progress(), err == nil); err == nil {
		err = reportErr
	}
	if err != nil {
		return err
	}
	if err := s.showBranches(ctx, result, s.report.to); err != nil {
		return err
	}
	if n := result.PeerUncommitted; n > 0 && s.forPerson() {
		who := "the peer"
		if s.remote != "" {
			who = ref.Quote(s.remote)
		}
		fmt.Fprintf(s.screen, "%s has uncommitted changes in %s; ask for --snapshot\n", who, branches.Count(n, "file", "files"))
	}
	return nil
}

// end ends what arrived started.
func (s *run) end() {
	if s.stop != nil {
		s.cancel()
		s.objects()
		s.told()
		s.changed()
		s.stop()
	}
}

// begin runs f in a goroutine of its own. The function that it returns waits for the result.
func begin[T any](ctx context.Context, f func(context.Context) (T, error)) func() (T, error) {
	wait := sync.OnceValues(func() (T, error) { return f(ctx) })
	go wait()
	return wait
}
