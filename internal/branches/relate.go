package branches

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"aig/internal/git"
	"aig/internal/links"
	"aig/internal/oid"
)

// Relate fills in the facts about the branches that differ, and what else Here needs for them. It is an answer (Unknown), not an error,
// if theirs can't be taken because it is absent, no commit, or has an incomplete history. Whatever text a peer has sent in place of a
// name is safe here.
//
// One walk goes through everything behind theirs that none of our references reaches, and another for each branch through what
// separates the two.
func (r *Report) Relate(ctx context.Context, repo *git.Repo, v Vetting) error {
	var differ []*Branch
	for i := range r.Branches {
		if b := &r.Branches[i]; b.Ours != b.Theirs {
			differ = append(differ, b)
		}
	}
	if len(differ) == 0 {
		return nil
	}
	var err error
	r.Here.Bare = !repo.InWorkTree
	if r.Here.Elsewhere, err = elsewhere(ctx, repo, r.Here.Branch); err != nil {
		return err
	}
	unknown, err := incomplete(ctx, repo, differ, v)
	if err != nil {
		return err
	}
	shallow, err := shallowCommits(repo)
	if err != nil {
		return err
	}
	for _, b := range differ {
		if b.Unknown = unknown[b.Theirs]; b.Unknown != "" {
			continue
		}
		if b.Ours == "" {
			b.Related = true
		} else if err := b.count(ctx, repo); err != nil {
			return err
		}
		if shallow != "" && !b.Related { // the histories may meet behind what git can see
			b.Unknown = cmp.Or(b.Unknown, "this repository is shallow, and the histories don't meet in what it has")
		}
		if !r.Here.Takes(*b) {
			continue
		}
		switch dirty, err := touched(ctx, repo, r.Here.Commit, b.Theirs); {
		case errors.Is(err, errTooManyChanges):
			b.Unknown = err.Error() // never suggest a command whose effect is unknown
		case err != nil:
			return err
		default:
			b.Dirty = dirty
		}
	}
	return nil
}

// count counts the commits that separate the two. The history of theirs must be complete.
func (b *Branch) count(ctx context.Context, repo *git.Repo) error {
	c := repo.Command(ctx, nil, "rev-list", "--left-right", "--boundary", "--stdin")
	c.Stdin = strings.NewReader(b.Ours + "..." + b.Theirs + "\n")
	err := c.Lines(func(line []byte) error {
		switch mark := line[:min(1, len(line))]; string(mark) {
		case "<":
			b.OnlyOurs++
		case ">":
			b.OnlyTheirs++
		case "-": // both reach it
			b.Related = true
		}
		return nil
	})
	if err != nil && ctx.Err() == nil && !git.OfMachine(err) {
		b.Unknown, err = err.Error(), nil
	}
	b.Related = b.Related || b.OnlyOurs == 0 || b.OnlyTheirs == 0
	return err
}

// incomplete returns, for each theirs that can't be compared and taken, why.
func incomplete(ctx context.Context, repo *git.Repo, branches []*Branch, v Vetting) (map[string]string, error) {
	unknown := make(map[string]string)
	var names []string
	for _, b := range branches {
		if repo.Format.IsName(b.Theirs) {
			names = append(names, b.Theirs)
		} else {
			unknown[b.Theirs] = "the peer sent no full object name"
		}
	}
	slices.Sort(names)
	names = slices.Compact(names) // sift would look at each copy
	list, name := oid.NewList(repo.Format), make([]byte, repo.Format.Size())
	for _, digits := range names {
		repo.Format.Parse(name, []byte(digits))
		list.Append(name)
	}
	kinds, err := links.Kinds(ctx, repo, list)
	var commits []string
	for i, kind := range kinds {
		switch kind {
		case links.Commit:
			commits = append(commits, names[i])
		case 0:
			unknown[names[i]] = "the commit is not here, or can't be read"
		default:
			unknown[names[i]] = "it is a " + kind.String() + ", not a commit"
		}
	}
	if err != nil || v.Whole {
		return unknown, err
	}
	err = sift(ctx, commits, func(names []string) error {
		return walk(ctx, repo, names, nil, v, func(_, _ []byte) {})
	}, func(name string, err error) {
		if errors.Is(err, errRefused) || err == errNotWalked {
			unknown[name] = err.Error()
		} else {
			unknown[name] = "its history is incomplete here, as from a shallow or partial repository (" + err.Error() + ")"
		}
	})
	return unknown, err
}

// Vetting says how a history is checked before a command is suggested that takes it. A tree and a file that it names may have been
// received in different runs, and so never been checked together.
type Vetting struct {
	Whole  bool                                               // everything here came in this run, with all that it names: nothing is walked
	Before *oid.List                                          // what the store held before this run; nil for no vetting
	Check  func(ctx context.Context, objects *oid.List) error // of these
}

// errRefused stands before an error of Vetting.Check.
var errRefused = errors.New("git's checks refuse what it brings")

// walk goes through everything behind the tips that neither our references nor the ends reach, and fails if anything is missing
// that no promisor remote has promised, as git fetch's check of connectivity does. A broken reference of ours is ignored. A commit
// comes with its parents.
func walk(ctx context.Context, repo *git.Repo, tips, ends []string, v Vetting, each func(name, parents []byte)) error {
	c := repo.Command(ctx, nil, "rev-list", "--objects", "--parents", "--no-object-names", "--exclude-promisor-objects", "--ignore-missing",
		"--stdin", "--not", "--all")
	revisions := slices.Clone(tips)
	for _, name := range ends {
		revisions = append(revisions, "^"+name)
	}
	c.Stdin = strings.NewReader(strings.Join(revisions, "\n"))
	old, binary := oid.NewList(repo.Format), make([]byte, repo.Format.Size())
	err := c.Lines(func(line []byte) error {
		name, parents, _ := bytes.Cut(line, []byte(" "))
		each(name, parents)
		if v.Before == nil || repo.Format.Parse(binary, name) != nil {
			return nil
		}
		if _, found := v.Before.Search(binary); found {
			old.Append(binary)
		}
		return nil
	})
	if err == nil && old.Len() > 0 {
		if err = v.Check(ctx, old); err != nil && !git.OfMachine(err) {
			err = fmt.Errorf("%w (%w)", errRefused, err)
		}
	}
	return err
}

// maxWalks bounds how many walks look for tips with incomplete history. Each may go through everything new.
const maxWalks = 64

// errNotWalked is sift's error for names that it has not tried.
var errNotWalked = errors.New("not looked at: too many other histories are incomplete")

// sift calls bad for each name that makes try fail. It tries all names together, and divides those that fail. It ends with an error
// if the machine is at fault or the context is cancelled.
func sift(ctx context.Context, names []string, try func([]string) error, bad func(string, error)) error {
	walks := maxWalks
	var part func([]string) error
	part = func(names []string) error {
		if len(names) == 0 {
			return nil
		}
		err := errNotWalked
		if walks--; walks >= 0 {
			if err = try(names); err == nil {
				return nil
			}
			if ctx.Err() != nil || git.OfMachine(err) {
				return err
			}
			if len(names) > 1 {
				half := len(names) / 2
				return cmp.Or(part(names[:half]), part(names[half:]))
			}
		}
		for _, name := range names {
			bad(name, err)
		}
		return nil
	}
	return part(names)
}

// shallowCommits returns the commits whose parents are missing, one a line.
func shallowCommits(repo *git.Repo) (string, error) {
	names, err := os.ReadFile(repo.Shallow)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return string(names), err
}
