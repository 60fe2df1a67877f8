package app

import (
	"os"
	"strings"
	"testing"

	"aig/internal/intake"
)

// Commits that failed runs have noted are forgotten only when a report that was written tells of them.
func TestNotedHeads(t *testing.T) {
	unwritable, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer unwritable.Close()
	for _, form := range []BranchReport{BranchPorcelain, BranchText} {
		alice, bob := newPerson(t), newPerson(t)
		alice.Commit("a", "of Alice")
		bob.Commit("b", "of Bob")
		tip := alice.Git("commit-tree", "-m", "of an earlier run", "HEAD^{tree}")
		c := alice.config(bob)
		c.Transport, c.Branches, c.Report = leadsTo(t, bob.config(alice)), form, ReportSummary
		store, err := intake.Open(t.Context(), c.Git)
		if err != nil {
			t.Fatal(err)
		}
		noting := &run{store: store, peer: publicKey(t, bob).Marshal()}
		noting.noteHeads([]string{tip})

		failing := c
		if form == BranchPorcelain {
			failing.Quiet, failing.Stdout = true, unwritable // so that no report fails before
		} else {
			failing.Stderr = unwritable
		}
		o := syncNow(t, failing)
		if (o.err != nil) != (form == BranchPorcelain) || len(noting.earlierHeads()) != 1 {
			t.Errorf("%q, not written: %v, and %v is noted", form, o.err, noting.earlierHeads())
		}
		o = syncNow(t, c)
		if o.err != nil || !strings.Contains(o.stdout+o.stderr, tip) || len(noting.earlierHeads()) != 0 {
			t.Errorf("%q, written: %v, and %v is noted\n%s%s", form, o.err, noting.earlierHeads(), o.stdout, o.stderr)
		}
	}
}
