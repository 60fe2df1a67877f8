package remotehelper

import (
	"fmt"
	"strings"
)

// AllowedByEnvironment fails if GIT_PROTOCOL_FROM_USER (git(1)) says that the user didn't give the address: `git
// submodule` sets it to 0, since the repository's author wrote .gitmodules. git then refuses unknown helpers by itself,
// unless protocol.allow or protocol.<name>.allow is always. Whatever the configuration says, a file in a repository must
// not start a helper whose address is a shell expression.
//
// Only git's words for true count, and 1; nobody sets what else git reads as true. lookup is os.LookupEnv or the like.
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
