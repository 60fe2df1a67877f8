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

// checks says how git checks received objects.
type checks struct {
	wanted bool
	// severities has the configured severities of git's messages and the lists of objects to skip, in the form that git index-pack
	// --fsck-objects takes: id=severity,…
	severities string
	// ignored is true if severities are configured that this git can't follow.
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

// readChecks reads whether and how received objects are checked: fetch.fsckObjects, else transfer.fsckObjects, and
// fetch.fsck.<msg-id>, as for git fetch. But if neither of the first two is set they are checked, for they come from a peer.
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
	if err != nil {
		return c, err
	}
	var severities []string
	for _, key := range slices.Sorted(maps.Keys(configured)) {
		id := strings.TrimPrefix(key, severityPrefix)
		values := configured[key]
		switch severity := values[len(values)-1]; {
		case key == skipListKey:
			// A path with a comma or a space can't be said that way, and git fetch can't either.
			lists, err := g.ConfigAll(ctx, key, "path")
			if err != nil {
				return c, err
			}
			for _, path := range lists {
				severities = append(severities, "skiplist="+path)
			}
		case strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789") != "":
		case id == "gitmodulesmissing", id == "gitattributesmissing":
			// That something is missing is no failure here, but must be heard of: see fsck.go.
		case severity != "error" && severity != "warn" && severity != "ignore":
			return c, fmt.Errorf("configuration variable %s: %q is none of error, warn and ignore", key, severity)
		default:
			severities = append(severities, id+"="+severity)
		}
	}
	return c, c.probe(ctx, g, severities)
}

// probe lets git look at the severities, and drops what this git doesn't know, as git fetch does: another version may. A git
// before 2.44 takes none with --fsck-objects; and with --strict, where it does, it rejects what shallow and partial stores
// rightly have.
func (c *checks) probe(ctx context.Context, g git.Git, severities []string) error {
	for len(severities) > 0 {
		c.severities = strings.Join(severities, ",")
		// The options are looked at first; then git fails, since that is no pack.
		child := g.Command(ctx, nil, "index-pack", c.option(), os.DevNull)
		status, said := git.ExitCode(child.Run()), child.Said()
		c.severities = ""
		if err := ctx.Err(); err != nil {
			return err
		}
		if status == badUsage {
			c.ignored = true
			return nil
		}
		n := len(severities)
		if id, isUnknown := strings.CutPrefix(said, "Unhandled message id: "); isUnknown {
			severities = slices.DeleteFunc(severities, func(s string) bool { return strings.HasPrefix(s, id+"=") })
		}
		if len(severities) < n {
			continue
		}
		if status != fatal || !strings.Contains(said, os.DevNull) {
			return fmt.Errorf("configuration variables %s*: git index-pack: %q", severityPrefix, said)
		}
		c.severities = strings.Join(severities, ",")
		return nil
	}
	return nil
}

// Exit statuses of git.
const (
	fatal    = 128
	badUsage = 129
)

// option returns the option that makes git index-pack check what it indexes, or "".
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
