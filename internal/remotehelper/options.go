package remotehelper

import (
	"fmt"
	"strconv"
)

// FetchOptions is what git has asked for so far, by its `option` commands.
type FetchOptions struct {
	// Verbosity is 0 for -q, 1 without an option, and one more for each -v.
	Verbosity int
	// Progress says whether to show progress; nil if git didn't say.
	Progress *bool
	// Cloning says that the repository is one that git has just made.
	Cloning bool
	// CheckConnectivity says that git would like to hear whether everything wanted is there and connected.
	CheckConnectivity bool
	// FollowTags says that the annotated tags of what is fetched are wanted too. If they don't come, git may ask for them
	// in a Fetch of its own.
	FollowTags bool
}

// settings are the options as far as git has told them, and what was already said about those without effect here.
type settings struct {
	fetch        FetchOptions
	objectFormat bool // git wants to hear the object format in a listing
	said         map[string]bool
}

// set answers one `option` command: the line for git, and the line for the person, if there is one.
func (s *settings) set(c command) (answer, warning string) {
	switch c.name {
	case "verbosity":
		n, err := strconv.Atoi(c.value)
		if err != nil || n < 0 {
			return "error verbosity is a number from 0", ""
		}
		s.fetch.Verbosity = n
		return "ok", ""
	case "progress":
		s.fetch.Progress = new(bool)
		return setBool(s.fetch.Progress, c), ""
	case "cloning":
		return setBool(&s.fetch.Cloning, c), ""
	case "check-connectivity":
		return setBool(&s.fetch.CheckConnectivity, c), ""
	case "followtags":
		return setBool(&s.fetch.FollowTags, c), ""
	case "object-format":
		// Nothing but "true" was ever sent, and up to git 2.44 not even that; those gits die of any answer but "ok".
		if c.hasValue && c.value != "true" {
			return "unsupported", ""
		}
		s.objectFormat = true
		return "ok", ""
	case "dry-run", "atomic", "cas", "force", "force-if-includes", "push-option", "pushcert":
		// Promises about a push, all of them kept by one that changes nothing. "unsupported" would make git die here, and
		// the line with the reason would never be read.
		return "ok", ""
	case "depth", "deepen-relative":
		if c.value == "0" || c.value == "false" {
			// The second fetch, for tags, takes back what a first one may have set: whole histories, which is what we do.
			return "ok", ""
		}
	}
	return "unsupported", s.warning(c.name)
}

// warning is what a person who asked for an option should read, once for each kind, and empty if there is nothing to say.
func (s *settings) warning(name string) string {
	var kind string
	switch name {
	case "depth", "deepen-since", "deepen-not", "deepen-relative":
		kind = "--depth and its kin have no effect with aig: whole histories come"
	case "filter":
		kind = "--filter has no effect with aig: all objects come"
	case "refetch":
		kind = "--refetch has no effect with aig: only what is missing comes"
	case "update-shallow", "updateshallow":
		kind = "--update-shallow has no effect with aig: the shallow boundary stays where it is"
	case "family":
		kind = "-4 and -6 have no effect with aig: give them to the command that opens the pipe"
	default:
		return ""
	}
	if s.said[kind] {
		return ""
	}
	if s.said == nil {
		s.said = make(map[string]bool)
	}
	s.said[kind] = true
	return kind
}

func setBool(to *bool, c command) string {
	switch c.value {
	case "true":
		*to = true
	case "false":
		*to = false
	default:
		return fmt.Sprintf("error %s is true or false", c.name)
	}
	return "ok"
}
