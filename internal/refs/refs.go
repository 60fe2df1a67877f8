// Package refs reads a repository's references.
package refs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"

	"aig/internal/git"
	"aig/internal/ref"
)

// ErrTooMany is the error in a repository with more than ref.Max references. A part of them would be no answer: the caller would take
// the rest for deleted.
var ErrTooMany = fmt.Errorf("more than %d references", ref.Max)

// Unhidden are the arguments with which git rev-list takes HEAD and all references, but for the stash and those that
// transfer.hideRefs or uploadpack.hideRefs hide.
func Unhidden() []string {
	return []string{"--exclude-hidden=uploadpack", "--exclude=refs/stash", "--single-worktree", "--all"}
}

// List returns what git tells whoever fetches from us: HEAD, even if unborn, then branches, then tags, sorted by name, without those
// that transfer.hideRefs or uploadpack.hideRefs hide. Unlike git, it leaves out references whose object is absent, and doesn't name
// what a symbolic reference points to unless that is told too.
func List(ctx context.Context, repo *git.Repo) ([]ref.Ref, error) {
	refs, err := lsRefs(ctx, repo)
	if err != nil {
		return nil, err
	}
	absent, err := absentObjects(ctx, repo, refs)
	if err != nil {
		return nil, err
	}
	refs = slices.DeleteFunc(refs, func(r ref.Ref) bool { return absent[r.OID] })
	told := make(map[string]bool, len(refs))
	for _, r := range refs {
		told[r.Name] = true
	}
	for i, r := range refs {
		if isBorn := r.OID != ""; isBorn && !told[r.Target] {
			refs[i].Target = ""
		}
	}
	return refs, nil
}

// lsRefs asks git for HEAD, branches and tags by the command ls-refs of gitprotocol-v2(5), as a peer that fetches would.
func lsRefs(ctx context.Context, repo *git.Repo) (refs []ref.Ref, err error) {
	arguments := []string{"peel\n", "symrefs\n", "ref-prefix HEAD\n", "ref-prefix refs/heads/\n", "ref-prefix refs/tags/\n"}
	if hides, err := hidesAny(ctx, repo); err != nil {
		return nil, err
	} else if !hides { // the branch of an unborn HEAD doesn't exist, so git can't say whether it would be hidden
		arguments = append(arguments, "unborn\n")
	}
	var request bytes.Buffer
	lines := pktline.NewEncoder(&request)
	lines.EncodeString("command=ls-refs\n", "object-format="+string(repo.Format)+"\n")
	request.WriteString("0001") // a delimiter
	lines.EncodeString(arguments...)
	lines.Flush()
	// That this user may trust the repository has been checked when it was opened.
	c := repo.Command(ctx, []string{"GIT_PROTOCOL=version=2"}, "-c", "safe.directory=*", "upload-pack", "--strict", "--stateless-rpc", repo.GitDir)
	c.Stdin = &request
	err = c.Lines(func(line []byte) error {
		const length = 4 // what a pkt-line begins with
		r, ok := ref.ParseLine(string(line[min(length, len(line)):]))
		if !ok {
			return fmt.Errorf("git upload-pack said %q", line)
		}
		if len(refs) == ref.Max {
			return ErrTooMany
		}
		refs = append(refs, r)
		return nil
	})
	if failed := new(git.Error); errors.As(err, &failed) && failed.Says("invalid object type") { // git ends at such a one
		err = fmt.Errorf("an object that a reference points to can't be read; git fsck names it: %w", err)
	}
	return refs, err
}

// hidesAny reports whether the configuration hides references.
func hidesAny(ctx context.Context, repo *git.Repo) (bool, error) {
	_, transfer, err := repo.Config(ctx, "transfer.hideRefs", "")
	if err != nil {
		return false, err
	}
	_, uploadPack, err := repo.Config(ctx, "uploadpack.hideRefs", "")
	return transfer || uploadPack, err
}

// absentObjects returns which of the references' objects aren't here. It doesn't read them, so a damaged one isn't absent.
func absentObjects(ctx context.Context, repo *git.Repo, refs []ref.Ref) (map[string]bool, error) {
	var names strings.Builder
	for _, r := range refs {
		if r.OID != "" {
			names.WriteString(r.OID + "\n")
		}
	}
	c := repo.Command(ctx, nil, "cat-file", "--batch-check=%(objectname)", "--buffer")
	c.Stdin = strings.NewReader(names.String())
	absent := make(map[string]bool)
	err := c.Lines(func(line []byte) error {
		if name, isAbsent := bytes.CutSuffix(line, []byte(" missing")); isAbsent {
			absent[string(name)] = true
		}
		return nil
	})
	return absent, err
}

// Own returns HEAD and all our branches, hidden or not, whether their objects are present or not: what a peer's references are
// compared with.
func Own(ctx context.Context, repo *git.Repo) ([]ref.Ref, error) {
	head, refs := ref.Ref{}, make([]ref.Ref, 1) // the first is for HEAD
	// No field here needs the object: an absent one would end the listing.
	c := repo.Command(ctx, nil, "for-each-ref", "--format=%(refname)%00%(objectname)%00%(symref)%00%(HEAD)", "refs/heads")
	err := c.Lines(func(line []byte) error {
		fields := strings.Split(string(line), "\x00")
		if len(fields) != 4 {
			return fmt.Errorf("git for-each-ref said %q", line)
		}
		if fields[3] == "*" {
			head = ref.Ref{Name: "HEAD", OID: fields[1], Target: fields[0]}
		}
		refs = append(refs, ref.Ref{Name: fields[0], OID: fields[1], Target: fields[2]})
		return nil
	})
	if err == nil && head.Name == "" {
		head, err = readHead(ctx, repo)
	}
	refs[0] = head
	return refs, err
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
