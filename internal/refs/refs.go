// Package refs reads a repository's references, and compares histories with each other and with what is checked out.
package refs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"aig/internal/git"
	"aig/internal/ref"
)

// ErrTooMany is the error in a repository with more than ref.Max references. A part of them would be no answer: the caller would take
// the rest for deleted.
var ErrTooMany = fmt.Errorf("more than %d references", ref.Max)

// List returns what a peer is told: HEAD, even if unborn, then branches, then tags, sorted by name. References that
// transfer.hideRefs or uploadpack.hideRefs hide are left out, even as targets of others, and so are those whose object is absent.
func List(ctx context.Context, repo *git.Repo) ([]ref.Ref, error) {
	hidden, err := readHidden(ctx, repo)
	if err != nil {
		return nil, err
	}
	head, refs, err := forEachRef(ctx, repo, hidden, "refs/heads", "refs/tags")
	if err != nil {
		return nil, err
	}
	if hidden.hides(head.Target) {
		head.Target = ""
	}
	headShown := !hidden.hides("HEAD")
	if headShown && head.OID != "" {
		refs = slices.Insert(refs, 0, head)
	}
	if refs, err = present(ctx, repo, refs); err != nil {
		return nil, err
	}
	if headShown && head.OID == "" && head.Target != "" { // unborn: it has no object that could be absent
		refs = slices.Insert(refs, 0, head)
	}
	if len(refs) > ref.Max {
		return nil, ErrTooMany
	}
	return refs, nil
}

// readHead returns HEAD: unborn, detached or neither.
func readHead(ctx context.Context, repo *git.Repo) (ref.Ref, error) {
	head := ref.Ref{Name: "HEAD"}
	out, err := repo.Command(ctx, nil, "symbolic-ref", "-q", "HEAD").Output()
	if err != nil && git.ExitCode(err) != 1 { // git-symbolic-ref(1): 1 means detached
		return head, err
	}
	head.Target = strings.TrimSuffix(string(out), "\n")
	out, err = repo.Command(ctx, nil, "rev-parse", "-q", "--verify", "HEAD").Output()
	if err != nil && git.ExitCode(err) != 1 {
		return head, err
	}
	head.OID = strings.TrimSuffix(string(out), "\n")
	return head, nil
}

// Own returns HEAD and all our branches, hidden or not, whether their objects are present or not: what a peer's references are
// compared with.
func Own(ctx context.Context, repo *git.Repo) ([]ref.Ref, error) {
	head, refs, err := forEachRef(ctx, repo, nil, "refs/heads")
	return append([]ref.Ref{head}, refs...), err
}

// Offered returns the objects of HEAD and of all references that aren't hidden, but for the stash. It is never nil.
func Offered(ctx context.Context, repo *git.Repo) ([]string, error) {
	hidden, err := readHidden(ctx, repo)
	if err != nil {
		return nil, err
	}
	head, refs, err := forEachRef(ctx, repo, append(hidden, "refs/stash"))
	if err != nil {
		return nil, err
	}
	if !hidden.hides("HEAD") {
		refs = append(refs, head)
	}
	offered := make([]string, 0, len(refs))
	for _, r := range refs {
		if r.OID != "" {
			offered = append(offered, r.OID)
		}
	}
	return offered, nil
}

// forEachRef returns HEAD, hidden or not, and the references under the given prefixes that aren't hidden.
func forEachRef(ctx context.Context, repo *git.Repo, hidden hiddenRefs, under ...string) (head ref.Ref, refs []ref.Ref, err error) {
	// No field here needs the object: an absent one would end the listing.
	args := append([]string{"for-each-ref", "--format=%(refname)%00%(objectname)%00%(symref)%00%(HEAD)"}, under...)
	c := repo.Command(ctx, nil, args...)
	err = c.Lines(func(line []byte) error {
		fields := strings.Split(string(line), "\x00")
		if len(fields) != 4 {
			return fmt.Errorf("git for-each-ref said %q", line)
		}
		if fields[3] == "*" {
			head = ref.Ref{Name: "HEAD", OID: fields[1], Target: fields[0]}
		}
		if hidden.hides(fields[0]) {
			return nil
		}
		if len(refs) == ref.Max {
			return ErrTooMany
		}
		r := ref.Ref{Name: fields[0], OID: fields[1], Target: fields[2]}
		if hidden.hides(r.Target) {
			r.Target = ""
		}
		refs = append(refs, r)
		return nil
	})
	if err == nil && head.Name == "" {
		head, err = readHead(ctx, repo)
	}
	return head, refs, err
}

// present drops the references whose object is absent and peels annotated tags.
func present(ctx context.Context, repo *git.Repo, refs []ref.Ref) ([]ref.Ref, error) {
	asked := 0
	ask := git.LineReader(func(line []byte) ([]byte, error) {
		if asked == len(refs) {
			return nil, io.EOF
		}
		asked++
		return fmt.Appendf(line, "%[1]s\n%[1]s^{}\n", refs[asked-1].OID), nil
	})
	kept := make([]ref.Ref, 0, len(refs))
	answers, absent := 0, false
	err := objectTypes(ctx, repo, ask, func(name []byte, kind string) error {
		if answers == 2*len(refs) {
			return fmt.Errorf("git cat-file said %q", name)
		}
		r := refs[answers/2]
		if answers++; answers%2 == 1 {
			absent = kind == ""
			return nil
		}
		if kind != "" && string(name) != r.OID && strings.HasPrefix(r.Name, "refs/tags/") {
			r.Peeled = string(name)
		}
		if !absent {
			kept = append(kept, r)
		}
		return nil
	})
	if failed := new(git.Error); errors.As(err, &failed) && !failed.OfMachine() {
		return nil, fmt.Errorf("an object that a reference points to can't be read; git fsck names it: %w", err)
	}
	if err == nil && answers < 2*len(refs) {
		err = io.ErrUnexpectedEOF
	}
	return kept, err
}

// objectTypes calls each with the name and type of every object asked for, one a line; the type of an absent one is "".
func objectTypes(ctx context.Context, repo *git.Repo, ask io.Reader, each func(name []byte, kind string) error) error {
	c := repo.Command(ctx, nil, "cat-file", "--batch-check=%(objectname) %(objecttype)", "--buffer")
	c.Stdin = ask
	return c.Lines(func(line []byte) error {
		name, kind, _ := bytes.Cut(line, []byte(" "))
		if string(kind) == "missing" {
			kind = nil
		}
		return each(name, string(kind))
	})
}

// hiddenRefs is transfer.hideRefs and uploadpack.hideRefs together, in the order of the configuration (git-config(1)).
type hiddenRefs []string

func readHidden(ctx context.Context, repo *git.Repo) (hiddenRefs, error) {
	// Both in one look-up: the last value wins, whichever variable it belongs to.
	values, err := repo.ConfigOf(ctx, "transfer.hideRefs", "uploadpack.hideRefs")
	if err != nil {
		return nil, err
	}
	var h hiddenRefs
	for _, value := range values {
		h = append(h, strings.TrimRight(value, "/"))
	}
	return h, nil
}

// hides follows git's rules: a value matches a name or whole leading parts of it, "!" negates, "^" means a full name, which ours
// always are, and the last match decides.
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
