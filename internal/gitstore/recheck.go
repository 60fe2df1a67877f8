package gitstore

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A git before 2.44 checks what it indexes with severities of the user's choice only together with what points at
// something absent, which shallow and partial stores rightly do. There a pack is indexed without checks, and then `git
// fsck` looks at it, in a repository that has nothing but the quarantine: what is absent is a matter of its own for it.

// fsckAbsent is the bit of git fsck's exit status for what is absent, and fsckBad are those for objects and for packs
// that hold one (builtin/fsck.c: they are documented nowhere).
const (
	fsckBad    = 1 | 4
	fsckAbsent = 2
)

// recheck checks the finished pack that was indexed without checks, and notes which special files are missing.
func (in *Incoming) recheck() error {
	g, err := in.alone()
	if err != nil {
		return err
	}
	appended := make(map[string]bool)
	err = in.eachEntry(func(name []byte, isAppended bool) bool {
		if isAppended {
			appended[hex.EncodeToString(name)] = true
		}
		return true
	})
	if err != nil {
		return err
	}
	c := g.command(in.ctx, nil, "fsck", "--strict", "--no-dangling", "--no-reflogs", "--no-progress")
	notes := &recheckNotes{fsckNotes: &in.index.notes, appended: appended}
	lines := lineWriter{line: notes.take}
	c.Stderr = io.MultiWriter(&c.stderr, &lines)
	err = c.Run()
	lines.close()
	status := exitCode(err)
	switch {
	case notes.bad != nil:
		return notes.bad
	case notes.many:
		return &PackError{tooManyMissing}
	case err == nil, status == fsckAbsent, status > 0 && status&^(fsckAbsent|fsckBad) == 0 && notes.forgiven:
		return nil
	}
	return c.explain(err)
}

// recheckNotes is what git fsck says on its standard error.
type recheckNotes struct {
	*fsckNotes
	appended map[string]bool // objects that are ours, and git's addition to the pack
	forgiven bool            // something was bad that is none of the pack's
	bad      error           // the first thing that is
}

func (n *recheckNotes) take(line []byte) {
	isNote := func(prefix string) bool { return bytes.HasPrefix(line, []byte(prefix)) }
	if n.bad != nil || isNote("warning in ") || isNote("notice: ") {
		return
	}
	// "error in <type> <name>: <message>: …"
	if rest, isError := bytes.CutPrefix(line, []byte("error in ")); isError {
		_, rest, _ = bytes.Cut(rest, []byte(" "))
		name, why, _ := bytes.Cut(rest, []byte(": "))
		message, _, _ := bytes.Cut(why, []byte(": "))
		n.forgiven = true
		switch {
		case n.appended[string(name)]:
			return
		case string(message) == "gitmodulesMissing" && n.add(name, modulesFile):
			return
		case string(message) == "gitattributesMissing" && n.add(name, attributesFile):
			return
		}
		n.bad = &PackError{fmt.Sprintf("git fsck: %q", line)}
		return
	}
	n.bad = &GitError{Command: "git fsck", Said: strings.TrimPrefix(strings.TrimPrefix(string(line), "fatal: "), "error: ")}
}

// alone makes a repository around the quarantine that has its objects, the severities, and nothing else: neither
// references nor the user's configuration, which has severities of its own for git fsck.
func (in *Incoming) alone() (Git, error) {
	for _, err := range []error{
		os.Mkdir(filepath.Join(in.dir, "refs"), 0o777),
		os.WriteFile(filepath.Join(in.dir, "HEAD"), []byte("ref: refs/heads/none\n"), 0o666),
		os.WriteFile(filepath.Join(in.dir, "config"), fmt.Appendf(nil,
			"[core]\n\trepositoryFormatVersion = 1\n\tcommitGraph = false\n\tmultiPackIndex = false\n[extensions]\n\tobjectFormat = %s\n",
			in.store.format), 0o666),
	} {
		if err != nil {
			return Git{}, fmt.Errorf("our object directory: %w", err)
		}
	}
	g := in.store.git
	env, err := g.WithoutLocalEnv(in.ctx, g.Env)
	if err != nil {
		return Git{}, err
	}
	severities := strings.Split(in.store.checks.severities, ",")
	g.Env = append(env, "GIT_DIR="+in.dir, "GIT_OBJECT_DIRECTORY="+in.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
		fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(severities)))
	for i, severity := range severities {
		id, value, _ := strings.Cut(severity, "=")
		g.Env = append(g.Env, fmt.Sprintf("GIT_CONFIG_KEY_%d=fsck.%s", i, id), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, value))
	}
	return g, nil
}

// present divides special files into those that are in the store or in the pack, and those that are missing.
func (in *Incoming) present(files specialFiles) (present, missing specialFiles, err error) {
	present, missing = make(specialFiles), make(specialFiles)
	var names bytes.Buffer
	for name := range files {
		fmt.Fprintf(&names, "%x\n", name)
	}
	c := in.store.git.command(in.ctx, in.store.quarantineEnv(in.dir), "cat-file", "--batch-check=%(objectname)", "--buffer")
	c.Stdin = &names
	err = c.lines(func(line []byte) error {
		name, isMissing := bytes.CutSuffix(line, []byte(" missing"))
		binary := make([]byte, in.store.format.Size())
		if err := in.store.format.Parse(binary, name); err != nil {
			return err
		}
		to := present
		if isMissing {
			to = missing
		}
		to[string(binary)] = files[string(binary)]
		return nil
	})
	return present, missing, err
}
