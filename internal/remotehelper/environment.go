package remotehelper

import (
	"fmt"
	"strings"
)

// AllowedByEnvironment fails if GIT_PROTOCOL_FROM_USER (git(1)) says that the user didn't give the address: `git
// submodule` sets it to 0, since whoever wrote the repository wrote .gitmodules. git then refuses unknown helpers by
// itself, unless protocol.allow or protocol.<name>.allow is always; a helper whose address is a shell expression must not
// be started by a file in a repository whatever the configuration says.
//
// Only git's words for true count, and 1; what else git reads as true, nobody sets. lookup is os.LookupEnv or one like it.
func AllowedByEnvironment(lookup func(string) (string, bool)) error {
	v, set := lookup("GIT_PROTOCOL_FROM_USER")
	switch strings.ToLower(v) {
	case "1", "true", "yes", "on":
		return nil
	}
	if !set {
		return nil
	}
	return fmt.Errorf("refused to start a shell for an address that you did not give yourself (GIT_PROTOCOL_FROM_USER is %q): "+
		"most likely a submodule's; if you trust it, fetch it by hand", v)
}
