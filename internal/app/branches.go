package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"aig/internal/branches"
	"aig/internal/git"
	"aig/internal/ref"
	"aig/internal/refs"
	"aig/internal/session"
	"aig/internal/wire"
)

// tellRefs returns those of our references that the peer is told.
func (s *run) tellRefs(ctx context.Context) ([]ref.Ref, error) {
	if s.Branches == BranchesOff {
		return nil, nil
	}
	ours, err := refs.List(ctx, s.store.Repo)
	if err != nil && !errors.Is(err, refs.ErrTooMany) {
		return nil, err
	}
	told := slices.DeleteFunc(ours, func(r ref.Ref) bool { return !wire.CanTell(r) })
	if size := wire.RefsSize(told); size > wire.MaxRefsSize {
		err = fmt.Errorf("our references take %d bytes, and at most %d can be sent", size, wire.MaxRefsSize)
	}
	if err != nil {
		fmt.Fprintf(s.screen, "warning: %v: the peer is told none\n", err)
		return nil, nil
	}
	return told, nil
}

// compareTime bounds the comparison of branches: after a first sync of a large history there is much to walk, and git can
// tell the rest.
const compareTime = 10 * time.Second

// showBranches shows how the peer's branches compare with ours, if it has told them. The sync has succeeded by then: a
// failure here is only a warning.
func (s *run) showBranches(ctx context.Context, result *session.Result, porcelain io.Writer) error {
	porcelainWanted := s.Branches == BranchPorcelain
	if !porcelainWanted && !s.forPerson() || result.Left || len(result.PeerRefs) == 0 {
		return nil
	}
	limited, cancel := context.WithTimeoutCause(ctx, compareTime, fmt.Errorf("takes longer than %s", compareTime))
	defer cancel()
	var status session.Status
	status.Tell = s.tellPhase
	status.Phase("comparing the peer's branches with yours")
	stop := s.startProgress(&status)
	report, complete, err := s.compare(limited, result)
	stop()
	var failed *git.Error
	switch {
	case ctx.Err() != nil:
		return nil // a user who interrupts doesn't want to know
	case err == nil:
	case limited.Err() != nil:
		err = fmt.Errorf("it %w", context.Cause(limited))
	case errors.As(err, &failed) && failed.Interrupted():
		return nil
	}
	if err != nil {
		fmt.Fprintf(s.screen, "warning: the peer's branches could not be compared with ours: %v\n", err)
		return nil
	}
	if porcelainWanted {
		err = report.WritePorcelain(porcelain)
	} else {
		lines := s.screen.Rows() - 4 // leaving room for some of the report, and the prompt
		if s.Branches == BranchAll {
			lines = math.MaxInt
		}
		err = report.WriteText(s.screen, max(lines, 8))
	}
	if err == nil && complete {
		s.forgetHeads()
	}
	if porcelainWanted {
		return err
	}
	return nil // an error only means that nobody reads the text
}

// forPerson returns whether a person is told of the peer's branches.
func (s *run) forPerson() bool {
	return (s.Branches == BranchText || s.Branches == BranchAll) && !s.Quiet && s.Transport != "-"
}

// compare returns how the peer's branches compare with ours. The report is complete if it has the commits that nothing points to.
func (s *run) compare(ctx context.Context, result *session.Result) (report *branches.Report, complete bool, err error) {
	own, err := refs.Own(ctx, s.store.Repo)
	if err != nil {
		return nil, false, err
	}
	report = &branches.Report{
		Here:     branches.Here{Branch: own[0].Target, Commit: own[0].OID},
		Branches: branches.Pair(own, result.PeerRefs),
	}
	before, err := s.objects()
	if err != nil {
		return nil, false, err
	}
	v := branches.Vetting{Whole: result.Whole, Before: before, Check: s.store.Vet}
	// A person gets what is ready in time, a script all or nothing.
	late := func(err error) bool {
		return err != nil && s.Branches != BranchPorcelain && errors.Is(ctx.Err(), context.DeadlineExceeded)
	}
	if err := report.Relate(ctx, s.store.Repo, v); late(err) {
		for i := range report.Branches {
			b := &report.Branches[i]
			b.Unknown, b.Dirty = cmp.Or(b.Unknown, "comparing it "+context.Cause(ctx).Error()+" (use git fetch and git log)"), nil
		}
	} else if err != nil {
		return nil, false, err
	}
	commits := result.Heads
	if !v.Whole { // else the store was empty, and has from earlier runs what this one brought
		commits = append(s.earlierHeads(), commits...)
	}
	err = report.FindTips(ctx, s.store.Repo, commits, result.PeerRefs, v)
	if late(err) {
		fmt.Fprintf(s.screen, "warning: commits that came in and that nothing points to are not listed: finding them %v\n", context.Cause(ctx))
		return report, false, nil
	}
	if err == nil && s.Branches != BranchPorcelain {
		err = report.Describe(ctx, s.store.Repo)
	}
	return report, true, err
}
