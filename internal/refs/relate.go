package refs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"aig/internal/git"
	"aig/internal/oid"
)

// maxWalks bounds how many walks look for tips with incomplete history. Each may go through everything new.
const maxWalks = 64

// Pair is two commits to be compared, by object name. Whatever text a peer sends in place of a name is safe here.
type Pair struct {
	Ours   string // "" if there is nothing to compare with
	Theirs string
}

// Relation says how the commits of a Pair stand to each other.
type Relation struct {
	Ours, Theirs int    // commits that only ours reaches, and only theirs
	Related      bool   // they have a commit in common, or Pair.Ours was ""
	Unknown      string // why nothing is known, in words that quote nothing of the peer's; "" if it is known
}

// Relate compares the commits of each pair. It is an answer (Unknown), not an error, if theirs can't be taken because it is absent,
// no commit, or has an incomplete history.
//
// One walk goes through everything behind theirs that none of our references reaches, and another for each pair through what
// separates the two.
func Relate(ctx context.Context, repo *git.Repo, pairs []Pair, v Vetting) ([]Relation, error) {
	unknown, err := incomplete(ctx, repo, pairs, v)
	if err != nil {
		return nil, err
	}
	shallow, err := shallowCommits(repo)
	if err != nil {
		return nil, err
	}
	relations := make([]Relation, len(pairs))
	for i, p := range pairs {
		switch why := unknown[p.Theirs]; {
		case p.Ours == p.Theirs && p.Ours != "":
			relations[i] = Relation{Related: true}
		case why != "":
			relations[i] = Relation{Unknown: why}
		case p.Ours == "":
			relations[i] = Relation{Related: true}
		default:
			if relations[i], err = compare(ctx, repo, p); err != nil {
				return nil, err
			}
			if shallow != "" && !relations[i].Related {
				// The histories may meet behind what git can see.
				relations[i] = Relation{Unknown: "this repository is shallow, and the histories don't meet in what it has"}
			}
		}
	}
	return relations, nil
}

// compare counts what separates two commits. The history of theirs must be complete.
func compare(ctx context.Context, repo *git.Repo, p Pair) (Relation, error) {
	if !repo.Format.IsName(p.Ours) {
		return Relation{}, fmt.Errorf("%q is no full object name", p.Ours)
	}
	c := repo.Command(ctx, nil, "rev-list", "--left-right", "--boundary", "--stdin")
	c.Stdin = strings.NewReader(p.Ours + "..." + p.Theirs + "\n")
	var r Relation
	err := c.Lines(func(line []byte) error {
		switch mark := line[:min(1, len(line))]; string(mark) {
		case "<":
			r.Ours++
		case ">":
			r.Theirs++
		case "-": // both reach it
			r.Related = true
		}
		return nil
	})
	switch {
	case err == nil:
		r.Related = r.Related || r.Ours == 0 || r.Theirs == 0
		return r, nil
	case ctx.Err() != nil || git.OfMachine(err):
		return Relation{}, err
	}
	return Relation{Unknown: err.Error()}, nil
}

// SamePatches returns how many of the commits that only theirs reaches have the same patch as one that only ours reaches: cherry-picked
// or rebased, as git cherry finds them.
func SamePatches(ctx context.Context, repo *git.Repo, p Pair, onlyTheirs int) (int, error) {
	c := repo.Command(ctx, nil, "rev-list", "--right-only", "--cherry-pick", "--count", "--stdin")
	c.Stdin = strings.NewReader(p.Ours + "..." + p.Theirs + "\n")
	c.LimitMemory(maxDiffMemory) // it compares trees
	out, err := c.Output()
	if err != nil {
		return 0, err
	}
	var others int
	if _, err := fmt.Sscan(string(out), &others); err != nil {
		return 0, fmt.Errorf("git rev-list said %q: %w", out, err)
	}
	return onlyTheirs - others, nil
}

// incomplete returns, for each theirs that can't be compared and taken, why.
func incomplete(ctx context.Context, repo *git.Repo, pairs []Pair, v Vetting) (map[string]string, error) {
	unknown := make(map[string]string)
	var names []string
	for _, p := range pairs {
		if !repo.Format.IsName(p.Theirs) {
			unknown[p.Theirs] = "the peer sent no full object name"
		} else if p.Ours != p.Theirs {
			names = append(names, p.Theirs)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	var commits []string
	err := objectTypes(ctx, repo, strings.NewReader(strings.Join(names, "\n")), func(name []byte, kind string) error {
		switch kind {
		case "commit":
			commits = append(commits, string(name))
		case "":
			unknown[string(name)] = "the commit is not here"
		default:
			unknown[string(name)] = "it is a " + kind + ", not a commit"
		}
		return nil
	})
	if err != nil || v.Whole {
		return unknown, err
	}
	err = sift(ctx, commits, func(names []string) error {
		return walk(ctx, repo, names, nil, v, func(_, _ []byte) {})
	}, func(name string, err error) {
		switch {
		case errors.As(err, new(*rejection)):
			unknown[name] = "git's checks refuse what it brings (" + err.Error() + ")"
		case err == errNotWalked:
			unknown[name] = err.Error()
		default:
			unknown[name] = "its history is incomplete here, as from a shallow or partial repository (" + err.Error() + ")"
		}
	})
	return unknown, err
}

// Vetting says how a history is checked before a command is suggested that takes it. A tree and a file that it names may have been
// received in different runs, and so never been checked together.
type Vetting struct {
	Whole  bool                                              // everything here came in this run, with all that it names: nothing is walked
	Before *oid.List                                         // what the store held before this run; nil for no vetting
	Check  func(ctx context.Context, objects []string) error // of these
}

// rejection is an error of Vetting.Check.
type rejection struct{ error }

func (r *rejection) Unwrap() error { return r.error }

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
	var old []string
	binary := make([]byte, repo.Format.Size())
	err := c.Lines(func(line []byte) error {
		name, parents, _ := bytes.Cut(line, []byte(" "))
		each(name, parents)
		if v.Before == nil || repo.Format.Parse(binary, name) != nil {
			return nil
		}
		if _, found := v.Before.Search(binary); found {
			old = append(old, string(name))
		}
		return nil
	})
	if err == nil && len(old) > 0 {
		if err = v.Check(ctx, old); err != nil {
			err = &rejection{err}
		}
	}
	return err
}

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
