package branches

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"aig/internal/git"
	"aig/internal/ref"
)

// FindTips fills in the received commits that nothing points to: no reference here, none of the peer's (theirs), and no other received
// commit. They are lost work, stashes, and what the peer's hidden references point to. commits are those received that may be some;
// those that aren't here any more are passed over. Relate has told which branches of the peer's have a complete history.
//
// With v.Whole nothing is walked: then no commit may be the parent of another.
func (r *Report) FindTips(ctx context.Context, repo *git.Repo, commits []string, theirs []ref.Ref, v Vetting) error {
	if len(commits) == 0 {
		return nil
	}
	candidates, err := unpointed(ctx, repo, commits, theirs, v)
	if err != nil {
		return err
	}
	if v.Whole {
		r.Tips = candidates
		return nil
	}
	var whole []string
	for _, b := range r.Branches {
		if b.Unknown == "" && repo.Format.IsName(b.Theirs) {
			whole = append(whole, b.Theirs)
		}
	}
	fates := make(map[string]fate)
	for _, name := range candidates {
		fates[name] = isReached // unless a walk comes upon it
	}
	learn := func(name []byte, f fate) {
		if known, isCandidate := fates[string(name)]; isCandidate && f > known {
			fates[string(name)] = f
		}
	}
	err = sift(ctx, candidates, func(names []string) error {
		return walk(ctx, repo, names, whole, v, func(name, parents []byte) {
			learn(name, isTip)
			for parent := range bytes.FieldsSeq(parents) {
				learn(parent, isBelow)
			}
		})
	}, func(name string, _ error) { learn([]byte(name), isBroken) })
	if err != nil {
		return err // what a walk has come upon hasn't been checked yet
	}
	for _, name := range candidates {
		switch fates[name] {
		case isTip:
			r.Tips = append(r.Tips, name)
		case isBroken:
			r.Broken = append(r.Broken, name)
		}
	}
	return nil
}

// fate is what walks tell of a commit. A greater one outweighs a smaller one.
type fate int

const (
	isReached fate = iota // by a reference, maybe through what was here before; or it is gone
	isTip
	isBroken
	isBelow // another commit
)

// unpointed returns the commits that no reference of the peer's names and, if nothing will be walked, none of ours; newest first.
func unpointed(ctx context.Context, repo *git.Repo, commits []string, theirs []ref.Ref, v Vetting) (left []string, err error) {
	pointed := make(map[string]bool)
	for _, r := range theirs {
		pointed[r.OID], pointed[r.Peeled] = true, true
	}
	if v.Whole {
		c := repo.Command(ctx, nil, "for-each-ref", "--format=%(objectname)")
		if err := c.Lines(func(line []byte) error { pointed[string(line)] = true; return nil }); err != nil {
			return nil, err
		}
	}
	shallow, err := shallowCommits(repo)
	if err != nil {
		return nil, err
	}
	if shallow != "" {
		// An empty GIT_SHALLOW_FILE makes git show the parents that a shallow repository cuts off: they may have been received.
		c := repo.Command(ctx, []string{"GIT_SHALLOW_FILE="}, "rev-list", "--no-walk", "--ignore-missing", "--parents", "--stdin")
		c.Stdin = strings.NewReader(shallow)
		if err := c.Lines(func(line []byte) error {
			for _, parent := range strings.Fields(string(line))[1:] {
				pointed[parent] = true
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	left = slices.DeleteFunc(slices.Clone(commits), func(name string) bool { return pointed[name] })
	if len(left) < 2 {
		return left, nil
	}
	c := repo.Command(ctx, nil, "rev-list", "--no-walk=sorted", "--ignore-missing", "--stdin")
	c.Stdin = strings.NewReader(strings.Join(left, "\n"))
	left = nil
	err = c.Lines(func(line []byte) error { left = append(left, string(line)); return nil })
	return left, err
}
