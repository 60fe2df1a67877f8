package remotehelper

// options is what git has asked for so far by its option commands, and what was said about those without effect here.
type options struct {
	progress     bool // git wants progress to be shown
	objectFormat bool // git wants to hear the object format in a listing
	said         map[string]bool
}

// set answers an option command: the line for git, and the line for the person, if there is one.
func (o *options) set(c command) (answer, warning string) {
	switch c.name {
	case "progress":
		o.progress = c.value == "true"
		return "ok", ""
	case "object-format":
		// Nothing but "true" was ever sent, and up to git 2.44 not even that; those gits die of any answer but "ok".
		o.objectFormat = c.value == "" || c.value == "true"
		if o.objectFormat {
			return "ok", ""
		}
	case "verbosity", "cloning", "followtags":
		return "ok", "" // nothing here depends on them
	case "dry-run", "atomic", "cas", "force", "force-if-includes", "push-option", "pushcert":
		// A push that changes nothing keeps all of these promises. At "unsupported" git would die, and nobody would read why.
		return "ok", ""
	case "depth", "deepen-relative":
		if c.value == "0" || c.value == "false" {
			// The second fetch, for tags, takes back what a first one may have set: whole histories, which is what we do.
			return "ok", ""
		}
	}
	warning = withoutEffect(c.name)
	if o.said[warning] {
		return "unsupported", ""
	}
	if o.said == nil {
		o.said = make(map[string]bool)
	}
	o.said[warning] = true
	return "unsupported", warning
}

// withoutEffect is what a person who asked for an option should read, once for each kind; "" if there is nothing to say.
func withoutEffect(name string) string {
	switch name {
	case "depth", "deepen-since", "deepen-not", "deepen-relative":
		return "--depth and its kin have no effect with aig: whole histories come"
	case "filter":
		return "--filter has no effect with aig: all objects come"
	case "refetch":
		return "--refetch has no effect with aig: only what is missing comes"
	case "update-shallow", "updateshallow":
		return "--update-shallow has no effect with aig: the shallow boundary stays where it is"
	case "family":
		return "-4 and -6 have no effect with aig: give them to the command that opens the pipe"
	}
	return ""
}
