package branches

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"aig/internal/git"
	"aig/internal/ref"
)

// Describe fills in what only a person is told, for no more entries than a person may be shown, and sorts the branches for one. What it
// can't find out in time is left out.
func (r *Report) Describe(ctx context.Context, repo *git.Repo) error {
	r.arrange()
	const most = 1000
	commits := slices.Clone(r.Tips[:min(len(r.Tips), most)])
	for i := range r.Branches[:min(len(r.Branches), most)] {
		b := &r.Branches[i]
		switch b.Class() {
		case UpToDate, Behind, Unknown:
			continue
		case RequiresMerge:
			b.findSame(ctx, repo)
		}
		commits = append(commits, b.Theirs)
	}
	if len(commits) == 0 {
		return nil
	}
	r.About = make(map[string]ref.About)
	c := repo.Command(ctx, nil, "log", "--no-walk=unsorted", "--ignore-missing", "--no-show-signature", "--no-mailmap", "--stdin",
		"--format=%H%x00%an%x00%as%x00%ar%x00%s")
	c.Stdin = strings.NewReader(strings.Join(commits, "\n"))
	err := c.Lines(func(line []byte) error {
		if fields := strings.SplitN(string(line), "\x00", 5); len(fields) == 5 {
			r.About[fields[0]] = ref.About{Author: fields[1], Date: fields[2], Age: fields[3], Subject: fields[4]}
		}
		return nil
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// findSame finds out how many of the commits that only theirs reaches have the same patch as one that only ours reaches: cherry-picked
// or rebased, as git cherry finds them.
func (b *Branch) findSame(ctx context.Context, repo *git.Repo) {
	c := repo.Command(ctx, nil, "rev-list", "--right-only", "--cherry-pick", "--count", "--stdin")
	c.Stdin = strings.NewReader(b.Ours + "..." + b.Theirs + "\n")
	c.LimitMemory(maxDiffMemory) // it compares trees
	if out, err := c.Output(); err == nil {
		if others, err := strconv.Atoi(strings.TrimSpace(string(out))); err == nil {
			b.Same = b.OnlyTheirs - others
		}
	}
}

// arrange sorts the branches for a person: what is checked out here, then what brings something, then the rest.
func (r *Report) arrange() {
	rank := func(b Branch) int {
		switch class := b.Class(); {
		case b.Name == r.Here.Branch || b.Name == "HEAD":
			return 0
		case class == UpToDate, class == Behind:
			return 2
		}
		return 1
	}
	slices.SortStableFunc(r.Branches, func(a, b Branch) int { return cmp.Compare(rank(a), rank(b)) })
}
