package remotehelper

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// fromUser is the variable by which git says whether an address was given by the user (git(1)): `git submodule` sets it
// to 0, since the addresses in .gitmodules were written by whoever wrote the repository.
const fromUser = "GIT_PROTOCOL_FROM_USER"

// AllowedByEnvironment fails if GIT_PROTOCOL_FROM_USER says that the address was not given by the user. git asks the same
// of unknown helpers, but protocol.allow=always or protocol.<name>.allow=always talks it out of that, and a helper whose
// address is a shell expression must not be started by a file in a repository whatever the configuration says.
//
// Values are read as git reads booleans (git-config(1), "boolean"), and one that git could not read is refused. lookup is
// os.LookupEnv or one like it: a variable that is set and empty is false, one that isn't set at all is true.
func AllowedByEnvironment(lookup func(string) (string, bool)) error {
	if v, set := lookup(fromUser); set && !isTrue(v) {
		return errors.New("refused to start a shell for an address that you did not give yourself (" + fromUser + " is " +
			strconv.Quote(v) + "): a submodule's, most likely; if you trust it, fetch it by hand")
	}
	return nil
}

// isTrue says whether git reads v as true: by its words, or as an integer with an optional unit other than zero.
func isTrue(v string) bool {
	switch strings.ToLower(v) {
	case "true", "yes", "on":
		return true
	}
	most := int64(math.MaxInt32) // and as much below zero: no integer of git's is wider than 32 bits, its unit included
	if n := len(v); n > 0 {
		if i := strings.IndexByte("kmg", v[n-1]|0x20); i >= 0 {
			v = v[:n-1]
			most >>= 10 * (i + 1)
		}
	}
	// C has no 1_000, no 0b1 and no 0o7.
	if strings.ContainsAny(v, "_oO") || strings.HasPrefix(strings.ToLower(strings.TrimLeft(v, "+-")), "0b") {
		return false
	}
	i, err := strconv.ParseInt(v, 0, 64)
	return err == nil && i != 0 && -most <= i && i <= most
}
