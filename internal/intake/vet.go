package intake

import (
	"context"
	"fmt"
	"math"
	"strings"
)

// Vet checks the trees among the named objects of the store, and the .gitmodules and .gitattributes files that they name, as if
// they had just been received. A missing file is no error.
func (s *Store) Vet(ctx context.Context, names []string) error {
	if s.check == "" {
		return nil
	}
	var trees strings.Builder
	n := 0
	c := s.Command(ctx, nil, "cat-file", "--batch-check=%(objectname) %(objecttype)", "--buffer")
	c.Stdin = strings.NewReader(strings.Join(names, "\n") + "\n")
	err := c.Lines(func(line []byte) error {
		if name, isTree := strings.CutSuffix(string(line), " tree"); isTree {
			trees.WriteString(name + "\n")
			n++
		}
		return nil
	})
	if n == 0 || err != nil {
		return err
	}
	// A Store of its own, so that none of this counts against the peer's limits.
	apart := &Store{Repo: s.Repo, check: s.check, Warning: s.Warning, unchecked: unchecked{most: math.MaxInt}}
	in, err := apart.Receive(ctx, n, false)
	if err != nil {
		return err
	}
	defer in.Discard()
	c = s.Command(ctx, nil, "pack-objects", "--stdout", "-q")
	c.Stdin, c.Stdout = strings.NewReader(trees.String()), in
	if err := c.Run(); err != nil {
		return fmt.Errorf("checking what was here before: %w", err)
	}
	return in.Finish()
}
