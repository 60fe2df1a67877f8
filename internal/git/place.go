package git

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// IsSubmodule reports whether the repository is one of another's submodules, or was made as one: then its remotes may have
// their URLs from .gitmodules, which the other's authors write. Outside a repository it is false.
func (g Git) IsSubmodule(ctx context.Context) bool {
	out, err := g.Command(ctx, nil, "rev-parse", "--path-format=absolute", "--git-common-dir", "--show-superproject-working-tree").Output()
	dir, super, _ := strings.Cut(strings.TrimSuffix(string(out), "\n"), "\n")
	if err != nil || super != "" {
		return super != ""
	}
	// git keeps a submodule's git directory in <git directory>/modules/<name>, whether it has a working tree or not.
	for rest := filepath.Dir(dir); rest != filepath.Dir(rest); rest = filepath.Dir(rest) {
		if filepath.Base(rest) == "modules" {
			if _, err := os.Stat(filepath.Join(filepath.Dir(rest), "HEAD")); err == nil {
				return true
			}
		}
	}
	return false
}

// IsEmpty reports whether the repository holds no object.
func (g Git) IsEmpty(ctx context.Context) (bool, error) {
	out, err := g.Command(ctx, nil, "count-objects", "-v").Output()
	said := "\n" + string(out)
	return strings.Contains(said, "\ncount: 0\n") && strings.Contains(said, "\nin-pack: 0\n"), err
}
