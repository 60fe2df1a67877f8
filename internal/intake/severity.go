package intake

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"aig/internal/git"
)

// checks is what git fsck's checks of received objects are to be like.
type checks struct {
	wanted bool
	// severities are those of git's messages that are not git's own, and the lists of objects to skip, in the form that
	// --strict and --fsck-objects of git index-pack take: id=severity,…; "" where there are none.
	severities string
	// ignored tells that severities are configured which this git can't follow.
	ignored bool
}

// Warning returns why severities that are configured don't count, or "".
func (s *Store) Warning() string {
	if !s.checks.ignored {
		return ""
	}
	return severityPrefix + "<msg-id> and " + severityPrefix + "skipList need git 2.44 or later: objects are checked as git does by default"
}

const (
	severityPrefix = "fetch.fsck."
	skipListKey    = "fetch.fsck.skiplist"
)

// readChecks reads whether received objects are checked, and how: fetch.fsckObjects, else transfer.fsckObjects, and
// fetch.fsck.<msg-id>, as for git fetch; but where neither of the first two is set they are, since a peer's pack
// deserves it.
func readChecks(ctx context.Context, g git.Git) (checks, error) {
	for _, key := range []string{"fetch.fsckObjects", "transfer.fsckObjects"} {
		v, ok, err := g.Config(ctx, key, "bool")
		if err != nil {
			return checks{}, err
		}
		if ok {
			if v == "true" {
				break
			}
			return checks{}, nil
		}
	}
	c := checks{wanted: true}
	configured, err := g.ConfigBelow(ctx, severityPrefix)
	if err != nil || len(configured) == 0 {
		return c, err
	}
	return c, c.readSeverities(ctx, g, configured)
}

func (c *checks) readSeverities(ctx context.Context, g git.Git, configured map[string][]string) error {
	severities := make(map[string]string)
	for key, values := range configured {
		// That something is missing is no failure here, but must be heard of: see fsck.go.
		id := strings.TrimPrefix(key, severityPrefix)
		plain := strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
		if key == skipListKey || !plain || id == "gitmodulesmissing" || id == "gitattributesmissing" {
			continue
		}
		switch severity := values[len(values)-1]; severity {
		case "error", "warn", "ignore":
			severities[id] = severity
		default:
			return fmt.Errorf("configuration variable %s: %q is none of error, warn and ignore", key, severity)
		}
	}
	var lists []string
	if len(configured[skipListKey]) > 0 {
		var err error
		if lists, err = g.ConfigAll(ctx, skipListKey, "path"); err != nil {
			return err
		}
	}
	for {
		c.severities = join(severities, lists)
		unknown, err := c.probe(ctx, g)
		if unknown == "" || err != nil {
			return err
		}
		// As git fetch does, with what another version of git may know.
		delete(severities, unknown)
	}
}

// join makes one text of severities by message, and of lists of objects to skip. A path that has a comma or a space
// can't be said that way, and git fetch can't either.
func join(severities map[string]string, lists []string) string {
	var all []string
	for _, id := range slices.Sorted(maps.Keys(severities)) {
		all = append(all, id+"="+severities[id])
	}
	for _, path := range lists {
		all = append(all, "skiplist="+path)
	}
	return strings.Join(all, ",")
}

// probe lets git look at the severities. It returns a message that this git does not know, if there is one. A git before
// 2.44 takes none with --fsck-objects, and --strict, with which it does, rejects what shallow and partial stores rightly
// have: they are dropped.
func (c *checks) probe(ctx context.Context, g git.Git) (unknown string, err error) {
	if c.severities == "" {
		return "", nil
	}
	// The options are looked at first; then git fails, since that is no pack.
	child := g.Command(ctx, nil, "index-pack", c.option(), os.DevNull)
	status, said := git.ExitCode(child.Run()), child.Said()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	id, isUnknown := strings.CutPrefix(said, "Unhandled message id: ")
	switch {
	case status == badUsage:
		c.severities, c.ignored = "", true
	case isUnknown && id != "" && strings.Contains(c.severities, id+"="):
		return id, nil
	case status != fatal || !strings.Contains(said, os.DevNull):
		return "", fmt.Errorf("configuration variables %s*: git index-pack: %q", severityPrefix, said)
	}
	return "", nil
}

// Exit statuses of git.
const (
	fatal    = 128
	badUsage = 129
)

// option is the option of a git index-pack that checks what it indexes, "" for none.
func (c checks) option() string {
	switch {
	case !c.wanted:
		return ""
	case c.severities == "":
		// Not --strict: that rejects what points at something absent, as shallow and partial stores rightly do.
		return "--fsck-objects"
	}
	return "--fsck-objects=" + c.severities
}
