// Package version says which aig this is.
package version

import (
	_ "embed" // for the commit
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// Version is the version of all programs together; see the CHANGELOG.
const Version = "0.2.0"

// archived is the commit in an archive made by `git archive`, and git's placeholder everywhere else.
//
//go:embed commit.txt
var archived string

// Line returns what a program prints for --version: its name, the version, the commit if it is known, and the Go that built it.
func Line(program string) string {
	commit := commit()
	if commit != "" {
		commit += ", "
	}
	return fmt.Sprintf("%s %s (%s%s)\n", program, Version, commit, runtime.Version())
}

// commit returns the commit that the program was built from, as Go found it in the clone, else as the archive says.
func commit() string {
	var revision, modified string
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				revision = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				modified = "-dirty"
			}
		}
	}
	if archived := strings.TrimSpace(archived); revision == "" && !strings.HasPrefix(archived, "$") {
		return archived
	}
	return revision + modified
}
