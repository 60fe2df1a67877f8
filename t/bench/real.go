package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// realStore returns a store with all that the branches and tags of a repository reach, and those references: no fetch
// would carry its unreachable objects, and nobody's clone has a forge's own references.
func realStore(ctx context.Context, source repo, dir string) (repo, error) {
	refs, err := source.lines(ctx, "for-each-ref", "--format=create %(refname) %(objectname)", "refs/heads", "refs/tags")
	if err != nil {
		return "", err
	}
	head, err := source.lines(ctx, "symbolic-ref", "HEAD")
	if err != nil {
		return "", err
	}
	name := sha256.Sum256([]byte(strings.Join(refs, "\n")))
	return kept(ctx, filepath.Join(dir, fmt.Sprintf("real-%.6x.git", name)), func(r repo) error {
		return extract(ctx, source, r, refs, head[0])
	})
}

// extract fills a new repository with references, as lines of git update-ref, and with what they reach.
func extract(ctx context.Context, source, target repo, refs []string, head string) error {
	pack := func(w io.Writer) error {
		out := bufio.NewWriter(w)
		for _, ref := range refs {
			fmt.Fprintln(out, ref[strings.LastIndexByte(ref, ' ')+1:])
		}
		return out.Flush()
	}
	into := filepath.Join(string(target), "objects", "pack", "pack")
	if err := source.pour(ctx, pack, "pack-objects", "-q", "--revs", "--delta-base-offset", into); err != nil {
		return err
	}
	update := strings.NewReader(strings.Join(refs, "\n") + "\n")
	if err := target.git(ctx, update, nil, "update-ref", "--stdin"); err != nil {
		return err
	}
	return target.git(ctx, nil, nil, "symbolic-ref", "HEAD", head)
}

// split takes away the newest commits of HEAD's history and gives each side about half of that many: Alice a stretch of
// the main line with what was merged into it, Bob topics that were merged later.
func split(ctx context.Context, base repo, dir string, commits int) (pair, error) {
	s, err := planSplit(ctx, base, commits)
	if err != nil {
		return pair{}, err
	}
	head, err := base.lines(ctx, "symbolic-ref", "HEAD")
	if err != nil {
		return pair{}, err
	}
	// Tags and branches on commits that both sides have: a fetch has to look at them.
	common, err := base.lines(ctx, "for-each-ref", "--merged=HEAD", "--format=create %(refname) %(objectname) %(*objectname)")
	if err != nil {
		return pair{}, err
	}
	var shared []string
	for _, line := range common {
		fields := strings.Fields(line)
		if _, recent := s.window[fields[len(fields)-1]]; !recent && fields[1] != head[0] {
			shared = append(shared, strings.Join(fields[:3], " "))
		}
	}
	for i, oid := range s.boundary {
		shared = append(shared, fmt.Sprintf("create refs/common/%d %s", i, oid))
	}
	side := func(name string, tips []string) (repo, error) {
		id := sha256.Sum256([]byte(strings.Join(append(tips, s.boundary...), "\n")))
		refs := append([]string{fmt.Sprintf("create %s %s", head[0], tips[0])}, shared...)
		for i, tip := range tips[1:] {
			refs = append(refs, fmt.Sprintf("create refs/heads/topic/%d %s", i, tip))
		}
		return kept(ctx, filepath.Join(dir, fmt.Sprintf("split-%s-%.6x.git", name, id)), func(r repo) error {
			return extract(ctx, base, r, refs, head[0])
		})
	}
	alice, err := side("alice", []string{s.main})
	if err != nil {
		return pair{}, err
	}
	bob, err := side("bob", s.topics)
	return pair{alice, bob}, err
}

// errNoSplit is the error for a history that is too short, or has too few topics beside its main line.
var errNoSplit = errors.New("the history at HEAD cannot be split into two that share their past")

type splitPlan struct {
	window   map[string][]string // the newest commits, with their parents
	boundary []string            // the newest commits that both sides have
	main     string              // Alice's tip
	topics   []string            // Bob's tips
}

func planSplit(ctx context.Context, base repo, commits int) (*splitPlan, error) {
	// Enough for Bob to find topics that Alice has not merged.
	lines, err := base.lines(ctx, "rev-list", "--topo-order", "--parents", "-n", fmt.Sprint(4*commits), "HEAD")
	if err != nil {
		return nil, err
	}
	if len(lines) < 4*commits {
		return nil, errNoSplit
	}
	s := &splitPlan{window: map[string][]string{}}
	var order []string // oldest first
	for i := len(lines) - 1; i >= 0; i-- {
		fields := strings.Fields(lines[i])
		s.window[fields[0]] = fields[1:]
		order = append(order, fields[0])
	}
	seen := map[string]bool{}
	for _, commit := range order {
		for _, parent := range s.window[commit] {
			if _, recent := s.window[parent]; !recent && !seen[parent] {
				seen[parent] = true
				s.boundary = append(s.boundary, parent)
			}
		}
	}
	alices := s.chooseMain(order[len(order)-1], commits/2)
	if bobs := s.chooseTopics(order, alices, commits/2); len(alices)+bobs < commits*3/4 {
		return nil, errNoSplit
	}
	return s, nil
}

// chooseMain follows the main line from the tip to the commit that reaches about that many of the window, and returns those.
func (s *splitPlan) chooseMain(tip string, commits int) map[string]bool {
	var best map[string]bool
	for commit := tip; ; {
		parents, recent := s.window[commit]
		if !recent {
			return best
		}
		reached := s.reach(commit)
		if best == nil || abs(len(reached)-commits) <= abs(len(best)-commits) {
			best, s.main = reached, commit
		}
		commit = parents[0]
	}
}

func (s *splitPlan) reach(commit string) map[string]bool {
	reached := map[string]bool{}
	todo := []string{commit}
	for len(todo) > 0 {
		commit, todo = todo[len(todo)-1], todo[:len(todo)-1]
		if parents, recent := s.window[commit]; recent && !reached[commit] {
			reached[commit] = true
			todo = append(todo, parents...)
		}
	}
	return reached
}

// chooseTopics gives Bob the oldest commits that need none of Alice's, and returns how many.
func (s *splitPlan) chooseTopics(order []string, alices map[string]bool, commits int) int {
	bobs, isTip := map[string]bool{}, map[string]bool{}
	for _, commit := range order {
		if len(bobs) == commits {
			break
		}
		ok := !alices[commit]
		for _, parent := range s.window[commit] {
			_, recent := s.window[parent]
			ok = ok && (!recent || bobs[parent])
		}
		if !ok {
			continue
		}
		bobs[commit], isTip[commit] = true, true
		for _, parent := range s.window[commit] {
			delete(isTip, parent)
		}
	}
	for _, commit := range order {
		if isTip[commit] {
			s.topics = append(s.topics, commit)
		}
	}
	return len(bobs)
}

// scatter returns two stores that each have every other run of the objects of one, in pack order: neither is closed under
// reachability, so no fetch can join them.
func scatter(ctx context.Context, base repo, dir string) (pair, error) {
	const run = 8192 // objects
	var names bytes.Buffer
	err := base.git(ctx, nil, &names, "cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname)", "--buffer")
	if err != nil {
		return pair{}, err
	}
	var stores [2]repo
	for side := range stores {
		path := filepath.Join(dir, fmt.Sprintf("scattered-%d-%s", side, filepath.Base(string(base))))
		stores[side], err = kept(ctx, path, func(r repo) error {
			every := func(w io.Writer) error {
				out := bufio.NewWriter(w)
				rest := names.Bytes()
				for i := 0; len(rest) > 0; i++ {
					line := firstLine(rest)
					if i/run%2 == side {
						out.Write(line)
					}
					rest = rest[len(line):]
				}
				return out.Flush()
			}
			into := filepath.Join(path+".unfinished", "objects", "pack", "pack")
			return base.pour(ctx, every, "pack-objects", "-q", "--delta-base-offset", into)
		})
		if err != nil {
			return pair{}, err
		}
	}
	return pair{stores[0], stores[1]}, nil
}

func abs(n int) int { return max(n, -n) }
