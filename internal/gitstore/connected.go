package gitstore

import (
	"context"
	"strings"
)

// Connected tells whether everything that can be reached from the named objects is in the store, with what our
// references reach taken as complete: the check of git's connected.c. The names are full and hexadecimal.
func (s *Store) Connected(ctx context.Context, names []string) (bool, error) {
	c := s.git.command(ctx, nil, "rev-list", "--objects", "--stdin", "--not", "--all", "--quiet", "--alternate-refs")
	c.Stdin = strings.NewReader(strings.Join(names, "\n") + "\n")
	err := c.Run()
	if exitCode(err) > 0 {
		return false, nil // git says so itself, in its own words, when it checks again
	}
	return err == nil, c.explain(err)
}
