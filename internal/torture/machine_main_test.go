package torture

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"aig/internal/gittest"
)

// theMachine returns what the tests of machines share. It is made on the first call.
var theMachine func() (*machine, error)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "aig-torture-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	theMachine = sync.OnceValues(func() (*machine, error) { return makeMachine(dir) })
	status := gittest.Main(m)
	os.RemoveAll(dir)
	os.Exit(status)
}

// build builds the real programs.
func build(dir string) error {
	cmd := exec.Command("go", "build", "-o", dir+string(filepath.Separator),
		"aig/cmd/git-aig-sync", "aig/cmd/git-remote-aig", "aig/cmd/aig-switchboard")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the programs: %w\n%s", err, out)
	}
	return nil
}
