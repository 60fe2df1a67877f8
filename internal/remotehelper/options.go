package remotehelper

import (
	"fmt"
	"strings"
)

// setOption answers an option command.
func (s *server) setOption(option string) {
	name, value, _ := strings.Cut(option, " ")
	answer, warning := s.set(name, value)
	if warning != "" && !s.said[warning] {
		s.said[warning] = true
		fmt.Fprintf(s.stderr, "warning: %s\n", warning)
	}
	fmt.Fprintln(s.out, answer)
}

// set sets an option. It returns the answer for git, and a warning, if any, for the user, who reads each only once.
func (s *server) set(name, value string) (answer, warning string) {
	switch name {
	case "progress":
		s.progress = value == "true"
		return "ok", ""
	case "object-format":
		// git only ever sends "true", and up to git 2.44 no value; those versions die of any answer but "ok".
		s.objectFormat = value == "" || value == "true"
		if s.objectFormat {
			return "ok", ""
		}
	case "verbosity", "cloning", "followtags":
		return "ok", "" // nothing here depends on them
	case "dry-run", "atomic", "cas", "force", "force-if-includes", "push-option", "pushcert":
		// A push that changes nothing honours all of these. At "unsupported" git would die, and nobody would read why.
		return "ok", ""
	case "depth", "deepen-since", "deepen-not", "deepen-relative":
		if value == "0" || value == "false" {
			// The second fetch, for tags, resets what the first may have set: it asks for whole histories, which is what we give.
			return "ok", ""
		}
		warning = "--depth and its kin have no effect with aig: whole histories are fetched"
	case "filter":
		warning = "--filter has no effect with aig: all objects are fetched"
	case "refetch":
		warning = "--refetch has no effect with aig: only what is missing is fetched"
	case "update-shallow", "updateshallow":
		warning = "--update-shallow has no effect with aig: the shallow boundary stays where it is"
	case "family":
		warning = "-4 and -6 have no effect with aig: give them to the command that opens the pipe"
	}
	return "unsupported", warning
}
