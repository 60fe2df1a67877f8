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

const (
	severityPrefix = "fetch.fsck."
	skipListKey    = "fetch.fsck.skiplist"
)

// Not --strict, which rejects objects that point to an absent one, as those of shallow and partial stores rightly do.
const fsckOption = "--fsck-objects"

// readChecks returns the option that makes git index-pack check received objects, "" for no checks, and a warning if configured
// severities are ignored. Objects are checked as git fetch does, by fetch.fsckObjects, else transfer.fsckObjects, and
// fetch.fsck.<msg-id>; but if neither of the first two is set they are checked, since they come from a peer.
func readChecks(ctx context.Context, g git.Git) (option, warning string, err error) {
	for _, key := range []string{"fetch.fsckObjects", "transfer.fsckObjects"} {
		v, ok, err := g.Config(ctx, key, "bool")
		if err != nil || ok && v != "true" {
			return "", "", err
		}
		if ok {
			break
		}
	}
	severities, err := readSeverities(ctx, g)
	if err != nil {
		return "", "", err
	}
	return probe(ctx, g, severities)
}

// readSeverities returns the configured severities of git's messages and the lists of objects to skip, each as "<id>=<severity>".
func readSeverities(ctx context.Context, g git.Git) ([]string, error) {
	configured, err := g.ConfigBelow(ctx, severityPrefix)
	if err != nil {
		return nil, err
	}
	var severities []string
	for _, key := range slices.Sorted(maps.Keys(configured)) {
		id := strings.TrimPrefix(key, severityPrefix)
		values := configured[key]
		switch severity := values[len(values)-1]; {
		case key == skipListKey:
			// A path with a comma or a space can't be passed that way; git fetch can't do it either.
			lists, err := g.ConfigAll(ctx, key, "path")
			if err != nil {
				return nil, err
			}
			for _, path := range lists {
				severities = append(severities, "skiplist="+path)
			}
		case strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789") != "":
		case id == "gitmodulesmissing", id == "gitattributesmissing":
			// A missing file is no failure here, but git must report it: see fsck.go.
		case severity != "error" && severity != "warn" && severity != "ignore":
			return nil, fmt.Errorf("configuration variable %s: %q is not error, warn or ignore", key, severity)
		default:
			severities = append(severities, id+"="+severity)
		}
	}
	return severities, nil
}

// probe has git parse the severities, and drops those of messages that this git doesn't know, as git fetch does: another version may.
// Before 2.44 git takes none with --fsck-objects; it does with --strict, but then rejects what shallow and partial stores rightly
// have.
func probe(ctx context.Context, g git.Git, severities []string) (option, warning string, err error) {
	for len(severities) > 0 {
		option := fsckOption + "=" + strings.Join(severities, ",")
		// git parses the options first; then it fails, since os.DevNull is no pack.
		child := g.Command(ctx, nil, "index-pack", option, os.DevNull)
		status, said := git.ExitCode(child.Run()), child.Said()
		id, isUnknown := strings.CutPrefix(said, "Unhandled message id: ")
		known := slices.DeleteFunc(slices.Clone(severities), func(s string) bool { return isUnknown && strings.HasPrefix(s, id+"=") })
		switch {
		case ctx.Err() != nil:
			return "", "", ctx.Err()
		case status == badUsage:
			return fsckOption, severityPrefix + "<msg-id> and " + severityPrefix + "skipList need git 2.44 or later: " +
				"objects are checked as git does by default", nil
		case len(known) < len(severities):
			severities = known
		case status == fatal && strings.Contains(said, os.DevNull):
			return option, "", nil
		default:
			return "", "", fmt.Errorf("configuration variables %s*: git index-pack: %q", severityPrefix, said)
		}
	}
	return fsckOption, "", nil
}

// Exit statuses of git.
const (
	fatal    = 128
	badUsage = 129
)
