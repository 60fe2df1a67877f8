package gitstore

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"aig/internal/oid"
)

const (
	// MaxRefs is how many references a repository may have to tell: HEAD, branches, tags and peeled tags together.
	MaxRefs = 100_000
	// maxWalks bounds the walks that look for the tips whose history is incomplete; each may go through all that is new.
	maxWalks = 64
)

// ErrTooManyRefs is Refs' error in a repository that has more than MaxRefs. A part of them is no answer: a caller would
// take the others for deleted.
var ErrTooManyRefs = fmt.Errorf("more than %d references", MaxRefs)

// Ref is a reference.
type Ref struct {
	Name   string // full: "HEAD", "refs/heads/main"; with "^{}" behind it, what an annotated tag stands for in the end
	OID    string // full hexadecimal object name; "" for an unborn HEAD
	Target string // the full name that a symbolic reference points to, else ""
}

// Refs is what a peer is told: HEAD (an unborn one too), branches and tags, in this order and each sorted by name, an
// annotated tag followed by its peeled entry as in git ls-remote. References that transfer.hideRefs or
// uploadpack.hideRefs hide are not among them, nor those whose object is absent. A hidden name is not told as the target
// of another reference either.
func (s *Store) Refs(ctx context.Context) ([]Ref, error) {
	hidden, err := s.hiddenRefs(ctx)
	if err != nil {
		return nil, err
	}
	refs, err := s.forEachRef(ctx, hidden, "refs/heads", "refs/tags")
	if err != nil {
		return nil, err
	}
	head, err := s.head(ctx)
	if err != nil {
		return nil, err
	}
	if hidden.hides(head.Target) {
		head.Target = ""
	}
	if !hidden.hides("HEAD") && (head.OID != "" || head.Target != "") {
		refs = slices.Insert(refs, 0, head)
	}
	if refs, err = s.present(ctx, refs); err == nil && len(refs) > MaxRefs {
		return nil, ErrTooManyRefs
	}
	return refs, err
}

// head is HEAD: unborn, detached or neither.
func (s *Store) head(ctx context.Context) (Ref, error) {
	head := Ref{Name: "HEAD"}
	c := s.git.command(ctx, nil, "symbolic-ref", "-q", "HEAD")
	out, err := c.Output()
	if err != nil && exitCode(err) != 1 { // git-symbolic-ref(1): 1 says detached
		return head, c.explain(err)
	}
	head.Target = strings.TrimSuffix(string(out), "\n")
	c = s.git.command(ctx, nil, "rev-parse", "-q", "--verify", "HEAD")
	out, err = c.Output()
	if err != nil && exitCode(err) != 1 {
		return head, c.explain(err)
	}
	head.OID = strings.TrimSuffix(string(out), "\n")
	return head, nil
}

// OwnRefs is HEAD and all branches here, hidden or not and whether their objects are present or not: what a peer's
// references are compared with.
func (s *Store) OwnRefs(ctx context.Context) ([]Ref, error) {
	head, err := s.head(ctx)
	if err != nil {
		return nil, err
	}
	refs, err := s.forEachRef(ctx, nil, "refs/heads")
	return append([]Ref{head}, refs...), err
}

func (s *Store) forEachRef(ctx context.Context, hidden hiddenRefs, under ...string) ([]Ref, error) {
	var refs []Ref
	// Nothing that needs the objects is asked for here: one that is absent would end the listing.
	args := append([]string{"for-each-ref", "--format=%(refname)%00%(objectname)%00%(symref)"}, under...)
	c := s.git.command(ctx, nil, args...)
	err := c.lines(func(line []byte) error {
		fields := strings.Split(string(line), "\x00")
		if len(fields) != 3 {
			return fmt.Errorf("git for-each-ref said %q", line)
		}
		if hidden.hides(fields[0]) {
			return nil
		}
		if len(refs) == MaxRefs {
			return ErrTooManyRefs
		}
		r := Ref{Name: fields[0], OID: fields[1], Target: fields[2]}
		if hidden.hides(r.Target) {
			r.Target = ""
		}
		refs = append(refs, r)
		return nil
	})
	return refs, err
}

// present drops the references whose object is absent and adds the peeled ones of annotated tags.
func (s *Store) present(ctx context.Context, refs []Ref) ([]Ref, error) {
	var ask strings.Builder
	for _, r := range refs {
		if r.OID != "" {
			fmt.Fprintf(&ask, "%s\n%s^{}\n", r.OID, r.OID)
		}
	}
	answers, err := s.objectTypes(ctx, ask.String())
	if err != nil {
		return nil, err
	}
	var kept []Ref
	for _, r := range refs {
		if r.OID == "" {
			kept = append(kept, r)
			continue
		}
		if len(answers) < 2 {
			return nil, io.ErrUnexpectedEOF
		}
		itself, peeled := answers[0], answers[1]
		answers = answers[2:]
		if itself.kind == "" {
			continue
		}
		kept = append(kept, r)
		if peeled.kind != "" && peeled.name != r.OID && strings.HasPrefix(r.Name, "refs/tags/") {
			kept = append(kept, Ref{Name: r.Name + "^{}", OID: peeled.name})
		}
	}
	return kept, nil
}

// objectType is an answer of git cat-file --batch-check.
type objectType struct {
	name string
	kind string // "" for an absent object
}

// objectTypes asks for one object a line.
func (s *Store) objectTypes(ctx context.Context, ask string) ([]objectType, error) {
	c := s.git.command(ctx, nil, "cat-file", "--batch-check=%(objectname) %(objecttype)", "--buffer")
	c.Stdin = strings.NewReader(ask)
	var answers []objectType
	err := c.lines(func(line []byte) error {
		name, kind, _ := strings.Cut(string(line), " ")
		if kind == "missing" {
			kind = ""
		}
		answers = append(answers, objectType{name, kind})
		return nil
	})
	return answers, err
}

// hiddenRefs is transfer.hideRefs and uploadpack.hideRefs together, in the order of the configuration (git-config(1)).
type hiddenRefs []string

func (s *Store) hiddenRefs(ctx context.Context) (hiddenRefs, error) {
	// One look-up of both, since the later value wins, whichever of the two it is of.
	entries, err := s.git.config(ctx, "--get-regexp", `^(transfer|uploadpack)\.hiderefs$`, "")
	if err != nil {
		return nil, err
	}
	var h hiddenRefs
	for _, entry := range entries {
		key, value, given := strings.Cut(entry, "\n")
		if !given {
			return nil, fmt.Errorf("configuration variable %s has no value", key)
		}
		h = append(h, strings.TrimRight(value, "/"))
	}
	return h, nil
}

// hides follows git: a value is the name or a whole part of its beginning, "!" negates, "^" says that a full name
// follows, which ours are anyway, and the last one that matches decides.
func (h hiddenRefs) hides(name string) bool {
	for _, value := range slices.Backward(h) {
		prefix, shown := strings.CutPrefix(value, "!")
		prefix = strings.TrimPrefix(prefix, "^")
		if rest, found := strings.CutPrefix(name, prefix); found && (rest == "" || rest[0] == '/') {
			return !shown
		}
	}
	return false
}

// Checkout is what is checked out, and where.
type Checkout struct {
	Head      Ref               // HEAD here, hidden or not
	Dir       string            // the top of the working tree; "" where there is none, as in a bare repository
	Elsewhere map[string]string // the working tree of each branch (full name) that is checked out in another one
}

// Checkout looks at HEAD and the working trees.
func (s *Store) Checkout(ctx context.Context) (Checkout, error) {
	head, err := s.head(ctx)
	if err != nil {
		return Checkout{}, err
	}
	co := Checkout{Head: head, Elsewhere: make(map[string]string)}
	c := s.git.command(ctx, nil, "rev-parse", "--is-inside-work-tree", "--show-toplevel")
	out, err := c.Output()
	if dir, inside := strings.CutPrefix(string(out), "true\n"); inside && err == nil {
		co.Dir = strings.TrimSuffix(dir, "\n")
	} else if !strings.HasPrefix(string(out), "false\n") {
		return co, c.explain(err)
	}
	c = s.git.command(ctx, nil, "worktree", "list", "--porcelain", "-z")
	if out, err = c.Output(); err != nil {
		return co, c.explain(err)
	}
	var dir string
	for field := range strings.SplitSeq(string(out), "\x00") {
		switch key, value, _ := strings.Cut(field, " "); key {
		case "worktree":
			dir = value
		case "branch":
			// With GIT_WORK_TREE or core.worktree git names another directory for this very working tree.
			if here := co.Dir != "" && value == head.Target; !here {
				co.Elsewhere[value] = dir
			}
		}
	}
	return co, nil
}

// Pair is two commits to be compared, by full hexadecimal names. Those of a peer's are safe here: nothing but the name
// of an object is ever looked up.
type Pair struct {
	Ours   string // "" if there is nothing to compare with
	Theirs string
}

// Relation is how a Pair's commits stand to each other.
type Relation struct {
	Ours, Theirs int    // commits that only ours reaches, and only theirs
	Related      bool   // they have a commit in common, or Pair.Ours was ""
	Unknown      string // why nothing is known, in words that quote nothing of the peer's; "" if it is known
}

// Relate compares the commits of each pair. Where theirs is absent, no commit, or has a history in which something is
// missing, so that it can't be taken, that is an answer (Unknown) and no error.
//
// One walk goes through everything behind theirs that no reference of ours reaches, one more through what separates each
// pair of different commits.
func (s *Store) Relate(ctx context.Context, pairs []Pair) ([]Relation, error) {
	unknown, err := s.incomplete(ctx, pairs)
	if err != nil {
		return nil, err
	}
	shallow, err := s.shallow(ctx)
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
			if relations[i], err = s.compare(ctx, p); err != nil {
				return nil, err
			}
			if shallow && !relations[i].Related {
				// What git sees of it ends before the two can meet.
				relations[i] = Relation{Unknown: "this repository is shallow, and the histories don't meet in what it has"}
			}
		}
	}
	return relations, nil
}

func (s *Store) shallow(ctx context.Context) (bool, error) {
	c := s.git.command(ctx, nil, "rev-parse", "--is-shallow-repository")
	out, err := c.Output()
	return strings.HasPrefix(string(out), "true"), c.explain(err)
}

// compare counts what separates two commits, of which theirs has a complete history.
func (s *Store) compare(ctx context.Context, p Pair) (Relation, error) {
	if !s.isName(p.Ours) {
		return Relation{}, fmt.Errorf("%q is no full object name", p.Ours)
	}
	c := s.git.command(ctx, nil, "rev-list", "--left-right", "--count", "--stdin")
	c.Stdin = strings.NewReader(p.Ours + "..." + p.Theirs + "\n")
	out, err := c.Output()
	if err != nil {
		if err = c.explain(err); ctx.Err() != nil || ofMachine(err) {
			return Relation{}, err
		}
		return Relation{Unknown: err.Error()}, nil
	}
	var r Relation
	if _, err := fmt.Sscan(string(out), &r.Ours, &r.Theirs); err != nil {
		return Relation{}, fmt.Errorf("git rev-list said %q: %w", out, err)
	}
	r.Related = r.Ours == 0 || r.Theirs == 0
	if !r.Related {
		bases, err := s.mergeBases(ctx, p.Ours, p.Theirs)
		if err != nil {
			return Relation{}, err
		}
		r.Related = len(bases) > 0
	}
	return r, nil
}

// mergeBases is all merge bases of two commits, of which both names have been checked.
func (s *Store) mergeBases(ctx context.Context, ours, theirs string) ([]string, error) {
	c := s.git.command(ctx, nil, "merge-base", "--all", "--end-of-options", ours, theirs)
	out, err := c.Output()
	if err != nil && exitCode(err) == 1 { // git-merge-base(1): there is none
		return nil, nil
	}
	return strings.Fields(string(out)), c.explain(err)
}

// incomplete is why theirs of a pair can't be compared and taken, for each that can't.
func (s *Store) incomplete(ctx context.Context, pairs []Pair) (map[string]string, error) {
	unknown := make(map[string]string)
	var names []string
	for _, p := range pairs {
		if !s.isName(p.Theirs) {
			unknown[p.Theirs] = "the peer gives no full object name"
		} else if p.Ours != p.Theirs {
			names = append(names, p.Theirs)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	types, err := s.objectTypes(ctx, onePerLine(names))
	if err != nil {
		return nil, err
	}
	names = names[:0]
	for _, t := range types {
		switch t.kind {
		case "commit":
			names = append(names, t.name)
		case "":
			unknown[t.name] = "the commit is not here"
		default:
			unknown[t.name] = "it is a " + t.kind + ", not a commit"
		}
	}
	err = sift(ctx, names, func(names []string) error {
		// As git fetch makes sure that what it got is connected: everything behind the tips that no reference reaches
		// must be there, but for what a promisor remote has promised. A reference of ours that is broken counts for
		// nothing.
		c := s.git.command(ctx, nil, "rev-list", "--objects", "--quiet", "--exclude-promisor-objects", "--ignore-missing",
			"--stdin", "--not", "--all")
		c.Stdin = strings.NewReader(onePerLine(names))
		return c.run()
	}, func(name string, err error) {
		unknown[name] = "its history is incomplete here, as from a shallow or partial repository (" + err.Error() + ")"
	})
	return unknown, err
}

// sift finds the names that make try fail when they are among those given to it: it tries all together, and halves
// what fails. A failure of the machine or the context ends it.
func sift(ctx context.Context, names []string, try func([]string) error, bad func(string, error)) error {
	walks := maxWalks
	var part func([]string) error
	part = func(names []string) error {
		if len(names) == 0 {
			return nil
		}
		err := errors.New("too many others are, so it was not looked at")
		if walks--; walks >= 0 {
			if err = try(names); err == nil {
				return nil
			}
			if ctx.Err() != nil || ofMachine(err) {
				return err
			}
			if len(names) > 1 {
				half := len(names) / 2
				return errors.Join(part(names[:half]), part(names[half:]))
			}
		}
		for _, name := range names {
			bad(name, err)
		}
		return nil
	}
	return part(names)
}

// Touched is the paths, from the top of the working tree, at which it has uncommitted changes that going from ours,
// which is checked out ("" if it is unborn), to theirs would touch: by a fast-forward or, if they have diverged, by a
// merge, which also minds everything in the index. Files that are in no commit count where theirs has one of that name;
// an ignored one would be overwritten without a word. Both are full names of commits that Relate knows. Outside a
// working tree there are none.
//
// A file that was renamed on one side is not followed; git itself is, and refuses.
func (s *Store) Touched(ctx context.Context, co Checkout, theirs string) ([]string, error) {
	ours := co.Head.OID
	if co.Dir == "" || ours == theirs {
		return nil, nil
	}
	if !s.isName(theirs) || ours != "" && !s.isName(ours) {
		return nil, fmt.Errorf("%.80q or %.80q is no full object name", ours, theirs)
	}
	changes, staged, err := s.takes(ctx, ours, theirs)
	if err != nil || len(changes) == 0 {
		return nil, err
	}
	// What is new and not staged is looked for below.
	c := s.indexReader(ctx, "status", "--porcelain", "-z", "--untracked-files=no", "--no-renames", "--ignore-submodules=dirty")
	out, err := c.Output()
	if err != nil {
		return nil, c.explain(err)
	}
	var touched []string
	for entry := range strings.SplitSeq(string(out), "\x00") {
		if len(entry) < 4 { // two letters, a space and a path
			continue
		}
		path := entry[3:]
		if _, takes := changes[path]; takes || staged && entry[0] != ' ' {
			touched = append(touched, path)
		}
		delete(changes, path)
	}
	for path, letter := range changes {
		if letter != 'A' || !filepath.IsLocal(filepath.FromSlash(path)) {
			continue
		}
		info, err := os.Lstat(filepath.Join(co.Dir, filepath.FromSlash(path)))
		if err == nil && !info.IsDir() {
			touched = append(touched, path)
		}
	}
	slices.Sort(touched)
	return touched, nil
}

// indexReader is a git child that reads the index, and would run the hook that core.fsmonitor may name.
func (s *Store) indexReader(ctx context.Context, args ...string) *child {
	c := s.git.command(ctx, nil, append([]string{"-c", "core.fsmonitor=false"}, args...)...)
	c.name = "git " + args[0]
	return c
}

// takes is the paths that a fast-forward or a merge to theirs writes, each with git diff's letter for the way from
// ours; staged tells that whatever is in the index is in its way too.
func (s *Store) takes(ctx context.Context, ours, theirs string) (changes map[string]byte, staged bool, err error) {
	if ours == "" {
		changes = make(map[string]byte)
		c := s.git.command(ctx, nil, "ls-tree", "-r", "-z", "--name-only", "--full-tree", "--end-of-options", theirs)
		out, err := c.Output()
		for path := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
			changes[path] = 'A'
		}
		return changes, false, c.explain(err)
	}
	if changes, err = s.diff(ctx, ours, theirs); err != nil {
		return nil, false, err
	}
	bases, err := s.mergeBases(ctx, ours, theirs)
	if err != nil || slices.Contains(bases, ours) {
		return changes, false, err
	}
	// A merge takes what theirs has changed since one of the bases, unless it comes to the same.
	since := make(map[string]byte)
	for _, base := range bases {
		more, err := s.diff(ctx, base, theirs)
		if err != nil {
			return nil, false, err
		}
		for path, letter := range more {
			since[path] = letter
		}
	}
	for path := range changes {
		if _, changed := since[path]; !changed {
			delete(changes, path)
		}
	}
	return changes, true, nil
}

// diff is the paths at which two commits differ, each with its letter in git diff --name-status: A, D, M or T.
func (s *Store) diff(ctx context.Context, from, to string) (map[string]byte, error) {
	c := s.indexReader(ctx, "diff-tree", "-r", "-z", "--name-status", "--no-renames", "--no-relative", "--end-of-options", from, to)
	out, err := c.Output()
	if err != nil {
		return nil, c.explain(err)
	}
	changes := make(map[string]byte)
	for rest := string(out); rest != ""; {
		letter, path, more := "", "", false
		letter, rest, _ = strings.Cut(rest, "\x00")
		if path, rest, more = strings.Cut(rest, "\x00"); !more || len(letter) != 1 {
			return nil, fmt.Errorf("git diff-tree said %q", letter)
		}
		changes[path] = letter[0]
	}
	return changes, nil
}

// Dangling is those of the received objects that are commits to which nothing points: no reference here, none of the
// peer's (theirs, full hexadecimal names), and no other received commit; newest first. It is lost work, stashes, and
// what a peer's hidden references stand for. The received names are ascending; one process reads them, one all commits
// among them, and one walks from the candidates to the references.
func (s *Store) Dangling(ctx context.Context, received iter.Seq2[[]byte, error], theirs []string) ([]string, error) {
	commits, err := s.commitsAmong(ctx, received)
	if err != nil || commits.Len() == 0 {
		return nil, err
	}
	candidates, err := s.unpointed(ctx, commits, theirs)
	if err != nil || len(candidates) == 0 {
		return nil, err
	}
	reached := make(map[string]bool) // those that a reference reaches, by way of what was here before
	for _, name := range candidates {
		reached[name] = true
	}
	var ends strings.Builder
	for _, name := range theirs {
		if s.isName(name) {
			ends.WriteString("^" + name + "\n")
		}
	}
	err = sift(ctx, candidates, func(names []string) error {
		// The peer's references may be of objects that did not come; those are ignored.
		c := s.git.command(ctx, nil, "rev-list", "--ignore-missing", "--stdin", "--not", "--all")
		c.Stdin = strings.NewReader(onePerLine(names) + ends.String())
		return c.lines(func(line []byte) error {
			delete(reached, string(line))
			return nil
		})
	}, func(name string, _ error) {
		delete(reached, name) // in an incomplete history: what is known is that nothing points to it itself
	})
	return slices.DeleteFunc(candidates, func(name string) bool { return reached[name] }), err
}

// commitsAmong is the commits among ascending names.
func (s *Store) commitsAmong(ctx context.Context, names iter.Seq2[[]byte, error]) (*oid.List, error) {
	commits := oid.NewList(s.format)
	name := make([]byte, s.format.Size())
	c := s.git.command(ctx, nil, "cat-file", "--batch-check=%(objectname) %(objecttype)", "--buffer")
	in, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	var namesErr error
	fed := make(chan struct{})
	go func() { // ends with the child at the latest, which closes the pipe
		defer close(fed)
		defer in.Close()
		namesErr = writeNames(in, names)
	}()
	err = c.lines(func(line []byte) error {
		digits, found := bytes.CutSuffix(line, []byte(" commit"))
		if !found {
			return nil
		}
		if err := s.format.Parse(name, digits); err != nil {
			return err
		}
		if n := commits.Len(); n > 0 && bytes.Compare(commits.At(n-1), name) >= 0 {
			return fmt.Errorf("the received objects are out of order at %x", name)
		}
		commits.Append(name)
		return nil
	})
	in.Close() // where it did not even start
	<-fed
	if namesErr != nil {
		err = namesErr
	}
	return commits, err
}

// writeNames writes one line for each name, hexadecimal. That the reader has gone is no error of the names.
func writeNames(w io.Writer, names iter.Seq2[[]byte, error]) error {
	lines := bufio.NewWriterSize(w, 1<<16)
	for name, err := range names {
		if err != nil {
			return err
		}
		if _, err := lines.Write(append(hex.AppendEncode(lines.AvailableBuffer(), name), '\n')); err != nil {
			return nil
		}
	}
	lines.Flush()
	return nil
}

// unpointed is those of the commits that none of them has for a parent and no reference stands for, newest first.
func (s *Store) unpointed(ctx context.Context, commits *oid.List, theirs []string) ([]string, error) {
	pointed := newBitmap(commits.Len(), nil)
	name := make([]byte, s.format.Size())
	point := func(digits []byte) (at int, found bool) {
		if s.format.Parse(name, digits) != nil {
			return 0, false
		}
		if at, found = commits.Search(name); found {
			pointed.add(uint32(at))
		}
		return at, found
	}
	for _, digits := range theirs {
		point([]byte(digits))
	}
	c := s.git.command(ctx, nil, "for-each-ref", "--format=%(objectname)")
	if err := c.lines(func(line []byte) error { point(line); return nil }); err != nil {
		return nil, err
	}
	// --no-walk reads the given commits only, and none needs more than that. The first of a line is the commit itself.
	var order []uint32
	digits := hex.EncodedLen(s.format.Size())
	// An empty GIT_SHALLOW_FILE lets git show the parents that a shallow repository cuts off: what came in may be theirs.
	shallow, err := s.shallowCommits(ctx)
	if err != nil {
		return nil, err
	}
	c = s.git.command(ctx, []string{"GIT_SHALLOW_FILE="}, "rev-list", "--no-walk=sorted", "--ignore-missing", "--parents", "--stdin")
	c.Stdin = io.MultiReader(&nameLines{names: commits}, strings.NewReader(shallow))
	err = c.lines(func(line []byte) error {
		if err := s.format.Parse(name, line[:min(len(line), digits)]); err != nil {
			return err
		}
		if at, found := commits.Search(name); found {
			order = append(order, uint32(at))
		}
		for parent := range bytes.FieldsSeq(line[digits:]) {
			point(parent)
		}
		return nil
	})
	var left []string
	for _, at := range order {
		if !pointed.has(at) {
			left = append(left, hex.EncodeToString(commits.At(int(at))))
		}
	}
	return left, err
}

// shallowCommits is the commits whose parents a shallow repository lacks (the file "shallow" of
// gitrepository-layout(5)), one a line.
func (s *Store) shallowCommits(ctx context.Context) (string, error) {
	c := s.git.command(ctx, nil, "rev-parse", "--path-format=absolute", "--git-path", "shallow")
	out, err := c.Output()
	if err != nil {
		return "", c.explain(err)
	}
	names, err := os.ReadFile(strings.TrimSuffix(string(out), "\n"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return string(names), err
}

func onePerLine(names []string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteString(name)
		b.WriteByte('\n')
	}
	return b.String()
}

// isName tells whether s is a full object name in lower-case hexadecimal digits, and so nothing else to git.
func (s *Store) isName(name string) bool {
	return name == strings.ToLower(name) && s.format.Parse(make([]byte, s.format.Size()), []byte(name)) == nil
}

// lines runs the child and calls each with every line of its output, without the line feed. An error of each's ends the
// child, and is returned as it is.
func (c *child) lines(each func(line []byte) error) error {
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return c.explain(err)
	}
	r := bufio.NewReaderSize(out, 1<<16)
	for {
		var line []byte
		line, err = r.ReadBytes('\n')
		if err != nil { // at the end: what is cut short is no line, and the status tells
			break
		}
		if err = each(line[:len(line)-1]); err != nil {
			out.Close()
			c.Wait() // it ends of its closed pipe
			return err
		}
	}
	if waited := c.Wait(); waited != nil || err == io.EOF {
		return c.explain(waited)
	}
	return err
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

func ofMachine(err error) bool {
	var failed *GitError
	return errors.As(err, &failed) && failed.OfMachine()
}
